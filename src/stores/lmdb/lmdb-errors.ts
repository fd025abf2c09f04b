import { BecalmError, messageOf } from "../../model/errors.ts";

/**
 * Codes of LMDB and of the system (positive: errno) that mean something to the caller. Any other is
 * BECALM_STORE_FAILED.
 */
const NO_SPACE = [-30_792, 28, 27, 122];
const NOT_ALLOWED = [1, 2, 13, 20, 21, 30];
const DAMAGED = [-30_796, -30_794, -30_793];

/** A file that holds something else. */
export class NotADatabase extends Error {}

/** The error of the binding as ours. One that is ours already stays as it is. */
export async function toBecalmError(error: unknown, path: string): Promise<BecalmError> {
  if (error instanceof BecalmError) return error;
  const cause = await causeOf(error);
  const { code: name, errno } = cause as NodeJS.ErrnoException;
  const code = errno === undefined ? Number(name) : Math.abs(errno);
  const details = { path };
  if (NO_SPACE.includes(code) || /No space left|File too large|MDB_MAP_FULL/.test(messageOf(cause)))
    return new BecalmError(
      "BECALM_STORE_FULL",
      `The disk of the store ${path} is full: ${messageOf(cause)}. Nothing was written. Make room or shorten the retention, then send again.`,
      { cause, details },
    );
  if (NOT_ALLOWED.includes(code))
    return new BecalmError(
      "BECALM_STORE_UNAVAILABLE",
      `The store ${path} cannot be opened: ${messageOf(cause)}. Check the path and who may read and write there.`,
      { cause, details },
    );
  const remedy =
    cause instanceof NotADatabase || DAMAGED.includes(code)
      ? "Give the path of a store, or restore it from a backup"
      : "Look at the disk and its log";
  return new BecalmError("BECALM_STORE_FAILED", `The store ${path} failed: ${messageOf(cause)}. ${remedy}.`, {
    cause,
    details,
  });
}

/** A commit that failed says why in a promise of its own. */
async function causeOf(error: unknown): Promise<unknown> {
  const reason = (error as { commitError?: Promise<unknown> } | null)?.commitError;
  if (reason === undefined) return error;
  return reason.then(
    () => error,
    (why: unknown) => why ?? error,
  );
}
