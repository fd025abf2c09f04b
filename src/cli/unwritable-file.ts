/** A file that a command was told to write and cannot. */
import { BecalmError, messageOf } from "../model/errors.ts";

/** `option`: that named the file. */
export function unwritable(path: string, option: string, cause: unknown): BecalmError {
  const what = `${path} cannot be written: ${messageOf(cause)}. Give another ${option}.`;
  return new BecalmError("BECALM_OUTPUT_FAILED", what, { cause, details: { path } });
}
