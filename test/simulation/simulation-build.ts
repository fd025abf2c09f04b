/** Bundles the simulation, or any other program of the tests, with the product's sources as they are, or with one seeded fault in them. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { basename, dirname, join, relative } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { build, type Plugin } from "esbuild";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const SCRIPTS = "src/stores/redis/scripts";
const BUILT = join(ROOT, "node_modules/.cache/becalm/simulation");

/** A mistake that somebody could make: `find` stands once in `file`, and is replaced. */
export type SeededFault = {
  readonly name: string;
  readonly file: string;
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
  if (fault?.file.startsWith(SCRIPTS)) {
    const source = await readFile(join(ROOT, fault.file), "utf8");
    await writeFile(join(folder, "scripts", basename(fault.file)), withFault(source, fault));
  }
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
    plugins: fault === null ? [] : [seeded(fault)],
  });
  return outfile;
}

/** The source with the fault in it. Throws if the source has moved on: the fault must then be written anew. */
export function withFault(source: string, { name, file, find, replace }: SeededFault): string {
  if (source.split(find).length === 2) return source.replace(find, () => replace);
  throw new Error(`The seeded fault "${name}" no longer fits ${file}: this must stand there exactly once:\n${find}`);
}

function seeded(fault: SeededFault): Plugin {
  return {
    name: "seeded fault",
    setup(bundling) {
      bundling.onLoad({ filter: /\.ts$/ }, async ({ path }) => {
        if (relative(ROOT, path) !== fault.file) return null;
        return { contents: withFault(await readFile(path, "utf8"), fault), loader: "ts", resolveDir: dirname(path) };
      });
    },
  };
}
