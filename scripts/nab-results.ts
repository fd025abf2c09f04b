/**
 * What plain limits find in the Numenta Anomaly Benchmark, as the second part of docs/detection-results.md says.
 * node scripts/run-ts.mjs scripts/nab-results.ts CHECKOUT [--before OTHER/dist/src/cli/main.js]
 * runs the built command on a checkout of https://github.com/numenta/NAB; nothing of it is kept here.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { ALERT_GRACE_SECONDS, INCIDENTS, NAB_MARK, PAGE, RECORDING_START } from "./detection-results.ts";
import { type NabFile, type Rule, readNab, recordsOf, strategiesOf } from "./nab-data.ts";

const COMMAND = "dist/src/cli/main.js";

/** A round setting; what others find stands below it. */
const RULE: Rule = { margin: 0.1, count: 2, window: 3, recovery: 3 };

const OTHERS: readonly Rule[] = [
  [1, 1, 3],
  [2, 3, 3],
  [3, 5, 5],
  [5, 6, 6],
].flatMap(([count = 1, window = 1, recovery = 1]) =>
  [0, 0.1, 0.25, 0.5, 1].map((margin) => ({ margin, count, window, recovery })),
);

/** The same with a condition more. */
const WITH_CHANGE: readonly Rule[] = [
  { margin: 0.1, count: 3, window: 5, recovery: 5, change: { over: 1, margin: 0.25 } },
  { ...RULE, change: { over: 1, margin: 0.25 } },
  { ...RULE, change: { over: 1, margin: 0 } },
  { ...RULE, change: { over: 12, margin: 0.25 } },
  { margin: 0.25, count: 1, window: 1, recovery: 3, change: { over: 1, margin: 1 } },
  { margin: 0.25, count: 1, window: 1, recovery: 3, change: { over: 12, margin: 1 } },
];

type Line = {
  readonly summary?: Readonly<Record<string, number>>;
  readonly body: readonly { readonly labels: Record<string, string>; readonly startsAt: string }[];
  readonly detection?: { readonly reason: string; readonly strategy: string };
};

type Fired = { readonly strategy: string; readonly labels: Record<string, string>; readonly time: number };

type Run = { readonly fired: readonly Fired[]; readonly lost: number };

/** Alerts that began, and records that were given and not looked at. */
function detect(command: string, strategies: string, records: string): Run {
  const args = [command, "detect", "--strategies", strategies, "--records", records, "--json", "--quiet"];
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { encoding: "utf8", maxBuffer: 2 ** 30 });
  if (status !== 0) throw new Error(`becalm detect failed: ${stderr}`);
  const lines = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Line);
  const fired = lines.flatMap(({ body: [alert], detection }) =>
    alert === undefined || detection?.reason !== "triggered"
      ? []
      : [{ strategy: detection.strategy, labels: alert.labels, time: Date.parse(alert.startsAt) / 1_000 }],
  );
  const { rejected = 0 } = lines.at(-1)?.summary ?? {};
  return { fired, lost: rejected };
}

type Judged = {
  readonly windows: number;
  readonly caught: number;
  readonly delaysSeconds: readonly number[];
  readonly falseAlarms: number;
  readonly days: number;
};

/** Only what lies behind the part that the limits were chosen on. */
function judge(files: readonly NabFile[], fired: readonly Fired[]): Judged {
  const sums = { windows: 0, caught: 0, falseAlarms: 0, days: 0 };
  const delaysSeconds: number[] = [];
  for (const { name, points, judgedFrom, anomalies } of files) {
    const times = fired.filter(({ labels, time }) => labels["file"] === name && time >= judgedFrom);
    const judged = anomalies.filter(({ from }) => from >= judgedFrom);
    sums.windows += judged.length;
    for (const { from, to, labelledAt } of judged) {
      const first = times.map(({ time }) => time).find((time) => time >= from && time <= to);
      if (first === undefined) continue;
      sums.caught += 1;
      delaysSeconds.push(first - labelledAt);
    }
    sums.falseAlarms += times.filter(
      ({ time }) => !anomalies.some(({ from, to }) => time >= from && time <= to),
    ).length;
    sums.days += ((points.at(-1)?.time ?? judgedFrom) - judgedFrom) / 86_400;
  }
  return { ...sums, delaysSeconds: delaysSeconds.sort((a, b) => a - b) };
}

class Bench {
  readonly #files: readonly NabFile[];
  readonly #dir = mkdtempSync(join(tmpdir(), "becalm-nab-"));

  constructor(files: readonly NabFile[]) {
    this.#files = files;
    writeFileSync(join(this.#dir, "records.csv"), recordsOf(files));
  }

  run(rule: Rule, command: string = COMMAND): Run {
    writeFileSync(join(this.#dir, "strategies.json"), JSON.stringify(strategiesOf(this.#files, rule)));
    return detect(command, join(this.#dir, "strategies.json"), join(this.#dir, "records.csv"));
  }

  end(): void {
    rmSync(this.#dir, { recursive: true });
  }
}

/** Of the seven incidents of our own recording: how many were caught, and what was a false alarm. */
function ownIncidents(command: string): { caught: number; falseAlarms: number } {
  const { fired } = detect(command, "demo/strategies.yaml", "demo/host-metrics.csv");
  const incidentsOf = ({ strategy, time }: Fired) => {
    const at = time - RECORDING_START;
    return INCIDENTS.filter(
      ({ from, to, strategies }) =>
        at >= from && at <= to + ALERT_GRACE_SECONDS && (strategies as readonly string[]).includes(strategy),
    );
  };
  const found = fired.map(incidentsOf);
  return {
    caught: new Set(found.flat().map(({ name }) => name)).size,
    falseAlarms: found.filter((incidents) => incidents.length === 0).length,
  };
}

function minutes(seconds: number | undefined): string {
  return seconds === undefined ? "-" : `${Math.round(seconds / 60)} min`;
}

function median(sorted: readonly number[]): number | undefined {
  return sorted[Math.floor(sorted.length / 2)];
}

function categoryRows(files: readonly NabFile[], fired: readonly Fired[]): string[] {
  return [...new Set(files.map(({ category }) => category))].map((category) => {
    const own = files.filter((file) => file.category === category);
    const { windows, caught, delaysSeconds, falseAlarms, days } = judge(own, fired);
    const share = windows === 0 ? "none to catch" : `${caught} of ${windows}`;
    return `| ${category} | ${own.length} | ${Math.round(days)} | ${share} | ${minutes(median(delaysSeconds))} | ${falseAlarms} |`;
  });
}

function missedRows(files: readonly NabFile[], fired: readonly Fired[]): string {
  const missed = files.filter((file) => {
    const { windows, caught } = judge([file], fired);
    return windows > 0 && caught === 0;
  });
  return `${missed.length} of the ${files.filter(({ anomalies }) => anomalies.length > 0).length} files with anomalies`;
}

function otherRows(bench: Bench, files: readonly NabFile[], rules: readonly Rule[]): string[] {
  return rules.map((rule) => {
    const { windows, caught, delaysSeconds, falseAlarms, days } = judge(files, bench.run(rule).fired);
    const { margin, count, window, change } = rule;
    const rate = ((7 * falseAlarms) / days).toFixed(2);
    const more = change === undefined ? "" : ` | change(${change.over}), ${change.margin}`;
    return `| ${margin} | ${count} of ${window}${more} | ${caught} of ${windows} | ${minutes(median(delaysSeconds))} | ${falseAlarms} | ${rate} |`;
  });
}

function beforeRows(
  bench: Bench,
  files: readonly NabFile[],
  commands: readonly (readonly [string, string])[],
): string[] {
  return commands.map(([name, command]) => {
    const own = ownIncidents(command);
    const { fired, lost } = bench.run(RULE, command);
    const { windows, caught, falseAlarms, delaysSeconds } = judge(files, fired);
    const delay = minutes(median(delaysSeconds));
    return `| ${name} | ${own.caught} of ${INCIDENTS.length} | ${own.falseAlarms} | ${caught} of ${windows} | ${delay} | ${falseAlarms} | ${lost} |`;
  });
}

function nabPart(files: readonly NabFile[], bench: Bench, before: string | undefined): string {
  const { fired } = bench.run(RULE);
  const { windows, caught, delaysSeconds, falseAlarms, days } = judge(files, fired);
  const early = delaysSeconds.filter((seconds) => seconds < 0).length;
  const commands = [...(before === undefined ? [] : [["before", before] as const]), ["now", COMMAND] as const];
  const count = files.reduce((sum, { points }) => sum + points.length, 0);
  return `${NAB_MARK}

# What plain limits find in other people's data

Made by \`scripts/nab-results.ts\` from a checkout of the [Numenta Anomaly Benchmark](https://github.com/numenta/NAB) that you bring: ${files.length}
files with ${count.toLocaleString("en")} points, most of them real, in which people marked ${windows} windows that are judged here. Nothing of it is part of this project.

One rule with round numbers for all files. The first 15 % of a file give its lowest and its highest value, and the limits lie
${RULE.margin * 100} % of that range outside of both. ${RULE.count} of ${RULE.window} points beyond a limit fire, ${RULE.recovery} normal ones end it. An alert that begins in a window catches it, every other one
behind the first 15 % is a false alarm. Delays count from the labelled moment, which lies in the middle of its window.

**Caught: ${caught} of ${windows} windows. False alarms: ${falseAlarms} in ${Math.round(days).toLocaleString("en")} days of data (${((7 * falseAlarms) / days).toFixed(2)} a week and series).** Median delay ${minutes(median(delaysSeconds))}; ${early} windows were
caught before the labelled moment.

| category | files | days | caught | median delay | false alarms |
|---|---|---|---|---|---|
${categoryRows(files, fired).join("\n")}

The same with other numbers. Whoever picks the best row has looked at the answers:

| margin | points | caught | median delay | false alarms | a week and series |
|---|---|---|---|---|---|
${otherRows(bench, files, OTHERS).join("\n")}

And with the change to the points before in the same condition, whose limits lie as far beyond what the first 15 % show as the second number says. Where
one false alarm in two or three weeks is acceptable it finds what no limit finds at that price, steps inside of the normal range:

| margin | points | and | caught | median delay | false alarms | a week and series |
|---|---|---|---|---|---|---|
${otherRows(bench, files, WITH_CHANGE).join("\n")}

Both results, with the version before detection gave each series its own order:

| version | own incidents | false alarms | windows of NAB | median delay | false alarms | records not looked at |
|---|---|---|---|---|---|---|
${beforeRows(bench, files, commands).join("\n")}

An alert also ends when its window has not met the trigger for as many points as the recovery says, and it is then ready to fire again: a long
disturbance with scattered points is several alerts now, and was one. The windows that are caught are the same.

What limits cannot do:

- **See a change inside the normal range.** In ${missedRows(files, fired)} no window is caught: a flat line where a daily wave should
  be, a missing peak, a rhythm that changes, a value that is normal at noon and not at night. No limit on the value separates those.
- **Learn.** The first 15 % are all that a limit knows: where the level shifts later on and stays there, the limits are
  wrong from then on.
- **Know that a rare peak is normal.** What happens once a month is not in the first 15 %.
- **Be judged by this alone.** The windows are wide (a tenth of a file is marked), so a false alarm may catch one by luck; and who watches a host
  knows more of it than its first days.

Comparing with the same time of earlier days was tried on the same files, too: [what was seen](decisions/ratio-detectors.md).
`;
}

const [checkout, flag, other] = process.argv.slice(2);
if (checkout === undefined || (flag !== undefined && (flag !== "--before" || other === undefined))) {
  console.error("usage: node scripts/run-ts.mjs scripts/nab-results.ts CHECKOUT [--before OTHER/dist/src/cli/main.js]");
  process.exit(2);
}
const files = readNab(resolve(checkout));
const bench = new Bench(files);
const part = nabPart(files, bench, other === undefined ? undefined : resolve(other));
bench.end();
const page = readFileSync(PAGE, "utf8").split(NAB_MARK)[0] ?? "";
writeFileSync(PAGE, `${page.trimEnd()}\n\n${part}`);
console.log(`${PAGE} is written`);
