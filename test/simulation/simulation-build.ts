/** Bundles the simulation, or any other program of the tests, with the product's sources as they are, or with one seeded fault in them. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { build, type Plugin } from "esbuild";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const SCRIPTS = "src/stores/redis/scripts";
const BUILT = join(ROOT, "node_modules/.cache/becalm/simulation");

/** A mistake that somebody could make: `find` stands once in the sources, wherever that is, and is replaced. */
export type SeededFault = {
  readonly name: string;
  /** End of the path, if the same stands in several files. */
  readonly file?: string;
  readonly find: string;
  readonly replace: string;
};

/** Runs a program that was built, and gives the JSON that it prints. Rejects if it ends in another way. */
export async function runProgram<Report>(program: string, args: readonly string[]): Promise<Report> {
  const child = spawn(process.execPath, ["--enable-source-maps", program, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  if (stdout === "") throw new Error(`the program ended without a report:\n${stderr}`);
  return JSON.parse(stdout) as Report;
}

/** Builds a program, with `seams` put into it; returns the path of what node can run. */
export async function buildProgram(
  entry: string,
  fault: SeededFault | null = null,
  seams: readonly SeededFault[] = [],
): Promise<string> {
  const name = fault?.name.replaceAll(/[^a-z]+/g, "-") ?? "sound";
  const folder = join(BUILT, seams.length === 0 ? name : `${name}-with-seams`);
  await mkdir(folder, { recursive: true });
  await cp(join(ROOT, SCRIPTS), join(folder, "scripts"), { recursive: true });
  const changed = await changedSources(fault === null ? seams : [...seams, fault]);
  for (const [path, source] of changed)
    if (path.endsWith(".lua")) await writeFile(join(folder, "scripts", basename(path)), source);
  const outfile = join(folder, `${entry.replace(/^.*\//, "").replace(/\.ts$/, "")}.mjs`);
  await build({
    absWorkingDir: ROOT,
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    packages: "external",
    sourcemap: "inline",
    logLevel: "silent",
    plugins: changed.size === 0 ? [] : [seeded(changed)],
  });
  return outfile;
}

/** A source file with the fault in it. */
export type FaultySource = { readonly path: string; readonly source: string };

/** Where the fault stands. Throws if the sources have moved on: the fault must then be written anew. */
export async function faultySource(fault: SeededFault): Promise<FaultySource> {
  const [changed] = [...(await changedSources([fault]))];
  const [path, source] = changed as [string, string];
  return { path, source };
}

/** The sources that some changes are in, by path. Throws if one of them has no place, or several. */
export async function changedSources(changes: readonly SeededFault[]): Promise<ReadonlyMap<string, string>> {
  const changed = new Map<string, string>();
  if (changes.length === 0) return changed;
  const paths = await sourcePaths();
  const sources = new Map(await Promise.all(paths.map(async (path) => [path, await readFile(path, "utf8")] as const)));
  for (const { name, file = "", find, replace } of changes) {
    const found = [...sources].flatMap(([path, source]) =>
      path.endsWith(file) ? Array.from({ length: source.split(find).length - 1 }, () => path) : [],
    );
    const [path] = found;
    if (path === undefined || found.length > 1)
      throw new Error(`"${name}" stands ${found.length} times in the sources, and must stand once:\n${find}`);
    const source = (sources.get(path) as string).split(find).join(replace);
    sources.set(path, source);
    changed.set(path, source);
  }
  return changed;
}

async function sourcePaths(): Promise<string[]> {
  const folders = ["src", "machines"].map((folder) => join(ROOT, folder));
  const listed = await Promise.all(
    folders.map(async (folder) => (await readdir(folder, { recursive: true })).map((path) => join(folder, path))),
  );
  return listed.flat().filter((path) => /\.(ts|lua)$/.test(path));
}

function seeded(changed: ReadonlyMap<string, string>): Plugin {
  return {
    name: "seeded fault",
    setup(bundling) {
      bundling.onLoad({ filter: /\.ts$/ }, ({ path }) => {
        const contents = changed.get(path);
        return contents === undefined ? null : { contents, loader: "ts", resolveDir: dirname(path) };
      });
    },
  };
}
