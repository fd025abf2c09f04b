// The second half of the build: what tsc does not do. dist/ ends up holding exactly what the sources give.
import { chmod, copyFile, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));
const SOURCE_FOLDERS = ["src", "machines"];
const COMPILED_SUFFIXES = [".d.ts", ".js", ".js.map"];
const STAMP = "node_modules/.cache/becalm/built";
const COMMAND = "dist/src/cli/main.js";

/** The console is one bundle: its modules are not built one by one. */
const CONSOLE = "src/console";
const CONSOLE_FILES = ["index.html", "app.css", "app.js"];

const isOfConsole = (path) => path.startsWith(`${CONSOLE}/`);
const all = (await Promise.all(SOURCE_FOLDERS.map(filesUnder))).flat();
const sources = all.filter((path) => !isOfConsole(path) || CONSOLE_FILES.some((name) => path === `${CONSOLE}/${name}`));
const assets = sources.filter((path) => !path.endsWith(".ts"));
for (const asset of assets) await copy(asset, join("dist", asset));
await build({
  entryPoints: [join(root, CONSOLE, "main.ts")],
  outfile: join(root, "dist", CONSOLE, "app.js"),
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  legalComments: "none",
});

const wanted = new Set([...sources.flatMap(outputsOf), join("dist", CONSOLE, "app.js")]);
for (const output of await filesUnder("dist")) {
  if (!wanted.has(output)) await rm(join(root, output));
  else if (output.endsWith(".d.ts")) await rewriteImports(output);
}
if (wanted.has(COMMAND)) await chmod(join(root, COMMAND), 0o755);
// Only a build without errors comes here; is-built.mjs compares the sources with this file's time.
await mkdir(dirname(join(root, STAMP)), { recursive: true });
await writeFile(join(root, STAMP), "");

/** Paths of all files below `folder`, relative to the project; a missing folder has none. */
async function filesUnder(folder) {
  const entries = await readdir(join(root, folder), { recursive: true, withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath.slice(root.length), entry.name));
}

function outputsOf(source) {
  if (!source.endsWith(".ts")) return [join("dist", source)];
  return COMPILED_SUFFIXES.map((suffix) => join("dist", source.slice(0, -".ts".length) + suffix));
}

async function copy(from, to) {
  await mkdir(dirname(join(root, to)), { recursive: true });
  await copyFile(join(root, from), join(root, to));
}

/**
 * tsc rewrites `./x.ts` to `./x.js` in the code but not in the declarations, where it would name a file that is not
 * shipped.
 */
async function rewriteImports(output) {
  const text = await readFile(join(root, output), "utf8");
  const rewritten = text.replace(/(from |import\()"(\.[^"]*)\.ts"/g, '$1"$2.js"');
  if (rewritten !== text) await writeFile(join(root, output), rewritten);
}
