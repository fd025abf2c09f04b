/** The scripts of scripts/*.lua, typed. What each reads, writes and answers stands at its head. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { RedisClient } from "./connection.ts";

export type ScriptRun<Reply> = (
  client: RedisClient,
  keys: readonly string[],
  args: readonly (string | number)[],
) => Promise<Reply>;

const READ_ONLY_HEAD = "#!lua flags=no-writes";
const readingCommands = new Set<string>();
const writingCommands = new Set<string>();

export const scripts = {
  commit: defineScript<string[]>("commit"),
  openNamespace:
    defineScript<[mode: string | null, partitions: string | null, highestTimeMs: string | null, format: string | null]>(
      "open-namespace",
    ),
  advanceTime: defineScript<string | null>("advance-time"),
  claimEffects: defineScript<(string | number)[]>("claim-effects"),
  extendClaims: defineScript<string[]>("extend-claims"),
  endClaims: defineScript<string[]>("end-claims"),
  freeEffects: defineScript<string[]>("free-effects"),
  resumeEffects: defineScript<string[]>("resume-effects"),
  unclaimedEffects: defineScript<[cursor: string, ...ids: string[]]>("unclaimed-effects"),
  renewEpisodes: defineScript<"applied" | "conflict">("renew-episodes"),
  indexOpen: defineScript<"indexed" | "changed">("index-open"),
  raiseFormat: defineScript<string | null>("raise-format"),
  countOpen: defineScript<number>("count-open"),
  createdPage: defineScript<string[]>("created-page"),
  touchInstance: defineScript<"touched" | "unchanged">("touch-instance"),
  removeInstance: defineScript<"removed" | "changed">("remove-instance"),
  leaseGroup: defineScript<"held" | "taken">("lease-group"),
  loadDetection:
    defineScript<[head: string | null, alertCount: number, pieces: string[], ...seen: string[][]]>("load-detection"),
  commitDetection: defineScript<"applied" | "duplicate" | "conflict">("commit-detection"),
  pageDetection: defineScript<[number, ...string[]]>("page-detection"),
  raiseCheckpoint: defineScript<string>("raise-checkpoint"),
  beat: defineScript<(string | number)[]>("beat"),
  sendLetters: defineScript<number>("send-letters"),
  missingRights: defineScript<string[]>("missing-rights"),
};

/** The commands that the scripts' heads name: those of scripts that only read, and those of scripts that may write. */
export function scriptCommands(): { readonly reading: ReadonlySet<string>; readonly writing: ReadonlySet<string> } {
  return { reading: readingCommands, writing: writingCommands };
}

/**
 * Runs by hash, and sends the text only to a server that does not have it (a new one, a restarted one, another master
 * of a cluster). A script may run twice when its reply is lost, so each must bear that.
 */
function defineScript<Reply>(name: string): ScriptRun<Reply> {
  const lua = guarded(readFileSync(new URL(`./scripts/${name}.lua`, import.meta.url), "utf8"));
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

/**
 * Puts the check of the user's rights before everything else that a script does, if it may write: a command that is
 * refused in the middle would leave the half of it. The script checks, because rights may be taken away at any time.
 */
function guarded(lua: string): string {
  const commands = (/^-- Commands: (.+)$/m.exec(lua)?.[1] ?? "").split(" ").filter((command) => command !== "");
  const isReading = lua.startsWith(READ_ONLY_HEAD);
  for (const command of commands) (isReading ? readingCommands : writingCommands).add(command);
  if (isReading) return lua;
  const [head = "", ...lines] = lua.split("\n");
  const names = commands.map((command) => `'${command}'`).join(", ");
  const refusal = "redis.error_reply('NOPERM this user may not run ' .. name)";
  const check = `if not redis.acl_check_cmd(name, KEYS[1]) then return ${refusal} end`;
  const guard = `for _, name in ipairs({ ${names} }) do ${check} end`;
  return [head, guard, ...lines].join("\n");
}

/** A flat reply (a, 1, b, 2) as pairs. */
export function pairs(flat: readonly string[]): [string, string][] {
  const rows: [string, string][] = [];
  for (let at = 0; at < flat.length; at += 2) rows.push([flat[at] as string, flat[at + 1] as string]);
  return rows;
}
