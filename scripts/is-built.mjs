// Exit 0 when dist/ is newer than every source. `npx becalm` in a checkout and `npm pack` both run "prepare": building again
// would rewrite files under the feet of a command that runs already.
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";

process.chdir(new URL("..", import.meta.url).pathname);

const sources = ["src", "machines"].flatMap((folder) =>
  existsSync(folder)
    ? readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name))
    : [],
);
const configs = ["tsconfig.json", "tsconfig.build.json"];
const configuredAtMs = Math.max(...configs.map((path) => statSync(path).mtimeMs));

process.exit(sources.every(isBuilt) ? 0 : 1);

function isBuilt(source) {
  const output = statSync(join("dist", source.replace(/\.ts$/, ".js")), { throwIfNoEntry: false });
  return output !== undefined && output.mtimeMs >= Math.max(statSync(source).mtimeMs, configuredAtMs);
}
