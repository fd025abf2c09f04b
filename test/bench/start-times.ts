/** How long the command takes to start, beside Node alone: whole processes, in turn. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { median } from "./stats.ts";

/** npm runs the benchmarks in the project's folder. */
const COMMAND = resolve("dist/src/cli/main.js");

export async function startTimes(rounds: number): Promise<{ becalmMs: number; nodeMs: number }> {
  if (!existsSync(COMMAND)) throw new Error("dist/ is missing: run `npm run build` first");
  const [becalm, node]: [number[], number[]] = [[], []];
  for (let round = 0; round <= rounds; round += 1) {
    const times = [timeOf([COMMAND, "--version"]), timeOf(["-e", "0"])] as const;
    // The first round fills the caches of the disk.
    if (round === 0) continue;
    becalm.push(times[0]);
    node.push(times[1]);
  }
  return { becalmMs: median(becalm), nodeMs: median(node) };
}

function timeOf(args: readonly string[]): number {
  const startedAtMs = performance.now();
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`node ${args.join(" ")} failed: ${stderr}`);
  return performance.now() - startedAtMs;
}
