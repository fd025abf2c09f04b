/** The most memory that `becalm detect` takes for a file, by the kernel's word: the built command, with Node as it is started. Linux only. */
import { spawnSync } from "node:child_process";
import { createWriteStream, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { HEADER, metricRows, STRATEGIES } from "../support/metric-rows.ts";

/** npm runs the benchmarks in the project's folder. */
const COMMAND = resolve("dist/src/cli/main.js");
const HOSTS = 50;
const PIECE_CHARS = 65_536;

/** Has the process tell its own peak at its end: looking on from outside would miss the last moment. */
const TELLS_PEAK = `const { readFileSync, writeSync } = require("node:fs");
process.on("exit", () => writeSync(3, readFileSync("/proc/self/status")));
`;

/** Peaks in bytes, `rounds` of each count, in turn. */
export async function detectPeaks(counts: readonly number[], rounds: number): Promise<number[][]> {
  if (!existsSync(COMMAND)) throw new Error("dist/ is missing: run `npm run build` first");
  const dir = mkdtempSync(join(tmpdir(), "becalm-bench-detect-"));
  try {
    writeFileSync(join(dir, "strategies.yaml"), STRATEGIES);
    writeFileSync(join(dir, "tells-peak.cjs"), TELLS_PEAK);
    const paths = counts.map((count) => join(dir, `${count}.csv`));
    for (const [index, path] of paths.entries())
      await pipeline(Readable.from(piecesOf(counts[index] as number)), createWriteStream(path));
    const peaks: number[][] = counts.map(() => []);
    for (let round = 1; round <= rounds; round += 1)
      for (const [index, path] of paths.entries()) peaks[index]?.push(peakOf(dir, path));
    return peaks;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function* piecesOf(count: number): Generator<string> {
  let piece = `${HEADER}\n`;
  for (const row of metricRows({ count, hosts: HOSTS, seed: 2 })) {
    piece += `${row}\n`;
    if (piece.length < PIECE_CHARS) continue;
    yield piece;
    piece = "";
  }
  yield piece;
}

function peakOf(dir: string, records: string): number {
  const nodeArgs = ["--require", join(dir, "tells-peak.cjs"), COMMAND];
  const args = [...nodeArgs, "detect", "--strategies", join(dir, "strategies.yaml"), "--records", records, "--json"];
  const { status, stderr, output } = spawnSync(process.execPath, args, {
    env: { ...process.env, NODE_OPTIONS: "" },
    stdio: ["ignore", "ignore", "pipe", "pipe"],
    encoding: "utf8",
  });
  const kib = Number(/VmHWM:\s+(\d+) kB/.exec(output[3] ?? "")?.[1]);
  if (status !== 0 || !(kib > 0)) throw new Error(`becalm detect did not tell its memory: ${stderr}`);
  return kib * 1_024;
}
