/** The scripts of scripts/*.lua, typed. What each reads, writes and answers stands at its head. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { RedisClient } from "./connection.ts";

export type ScriptRun<Reply> = (
  client: RedisClient,
  keys: readonly string[],
  args: readonly (string | number)[],
) => Promise<Reply>;

export const scripts = {
  commit: defineScript<string[]>("commit"),
  openNamespace:
    defineScript<[mode: string | null, partitions: string | null, highestTimeMs: string | null]>("open-namespace"),
  advanceTime: defineScript<string | null>("advance-time"),
  claimEffects: defineScript<string[]>("claim-effects"),
  extendClaims: defineScript<string[]>("extend-claims"),
  createdPage: defineScript<string[]>("created-page"),
  touchInstance: defineScript<"touched" | "unchanged">("touch-instance"),
  removeInstance: defineScript<"removed" | "changed">("remove-instance"),
  leaseGroup: defineScript<"held" | "taken">("lease-group"),
  loadDetection:
    defineScript<[head: string | null, alertCount: number, pieces: string[], ...seen: string[][]]>("load-detection"),
  commitDetection: defineScript<"applied" | "duplicate" | "conflict">("commit-detection"),
  raiseCheckpoint: defineScript<string>("raise-checkpoint"),
};

/**
 * Runs by hash, and sends the text only to a server that does not have it (a new one, a restarted one, another master of a cluster).
 * A script may run twice when its reply is lost, so each must bear that.
 */
function defineScript<Reply>(name: string): ScriptRun<Reply> {
  const lua = readFileSync(new URL(`./scripts/${name}.lua`, import.meta.url), "utf8");
  const sha = createHash("sha1").update(lua).digest("hex");
  return async (client, keys, args) => {
    try {
      return (await client.evalsha(sha, keys.length, ...keys, ...args)) as Reply;
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith("NOSCRIPT"))) throw error;
      return (await client.eval(lua, keys.length, ...keys, ...args)) as Reply;
    }
  };
}

/** A flat reply (a, 1, b, 2) as pairs. */
export function pairs(flat: readonly string[]): [string, string][] {
  const rows: [string, string][] = [];
  for (let at = 0; at < flat.length; at += 2) rows.push([flat[at] as string, flat[at + 1] as string]);
  return rows;
}
