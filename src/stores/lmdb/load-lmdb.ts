/** LMDB's binding is optional: it brings a binary for each platform, and there are platforms that it has none for. */
import type { open, RootDatabase } from "lmdb";
import { BecalmError, messageOf } from "../../model/errors.ts";

export type Database = RootDatabase<string, string>;
export type OpenDatabase = typeof open;

/**
 * @throws BECALM_STORE_UNAVAILABLE if the package or its binary is missing. Tests replace the import with `load`.
 */
export async function loadLmdb(
  load: () => Promise<{ open: OpenDatabase }> = () => import("lmdb"),
): Promise<OpenDatabase> {
  try {
    return (await load()).open;
  } catch (error) {
    throw new BecalmError(
      "BECALM_STORE_UNAVAILABLE",
      `The package lmdb cannot be loaded on ${process.platform} ${process.arch} with Node ${process.versions.node} ` +
        `(${messageOf(error).split("\n", 1)[0]}). Install it (npm install lmdb), which needs optional dependencies to be allowed, ` +
        "or use another store: redis://HOST:PORT.",
      { cause: error, details: { platform: process.platform, arch: process.arch } },
    );
  }
}
