/**
 * What the strategies of demo/strategies.yaml find in demo/host-metrics.csv, as docs/detection-results.md tells it.
 * node scripts/run-ts.mjs scripts/detection-results.ts writes the page; a test compares it with what this file makes.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { advance } from "../src/detection/core/advance.ts";
import type { DetectedAlert } from "../src/detection/core/detected-alert.ts";
import { applyChanges, emptyGroupState } from "../src/detection/core/group-state.ts";
import { createRecordRouter } from "../src/detection/core/router.ts";
import { fieldsOf } from "../src/detection/core/strategy.ts";
import { groupStrategies } from "../src/detection/core/strategy-group.ts";
import type { StateEvent } from "../src/detection/records/record-types.ts";
import { csvReader } from "../src/formats/csv.ts";
import { loadStrategies } from "../src/formats/strategy-file.ts";

/** Epoch seconds of the recording's first row. */
export const RECORDING_START = 1_795_417_161;

const RECORDING = "demo/host-metrics.csv";
const STRATEGIES = "demo/strategies.yaml";
export const PAGE = "docs/detection-results.md";

/** Where the part of another script (nab-results.ts) begins; it is kept as it is. */
export const NAB_MARK = "<!-- From here on by scripts/nab-results.ts. Do not edit. -->";

/** An alert that begins up to so many seconds after an incident's end still belongs to it. */
export const ALERT_GRACE_SECONDS = 5;

/** What was done to the host on purpose, in seconds after the first row, and the strategies that should tell it. */
export const INCIDENTS = [
  { name: "one core busy", from: 100, to: 160, strategies: ["cpu-core-busy"] },
  { name: "both cores busy", from: 220, to: 280, strategies: ["cpu-core-busy"] },
  { name: "heavy disk writes", from: 330, to: 375, strategies: ["disk-writes-heavy"] },
  {
    name: "memory filled (one core busy at its start)",
    from: 420,
    to: 475,
    strategies: ["memory-filling", "cpu-core-busy"],
  },
  { name: "CPU burst, first", from: 500, to: 508, strategies: ["cpu-core-busy"] },
  { name: "CPU burst, second", from: 520, to: 528, strategies: ["cpu-core-busy"] },
  { name: "CPU burst, third", from: 540, to: 548, strategies: ["cpu-core-busy"] },
] as const;

export type Incident = (typeof INCIDENTS)[number];

/** One strategy's share in an incident. Times are seconds after the first row. */
export type Finding = {
  readonly incident: string;
  readonly strategy: string;
  /** When the first alert of each severity began, after the incident did; empty: missed. */
  readonly delays: readonly { readonly severity: string; readonly delaySeconds: number }[];
  readonly alertCount: number;
  readonly resolvedAt: number | null;
};

export type Results = {
  readonly rowCount: number;
  readonly alerts: readonly DetectedAlert[];
  readonly findings: readonly Finding[];
  readonly falseAlarms: readonly DetectedAlert[];
};

const read = (path: string): string => readFileSync(new URL(`../${path}`, import.meta.url), "utf8");

/** Runs the whole recording through the example strategies. */
export function detectRecording(strategiesText: string = read(STRATEGIES)): Results {
  const strategies = loadStrategies(strategiesText, { file: STRATEGIES });
  const groups = groupStrategies(strategies);
  const route = createRecordRouter(groups);
  const reader = csvReader({ file: RECORDING, usedFields: fieldsOf(strategies) });
  const rows = [...reader.feed(read(RECORDING)), ...reader.end()];
  const eventsByGroup = new Map<string, StateEvent[]>(groups.map(({ key }) => [key, []]));
  for (const row of rows) {
    if ("rejected" in row) throw new Error(`${RECORDING}:${row.line}: ${row.text}`);
    for (const { group, event } of route(row.record).events) eventsByGroup.get(group.key)?.push(event);
  }
  const alerts = groups.flatMap((group) => {
    const state = emptyGroupState();
    const step = advance(state, group, { events: eventsByGroup.get(group.key) ?? [], flush: true });
    applyChanges(state, step.changes);
    return step.alerts;
  });
  return { rowCount: rows.length, alerts, ...judge(alerts) };
}

function judge(alerts: readonly DetectedAlert[]): Pick<Results, "findings" | "falseAlarms"> {
  const begun = alerts.filter(({ alert, reason }) => alert.status === "firing" && reason !== "resent");
  const belongs = (one: DetectedAlert, { from, to, strategies }: Incident): boolean => {
    const at = one.time - RECORDING_START;
    return at >= from && at <= to + ALERT_GRACE_SECONDS && (strategies as readonly string[]).includes(one.strategy);
  };
  const findings = INCIDENTS.flatMap((incident) =>
    incident.strategies.map((strategy) => {
      const own = begun.filter((one) => one.strategy === strategy && belongs(one, incident));
      return finding({ incident, strategy, own }, alerts);
    }),
  );
  return { findings, falseAlarms: begun.filter((one) => !INCIDENTS.some((incident) => belongs(one, incident))) };
}

type Share = { readonly incident: Incident; readonly strategy: string; readonly own: readonly DetectedAlert[] };

function finding({ incident, strategy, own }: Share, alerts: readonly DetectedAlert[]): Finding {
  const firstOf = new Map<string, number>();
  for (const { severity, time } of own) {
    if (!firstOf.has(severity)) firstOf.set(severity, time - RECORDING_START - incident.from);
  }
  const ends = alerts.filter(
    ({ alert }) => alert.status === "resolved" && own.some((one) => isSameEpisode(one, alert)),
  );
  return {
    incident: incident.name,
    strategy,
    delays: [...firstOf].map(([severity, delaySeconds]) => ({ severity, delaySeconds })),
    alertCount: own.length,
    resolvedAt: ends.length === 0 ? null : Math.max(...ends.map(({ time }) => time)) - RECORDING_START,
  };
}

function isSameEpisode(one: DetectedAlert, alert: DetectedAlert["alert"]): boolean {
  return one.alert.fingerprint === alert.fingerprint && one.alert.startsAtMs === alert.startsAtMs;
}

/** Other settings for the same strategies: a text of the file, and what stands there instead. */
const VARIATIONS = [
  ["one busy second of one warns", "trigger: { count: 5, window: 6 }", "trigger: { count: 1, window: 1 }"],
  ["two of three", "trigger: { count: 5, window: 6 }", "trigger: { count: 2, window: 3 }"],
  ["eight of nine", "trigger: { count: 5, window: 6 }", "trigger: { count: 8, window: 9 }"],
  ["nine of ten", "trigger: { count: 5, window: 6 }", "trigger: { count: 9, window: 10 }"],
  ["a core is busy from 50 %", 'when: ">= 90"', 'when: ">= 50"'],
  [
    "50 %, and one second of one",
    'warning, when: ">= 90", trigger: { count: 5, window: 6 }',
    'warning, when: ">= 50", trigger: { count: 1, window: 1 }',
  ],
  ["writes are heavy from 5 MB/s", '">= 50000000"', '">= 5000000"'],
  [
    "5 MB/s, and one second of one",
    '">= 50000000", trigger: { count: 3, window: 5 }',
    '">= 5000000", trigger: { count: 1, window: 1 }',
  ],
] as const;

/** How much of the result hangs on the chosen numbers. */
function variationRows(): string[] {
  const text = read(STRATEGIES);
  return VARIATIONS.map(([name, from, to]) => {
    if (!text.includes(from)) throw new Error(`${STRATEGIES} no longer holds ${from}; change VARIATIONS`);
    const { findings, falseAlarms } = detectRecording(text.replaceAll(from, to));
    return `| ${name} | ${caughtCount(findings)} of ${INCIDENTS.length} | ${falseAlarms.length} |`;
  });
}

function caughtCount(findings: readonly Finding[]): number {
  return new Set(findings.filter(({ alertCount }) => alertCount > 0).map(({ incident }) => incident)).size;
}

/** The page, from the results. */
export function resultsPage({ rowCount, alerts, findings, falseAlarms }: Results): string {
  const table = findings.map((one) => {
    const { from, to } = INCIDENTS.find(({ name }) => name === one.incident) as Incident;
    const delays = one.delays.map(({ severity, delaySeconds }) => `${severity} ${delaySeconds} s`).join(", ");
    const end = one.resolvedAt === null ? "-" : `${one.resolvedAt - to} s`;
    return `| ${one.incident} | ${from}-${to} | ${one.strategy} | ${delays || "missed"} | ${one.alertCount} | ${end} |`;
  });
  const caught = caughtCount(findings);
  const firing = alerts.filter(({ alert }) => alert.status === "firing").length;
  return `# What the example strategies find

Made by \`scripts/detection-results.ts\` from the ${rowCount} rows of [demo/host-metrics.csv](../demo/host-metrics.csv) (ten minutes of a
real 2-core host, sampled each second) and the strategies of [demo/strategies.yaml](../demo/strategies.yaml). Do not edit.

Caught: ${caught} of ${INCIDENTS.length} incidents. False alarms: ${falseAlarms.length}. Alerts sent: ${firing} firing, ${alerts.length - firing} resolved.

| incident | seconds | strategy | delay until it fired | alerts | over after the incident's end |
|---|---|---|---|---|---|
${table.join("\n")}

${falseAlarmsText(falseAlarms)}

The same with other numbers:

| one thing changed | caught | false alarms |
|---|---|---|
${variationRows().join("\n")}

How to read it:

- Delays are in data time, from the incident's planned begin to the alert's \`startsAt\`. An alert is *sent* one interval later, when no
  earlier point of its series can come within the lateness: one second here.
- An alert belongs to an incident if it begins within it, or up to ${ALERT_GRACE_SECONDS} s after it, and its strategy is meant for it. Every other one is a
  false alarm.
- The count is one per series (core) and level: both cores are two series, and a critical alert takes the place of its warning.
- An end before the incident's (below 0) means that the host was quiet again earlier, as the core was that filled the memory. The memory itself was
  given back 14 s after the planned end.
- The three bursts are flapping: each ends and begins anew. To act once on them is what a convergence rule is for, not a strategy.
- **The thresholds were chosen on this very recording**, which is ten minutes long. So the table shows that the machinery works, and says nothing about
  how these strategies do on another host. They do not look at \`load1\` levels, waits for the disk, reads, or the network at all.
`;
}

function falseAlarmsText(falseAlarms: readonly DetectedAlert[]): string {
  if (falseAlarms.length === 0) return "No alert began outside the incidents.";
  const lines = falseAlarms.map((one) => `- ${one.strategy} ${one.severity} at ${one.time - RECORDING_START} s`);
  return `Alerts outside the incidents:\n\n${lines.join("\n")}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const before = read(PAGE);
  const other = before.includes(NAB_MARK) ? `\n${before.slice(before.indexOf(NAB_MARK))}` : "";
  writeFileSync(new URL(`../${PAGE}`, import.meta.url), resultsPage(detectRecording()) + other);
  console.log(`${PAGE} is written`);
}
