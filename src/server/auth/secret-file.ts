import { readFileSync } from "node:fs";
import { BecalmError, messageOf } from "../../model/errors.ts";

/** A file that holds one secret, such as `--token-file` names. */
export function readSecretFile(path: string, what: string): string {
  return readFileOr(path, what).trim();
}

/** `what`: how a mistake names the file. Throws BECALM_ARGUMENT_INVALID. */
export function readFileOr(path: string, what: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    const text = `${what} ${path} cannot be read: ${messageOf(cause)}. Check the path and its permissions.`;
    throw new BecalmError("BECALM_ARGUMENT_INVALID", text, { cause, details: { path } });
  }
}
