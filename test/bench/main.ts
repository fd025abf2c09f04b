/** npm run bench: takes the figures of docs/benchmarks.md and prints each with its target and its command. */
import { writeFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { parseArgs } from "node:util";
import { messageOf } from "../../src/model/errors.ts";
import { Bench } from "./bench.ts";
import { FIGURES, type Figure, type Row } from "./figures.ts";
import { keepsGuard, rowText, standingOf } from "./report.ts";

const HELP = `npm run bench -- [options]

  --quick        small sizes, medians of 3, no AOF; exit 1 when a ratio falls below its guard
  --only NAME    one figure, may be given again: ${FIGURES.map(({ name }) => name).join(", ")}
  --million      also the figures of 1,000,000 alerts (minutes, 2 GB for the server)
  --rounds N     samples of each arm; default 5, with --quick 3
  --json         one JSON object a row on stdout instead of the table
  --out FILE     the JSON lines into a file too
  --help

Every figure is taken in one run, its arms in turn, and is the median of its samples. Exit 0 also when a target is missed.`;

const OPTIONS = {
  quick: { type: "boolean", default: false },
  million: { type: "boolean", default: false },
  json: { type: "boolean", default: false },
  help: { type: "boolean", default: false },
  only: { type: "string", multiple: true },
  out: { type: "string" },
  rounds: { type: "string" },
} as const;

const values = given();

const rounds = Number(values.rounds ?? (values.quick ? 3 : 5));

if (values.help) console.log(HELP);
else process.exitCode = await takeFigures(chosen());

function given() {
  try {
    return parseArgs({ options: OPTIONS }).values;
  } catch (error) {
    console.error(messageOf(error));
    console.error(HELP);
    process.exit(2);
  }
}

function chosen(): Figure[] {
  const { only } = values;
  const unknown = only?.filter((name) => !FIGURES.some((figure) => figure.name === name)) ?? [];
  if (unknown.length > 0 || !Number.isInteger(rounds) || rounds < 1) {
    console.error(
      unknown.length > 0 ? `There is no figure ${unknown.join(", ")}.` : "--rounds takes a whole number from 1 on.",
    );
    console.error(HELP);
    process.exit(2);
  }
  if (only !== undefined) return FIGURES.filter(({ name }) => only.includes(name));
  return FIGURES.filter(({ when }) => when === "always" || (when === "full" ? !values.quick : values.million));
}

async function takeFigures(figures: readonly Figure[]): Promise<number> {
  const bench = new Bench({ isQuick: values.quick, rounds });
  const rows: { row: Row; command: string }[] = [];
  console.error(
    `${cpus().length} x ${cpus()[0]?.model}, Node ${process.version}, load ${loadavg()
      .map((load) => load.toFixed(1))
      .join(" ")}`,
  );
  try {
    for (const figure of figures) {
      console.error(`${figure.name} ...`);
      for (const row of await figure.run(bench)) {
        rows.push({ row, command: commandOf(figure) });
        const { command } = rows.at(-1) as { command: string };
        console.log(values.json ? jsonOf(row, command) : rowText(row, command));
      }
    }
  } finally {
    await bench.end();
  }
  if (values.out !== undefined)
    writeFileSync(values.out, rows.map(({ row, command }) => `${jsonOf(row, command)}\n`).join(""));
  const missed = rows.filter(({ row }) => standingOf(row) === "missed").length;
  const broken = values.quick ? rows.filter(({ row }) => !keepsGuard(row)) : [];
  console.error(`${rows.length} figures, ${missed} missed, load ${loadavg()[0]?.toFixed(1)}`);
  for (const { row } of broken)
    console.error(
      `guard broken: ${row.figure} is ${row.value}, the guard ${row.target?.direction} ${row.target?.guard}`,
    );
  return broken.length > 0 ? 1 : 0;
}

function commandOf({ name }: Figure): string {
  return `npm run bench -- --only ${name}${values.quick ? " --quick" : ""}${values.rounds === undefined ? "" : ` --rounds ${rounds}`}`;
}

function jsonOf(row: Row, command: string): string {
  return JSON.stringify({ ...row, standing: standingOf(row), command });
}
