/** What the textbook way left in Redis, looked at with the same questions. */
import { createHash } from "node:crypto";
import { Redis } from "ioredis";
import type { Violation } from "../checkers/recording.ts";
import { until } from "./deployment.ts";

type Kept = { readonly head: string; readonly state: string };
type Logged = { readonly id: string; readonly event: { readonly type: string; readonly attempt?: number } };

const RESTING: ReadonlySet<string> = new Set(["Success", "Failed", "Skipped", "Waiting"]);
const REST_MS_MAX = 90_000;

export async function readTextbook(url: string): Promise<Violation[]> {
  const redis = new Redis(url);
  try {
    const instances = async () => {
      const keys = await redis.keys("instance:*");
      const values = keys.length === 0 ? [] : await redis.mget(keys);
      return new Map(
        keys.map((key, index) => [key.slice("instance:".length), JSON.parse(values[index] ?? "{}") as Kept]),
      );
    };
    const isAtRest = async () => [...(await instances()).values()].every(({ state }) => RESTING.has(state));
    await until("everything is at rest", isAtRest, REST_MS_MAX).catch(() => {});
    return violationsOf(await instances(), await redis.xrange("audit", "-", "+"));
  } finally {
    redis.disconnect();
  }
}

function violationsOf(instances: ReadonlyMap<string, Kept>, rows: readonly [string, string[]][]): Violation[] {
  const heads = new Map<string, string>();
  const accepted = new Set<string>();
  const found: Violation[] = [];
  for (const [, [, entry = "", , hash = ""]] of rows) {
    const { id, event } = JSON.parse(entry) as Logged;
    const expected = createHash("sha256")
      .update((heads.get(id) ?? "") + entry)
      .digest("hex");
    if (expected !== hash)
      found.push({ checker: "whole chain", what: `${id}: an entry does not continue the one before` });
    heads.set(id, hash);
    if (event.type !== "effect.done" && event.type !== "effect.failed") continue;
    const result = `${id} ${event.attempt}`;
    if (accepted.has(result)) found.push({ checker: "accepted once", what: `${result}: a result was written twice` });
    accepted.add(result);
  }
  for (const [id, { head, state }] of instances) {
    if (heads.get(id) !== head)
      found.push({ checker: "whole chain", what: `${id}: the audit does not lead to the snapshot` });
    if (!RESTING.has(state)) found.push({ checker: "nothing stuck", what: `${id} is still ${state}` });
  }
  for (const id of heads.keys())
    if (!instances.has(id)) found.push({ checker: "acknowledged", what: `${id} is in the audit and not there` });
  return found;
}
