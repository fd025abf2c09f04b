import { BecalmError, messageOf } from "../model/errors.ts";

/** A path that cannot be read, as an error that says so. */
export function unreadable(path: string, cause: unknown): BecalmError {
  const { code } = cause as NodeJS.ErrnoException;
  if (code === "ENOENT") {
    return new BecalmError("BECALM_NOT_FOUND", `There is no file ${path}. Check the path.`, {
      cause,
      details: { path },
    });
  }
  const why =
    code === "EISDIR"
      ? `${path} is a directory. Give a file.`
      : `${path} cannot be read: ${messageOf(cause)}. Check its permissions.`;
  return new BecalmError("BECALM_ARGUMENT_INVALID", why, { cause, details: { path } });
}
