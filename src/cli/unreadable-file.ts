import { BecalmError, messageOf } from "../model/errors.ts";

/** A path that cannot be read, as an error that says so. */
export function unreadable(path: string, cause: unknown): BecalmError {
  if ((cause as NodeJS.ErrnoException).code === "ENOENT") {
    return new BecalmError("BECALM_NOT_FOUND", `There is no file ${path}. Check the path.`, {
      cause,
      details: { path },
    });
  }
  return new BecalmError(
    "BECALM_ARGUMENT_INVALID",
    `${path} cannot be read: ${messageOf(cause)}. Check its permissions.`,
    { cause, details: { path } },
  );
}
