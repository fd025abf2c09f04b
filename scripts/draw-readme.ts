// Draws the machines into docs/machines/*.svg and into the README between its two markers.
//   node scripts/run-ts.mjs scripts/draw-readme.ts            writes what has changed
//   node scripts/run-ts.mjs scripts/draw-readme.ts --check    writes nothing; exit code 1 if something is out of date
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { actionInstanceMachine } from "../machines/action-instance.machine.ts";
import { convergenceGroupMachine } from "../machines/convergence-group.machine.ts";
import { drawChart } from "../src/drawing/index.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const README = "README.md";
const MARKER = { begin: "<!-- machine:begin -->", end: "<!-- machine:end -->" } as const;

/** The example of a marked path: the first attempt fails, the second one succeeds. */
const RETRIED_PATH = [
  "Idle",
  "Processing.deciding",
  "Processing.running",
  "Failed",
  "Processing.running",
  "Success",
] as const;

/** Text of every picture by its path in the project. */
export function pictures(): ReadonlyMap<string, string> {
  return new Map([
    ["docs/machines/action-instance.svg", drawChart(actionInstanceMachine, { format: "svg" })],
    [
      "docs/machines/action-instance-retried.svg",
      drawChart(actionInstanceMachine, { format: "svg", path: RETRIED_PATH }),
    ],
    ["docs/machines/convergence-group.svg", drawChart(convergenceGroupMachine, { format: "svg" })],
  ]);
}

/** What stands between the markers of the README. */
export function readmeBlock(): string {
  return [
    '<img src="docs/machines/action-instance.svg" alt="State chart of the action-instance machine" width="100%">',
    "",
    "<details>",
    "<summary>The same chart as text</summary>",
    "",
    "```text",
    drawChart(actionInstanceMachine, { format: "ascii" }).trimEnd(),
    "```",
    "",
    "</details>",
  ].join("\n");
}

/** The README with a fresh block; the text itself if it has no markers. */
export function withBlock(readme: string, block: string): string {
  const begin = readme.indexOf(MARKER.begin);
  const end = readme.indexOf(MARKER.end);
  if (begin < 0 || end < begin) return readme;
  return `${readme.slice(0, begin + MARKER.begin.length)}\n${block}\n${readme.slice(end)}`;
}

/** Files whose text differs from what the machines give, with the text that they should have. */
export function outdated(): Map<string, string> {
  const wanted = new Map(pictures());
  const readme = textOf(README);
  if (readme !== undefined) wanted.set(README, withBlock(readme, readmeBlock()));
  return new Map([...wanted].filter(([path, text]) => textOf(path) !== text));
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(join(ROOT, path), "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

function main(isCheck: boolean): void {
  const files = outdated();
  if (isCheck && files.size > 0) {
    console.error(`out of date: ${[...files.keys()].join(", ")}. Run: node scripts/run-ts.mjs scripts/draw-readme.ts`);
    process.exitCode = 1;
  }
  if (isCheck) return;
  for (const [path, text] of files) {
    mkdirSync(dirname(join(ROOT, path)), { recursive: true });
    writeFileSync(join(ROOT, path), text);
    console.error(`wrote ${path}`);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main(process.argv.includes("--check"));
