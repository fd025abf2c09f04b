/** The command as a child process: from dist/ when that is newer than every source, else straight from the sources. */
import { type ChildProcess, type ChildProcessWithoutNullStreams, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll } from "vitest";
import { isLate, lateStream } from "./lateness.ts";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));

const isBuilt = spawnSync(process.execPath, [join(ROOT, "scripts/is-built.mjs")]).status === 0;
const SOURCE_ARGS = ["--import", join(ROOT, "scripts/ts-loader.mjs"), join(ROOT, "src/cli/main.ts")];
/** What stands behind `node` to start the command. */
export const COMMAND = isBuilt ? [join(ROOT, "dist/src/cli/main.js")] : SOURCE_ARGS;

export type Ended = {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
};

/** `keepsInputOpen`: more may come. */
export type CommandOptions = {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly input?: string;
  readonly keepsInputOpen?: boolean;
};

export type RunningCommand = { readonly child: ChildProcess; readonly ended: Promise<Ended> };

/** Starts `becalm ARGS`. The environment is the test's own, without what would change the command's meaning. */
export function startBecalm(
  args: readonly string[],
  { env = {}, cwd, input = "", keepsInputOpen = false }: CommandOptions = {},
): RunningCommand {
  const {
    BECALM_STORE: _store,
    BECALM_NAMESPACE: _namespace,
    NO_COLOR: _no,
    FORCE_COLOR: _force,
    ...inherited
  } = process.env;
  const child = late(
    spawn(process.execPath, [...COMMAND, ...args], {
      env: { ...inherited, ...env },
      ...(cwd === undefined ? {} : { cwd }),
    }),
  );
  const killWithParent = () => child.kill("SIGKILL");
  process.once("exit", killWithParent);
  const texts = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (piece: string) => (texts.stdout += piece));
  child.stderr.setEncoding("utf8").on("data", (piece: string) => (texts.stderr += piece));
  // A command that ends before it has read its input closes the pipe; that is its right.
  child.stdin.on("error", () => {});
  if (keepsInputOpen) child.stdin.write(input);
  else child.stdin.end(input);
  const printed = isLate ? [once(child.stdout, "close"), once(child.stderr, "close")] : [];
  const ended = Promise.all([once(child, "close"), ...printed]).then(([[code, signal]]) => {
    process.removeListener("exit", killWithParent);
    return { code: code as number | null, signal: signal as NodeJS.Signals | null, ...texts };
  });
  return { child, ended };
}

/** What it prints comes late, if answers do in these tests. */
function late(child: ChildProcessWithoutNullStreams): ChildProcessWithoutNullStreams {
  if (isLate) Object.assign(child, { stdout: lateStream(child.stdout), stderr: lateStream(child.stderr) });
  return child;
}

export function becalm(args: readonly string[], options: CommandOptions = {}): Promise<Ended> {
  return startBecalm(args, options).ended;
}

export function jsonLines<T = Record<string, unknown>>(text: string): T[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as T);
}

/** A directory for the files of one test file, removed at its end. Gives what writes a file into it and answers its path. */
export function useFiles(): (name: string, text: string) => string {
  const dir = mkdtempSync(join(tmpdir(), "becalm-command-"));
  afterAll(() => rmSync(dir, { recursive: true, force: true }));
  return (name, text) => {
    writeFileSync(join(dir, name), text);
    return join(dir, name);
  };
}
