/** Files that lie beside the code: found from here, so that they are found in a checkout, in dist/ and in an installed package. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** Path of a file of the package, such as `demo/storm.jsonl`. */
export function packageFile(path: string): string {
  return join(packageRoot(), path);
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
