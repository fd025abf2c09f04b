/**
 * Files that lie beside the code: found from here, so that they are found in a checkout, in dist/ and in an installed
 * package.
 */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

/** Path of a file of the package, such as `demo/storm.jsonl`. */
export function packageFile(path: string): string {
  return join(packageRoot(), path);
}

/** The same as somebody would type it here: relative, unless that is longer. */
export function shownPackageFile(path: string): string {
  const whole = packageFile(path);
  const fromHere = relative(process.cwd(), whole);
  return fromHere.length < whole.length ? fromHere : whole;
}

export function packageVersion(): string {
  const { version } = JSON.parse(readFileSync(packageFile("package.json"), "utf8")) as { version: string };
  return version;
}

/** src/cli lies two folders below it, dist/src/cli three. */
function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, "package.json")) && dirname(folder) !== folder) folder = dirname(folder);
  return folder;
}
