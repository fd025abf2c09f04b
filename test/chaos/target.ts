import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { buildProgram } from "../simulation/simulation-build.ts";

export type TargetOptions = { readonly logPath: string; readonly failures: number; readonly delayMsMax: number };

/** One line of the target's log. */
export type TargetLine = {
  readonly atMs: number;
  readonly key: string;
  readonly instance: string;
  readonly attempt: number;
  readonly kind: string;
  readonly labels: Readonly<Record<string, string>> | null;
};

export type Target = {
  readonly url: string;
  lines(): Promise<TargetLine[]>;
  stop(): Promise<void>;
};

export async function startTarget(options: TargetOptions): Promise<Target> {
  const child: ChildProcess = fork(await buildProgram("test/chaos/target-process.ts"), [JSON.stringify(options)]);
  const [{ port }] = (await once(child, "message")) as [{ port: number }];
  return {
    url: `http://127.0.0.1:${port}/`,
    lines: async () => {
      const text = await readFile(options.logPath, "utf8");
      return text.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line) as TargetLine]));
    },
    stop: async () => {
      if (child.exitCode !== null) return;
      child.kill("SIGKILL");
      await once(child, "exit");
    },
  };
}
