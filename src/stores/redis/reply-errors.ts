/** What the errors of a Redis server mean to the caller, and whether the same command may succeed in a moment. */
import type { ErrorCode } from "../../model/errors.ts";

type ReplyMeaning = { readonly code: ErrorCode; readonly remedy: string; readonly isPassing?: true };

const away = (remedy: string, isPassing = false): ReplyMeaning => ({
  code: "BECALM_STORE_UNAVAILABLE",
  remedy,
  ...(isPassing ? { isPassing } : {}),
});

/** By the first words. Any other reply is BECALM_STORE_FAILED. */
const REPLIES: readonly (readonly [prefix: string, meaning: ReplyMeaning])[] = [
  [
    "OOM",
    {
      code: "BECALM_STORE_FULL",
      remedy: "Raise maxmemory or shorten the retention, then send again; nothing was written",
    },
  ],
  [
    "NOPERM",
    {
      code: "BECALM_STORE_FORBIDDEN",
      remedy: "Grant the user what docs/operating.md lists; nothing was written",
    },
  ],
  ["LOADING", away("It is loading its data: try again in a moment", true)],
  ["BUSY ", away("It is busy with somebody's script: try again, or end that script with SCRIPT KILL", true)],
  [
    "NOREPLICAS",
    away(
      "Too few replicas follow it (min-replicas-to-write): bring them back, then send again; nothing was written",
      true,
    ),
  ],
  [
    "MISCONF",
    away(
      "It cannot save to its disk, and refuses writes until it can: make room or repair the disk; nothing was written",
    ),
  ],
  ["READONLY", away("It is a replica: use the URL of the master, or redis+sentinel:// to follow it", true)],
  ["MASTERDOWN", away("Its master is down: try again when it has one", true)],
  ["CLUSTERDOWN", away("Not all slots of the cluster are served: try again when they are", true)],
  ["TRYAGAIN", away("Slots are moving: try again in a moment", true)],
  ["WRONGPASS", away("Check the user and the password in the URL")],
  ["ERR DB index", away("Use a number of a database that the server has: 0 to 15 by default")],
  ["NOAUTH", away("It asks for a password: put it into the URL")],
];

/** null: it means nothing in particular. */
export function meaningOf(text: string): ReplyMeaning | null {
  return REPLIES.find(([prefix]) => text.startsWith(prefix))?.[1] ?? null;
}
