/**
 * What the store's user must be allowed to do. docs/operating.md has the same lists; a test keeps them equal, and
 * another one runs the whole contract as a user who may do exactly this.
 *
 * A right that is missing would be noticed late: by the first commit that needs it. So the rights are looked at when a
 * namespace is opened, and again by each script that writes, before it writes.
 */
import { BecalmError } from "../../model/errors.ts";
import type { RedisConnection } from "./connection.ts";
import { scriptCommands, scripts } from "./scripts.ts";

/** Commands that are sent as such, by those that only read. */
const READING = [
  "INFO",
  "EVALSHA",
  "EVAL",
  "MGET",
  "HMGET",
  "HGETALL",
  "HGET",
  "GET",
  "LRANGE",
  "ZRANGE",
  "ZSCORE",
  "SCAN",
  "EXISTS",
];
/** Those of workers; EXISTS, SET, GET and DEL are redlock's. */
const WRITING = ["HSETNX", "ZCOUNT", "TIME", "EXISTS", "SET", "GET", "DEL", "HDEL", "LLEN", "BLPOP", "LPOP"];

/** Commands that a user needs; `reading`: one who only looks. */
export function requiredCommands(use: "reading" | "writing"): string[] {
  const { reading, writing } = scriptCommands();
  const own = use === "reading" ? READING : [...READING, ...WRITING, ...writing];
  return [...new Set([...own, ...reading])].sort();
}

/** `also`: what this store needs beside what every one needs. */
type RightsRequest = {
  readonly key: string;
  readonly use: "reading" | "writing";
  readonly also?: readonly string[];
};

/** Commands that the user lacks. */
export async function missingRights(
  connection: RedisConnection,
  { key, use, also = [] }: RightsRequest,
): Promise<string[]> {
  const commands = [...requiredCommands(use), ...also];
  return connection.run(() => scripts.missingRights(connection.client, [key], commands));
}

/** Rejects with BECALM_STORE_FORBIDDEN, naming every command that the user may not run. */
export async function requireRights(connection: RedisConnection, request: RightsRequest): Promise<void> {
  const missing = await missingRights(connection, request);
  if (missing.length === 0) return;
  const rules = missing.map((command) => `+${command.toLowerCase()}`).join(" ");
  throw new BecalmError(
    "BECALM_STORE_FORBIDDEN",
    `The user of Redis at ${connection.address} may not run ${missing.join(", ")}. Grant it: ACL SETUSER <user> ${rules}. Nothing was written.`,
    { details: { address: connection.address, missing } },
  );
}
