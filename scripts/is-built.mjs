// Exit 0 when dist/ comes from a build without errors that is newer than every source. `npx becalm` in a checkout and
// `npm pack` both run "prepare": building again would rewrite files under the feet of a command that runs already.
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));

const sources = ["src", "machines"].flatMap((folder) =>
  existsSync(folder)
    ? readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name))
    : [],
);
const configs = ["tsconfig.json", "tsconfig.build.json"];
const builtAtMs = statSync("node_modules/.cache/becalm/built", { throwIfNoEntry: false })?.mtimeMs ?? 0;

const isFresh = [...sources, ...configs].every((path) => statSync(path).mtimeMs <= builtAtMs);
/** The console's modules are one bundle. */
const outputOf = (path) => (path.startsWith("src/console/") ? "src/console/app.js" : path.replace(/\.ts$/, ".js"));
const isComplete = sources.every((path) => existsSync(join("dist", outputOf(path))));
process.exit(isFresh && isComplete ? 0 : 1);
