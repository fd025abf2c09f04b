/** A copy of an lmdb store, as its last commit left it, made while its writer goes on. The copy is a store itself. */
import { closeSync, fsyncSync, openSync, renameSync, rmSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { BecalmError } from "../../model/errors.ts";
import { invalid } from "../store-rules.ts";
import { databaseFile, Environment } from "./environment.ts";
import { makeFolder } from "./make-folder.ts";
import { namespaceNames } from "./namespace-rows.ts";

export type LmdbBackup = {
  /** The copy, under its whole path. */
  readonly file: string;
  readonly bytes: number;
  readonly namespaces: readonly string[];
};

/**
 * Copies the store at `path` to `target`: a new folder, or a new file that ends in `.mdb`. The copy is on the disk
 * before it gets its name, so there is never half of one.
 */
export async function lmdbBackup(path: string, target: string): Promise<LmdbBackup> {
  const file = databaseFile(target);
  if (statSync(file, { throwIfNoEntry: false }) !== undefined)
    throw invalid(`${file} exists already, and a backup replaces nothing. Give a new place.`);
  const partial = `${file}.partial`;
  const environment = Environment.use(path);
  try {
    makeFolder(dirname(file));
    rmSync(partial, { force: true });
    if (!(await environment.copyTo(partial)))
      throw new BecalmError("BECALM_NOT_FOUND", `There is no lmdb store at ${path}. Check the path.`, {
        details: { path },
      });
    flush(partial);
    renameSync(partial, file);
    flush(dirname(file));
  } finally {
    rmSync(partial, { force: true });
    await environment.release();
  }
  // This also shows that the copy can be read.
  return { file, bytes: statSync(file).size, namespaces: (await lmdbNamespaces(file)) ?? [] };
}

/** The names of the namespaces of a store; null: there is no store. */
export async function lmdbNamespaces(path: string): Promise<string[] | null> {
  const environment = Environment.use(path);
  try {
    return await environment.read(namespaceNames);
  } finally {
    await environment.release();
  }
}

/** A file's content, or a folder's names. */
function flush(path: string): void {
  const descriptor = openSync(path, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
