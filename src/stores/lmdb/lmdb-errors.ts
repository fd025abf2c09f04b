import { randomBytes } from "node:crypto";
import { open, rm, stat } from "node:fs/promises";
import { BecalmError, messageOf } from "../../model/errors.ts";

/**
 * Codes of LMDB and of the system (positive: errno) that mean something to the caller. Any other is
 * BECALM_STORE_FAILED.
 */
const NO_SPACE = [-30_792, 28, 27, 122];
const INPUT_OUTPUT = 5;
const NOT_ALLOWED = [1, 2, 13, 20, 21, 30];
const DAMAGED = [-30_796, -30_794, -30_793];

/** A file that holds something else. */
export class NotADatabase extends Error {}

/** `path`: for messages. `file`: what could not be read or written. */
export type Failed = { readonly path: string; readonly file: string };

/** The error of the binding as ours. One that is ours already stays as it is. */
export async function toBecalmError(error: unknown, { path, file }: Failed): Promise<BecalmError> {
  if (error instanceof BecalmError) return error;
  const cause = await spokenCause(await causeOf(error), file);
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

/** More than what is left of a disk after a write that was cut short. */
const PROBE_BYTES = 64 * 1_024;

/**
 * LMDB says EIO of a write that was cut short, which is how a disk gets full. What the system says to a write at the
 * same place of another file is the better reason.
 */
async function spokenCause(cause: unknown, file: string): Promise<unknown> {
  if (Number((cause as { code?: unknown }).code) !== INPUT_OUTPUT) return cause;
  const probe = `${file}.${randomBytes(6).toString("hex")}.probe`;
  try {
    const { size } = await stat(file);
    const handle = await open(probe, "wx");
    try {
      for (let written = 0; written < PROBE_BYTES; )
        written += (await handle.write(Buffer.alloc(PROBE_BYTES - written), 0, null, size + written)).bytesWritten;
    } finally {
      await handle.close();
    }
    return cause;
  } catch (reason) {
    return NO_SPACE.includes(Math.abs((reason as NodeJS.ErrnoException).errno ?? 0)) ? reason : cause;
  } finally {
    await rm(probe, { force: true }).catch(() => {});
  }
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
