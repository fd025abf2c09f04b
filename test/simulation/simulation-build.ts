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

/** Builds a program; returns the path of what node can run. */
export async function buildProgram(entry: string, fault: SeededFault | null = null): Promise<string> {
  const folder = join(BUILT, `${fault?.name.replaceAll(/[^a-z]+/g, "-") ?? "sound"}`);
  await mkdir(folder, { recursive: true });
  await cp(join(ROOT, SCRIPTS), join(folder, "scripts"), { recursive: true });
  const faulty = fault === null ? null : await faultySource(fault);
  if (faulty?.path.endsWith(".lua") === true)
    await writeFile(join(folder, "scripts", basename(faulty.path)), faulty.source);
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
    plugins: faulty === null ? [] : [seeded(faulty)],
  });
  return outfile;
}

/** A source file with the fault in it. */
export type FaultySource = { readonly path: string; readonly source: string };

/** Where the fault stands. Throws if the sources have moved on: the fault must then be written anew. */
export async function faultySource({ name, file = "", find, replace }: SeededFault): Promise<FaultySource> {
  const found: FaultySource[] = [];
  for (const path of await sourcePaths()) {
    if (!path.endsWith(file)) continue;
    const parts = (await readFile(path, "utf8")).split(find);
    for (let more = 1; more < parts.length; more += 1) found.push({ path, source: parts.join(replace) });
  }
  const [one] = found;
  if (one !== undefined && found.length === 1) return one;
  throw new Error(
    `The seeded fault "${name}" stands ${found.length} times in the sources, and must stand once:\n${find}`,
  );
}

async function sourcePaths(): Promise<string[]> {
  const folders = ["src", "machines"].map((folder) => join(ROOT, folder));
  const listed = await Promise.all(
    folders.map(async (folder) => (await readdir(folder, { recursive: true })).map((path) => join(folder, path))),
  );
  return listed.flat().filter((path) => /\.(ts|lua)$/.test(path));
}

function seeded({ path: faulty, source }: FaultySource): Plugin {
  return {
    name: "seeded fault",
    setup(bundling) {
      bundling.onLoad({ filter: /\.ts$/ }, ({ path }) =>
        path === faulty ? { contents: source, loader: "ts", resolveDir: dirname(path) } : null,
      );
    },
  };
}
