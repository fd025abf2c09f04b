/**
 * Follows one record of demo/host-metrics.csv to the audit entries of the instance that it leads to, as
 * docs/one-record.md tells it. node scripts/run-ts.mjs scripts/one-record.ts writes the page; a test compares it with
 * what this file makes.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { takeLines } from "../src/cli/take-lines.ts";
import { SIMULATED, withVirtualRun } from "../src/cli/with-namespace.ts";
import { registerKeysWithConfig } from "../src/detection/core/checkpoint-keys.ts";
import type { DetectedAlert } from "../src/detection/core/detected-alert.ts";
import { createRecordRouter } from "../src/detection/core/router.ts";
import { STRATEGY_ITEM_ID } from "../src/detection/core/strategy.ts";
import type { StrategyGroup } from "../src/detection/core/strategy-group.ts";
import { Detection } from "../src/detection/detection.ts";
import { cleanEvent } from "../src/detection/records/record.ts";
import type { StateEvent } from "../src/detection/records/record-types.ts";
import { csvReader } from "../src/formats/csv.ts";
import { detectedLine } from "../src/formats/detected-line.ts";
import { loadPolicySet } from "../src/formats/policy-file.ts";
import type { RecordRow } from "../src/formats/record-row.ts";
import { loadStrategies } from "../src/formats/strategy-file.ts";
import type { AuditEntry, History } from "../src/instance/audit-types.ts";
import type { Instance } from "../src/instance/checkpoint.ts";
import { counterfactualText } from "../src/present/counterfactual-text.ts";
import { sentenceOf } from "../src/present/sentences.ts";
import { memoryDetectionStore } from "../src/stores/memory/memory-detection-store.ts";

const RECORDING = "demo/host-metrics.csv";
const STRATEGIES = "demo/strategies.yaml";
const POLICIES = "demo/host-policies.yaml";
const PAGE = "docs/one-record.md";

const read = (path: string): string => readFileSync(new URL(`../${path}`, import.meta.url), "utf8");

type Row = Extract<RecordRow, { record: unknown }>;

function rowsOfRecording(): Row[] {
  const reader = csvReader({ file: RECORDING });
  return [...reader.feed(read(RECORDING)), ...reader.end()].filter((row): row is Row => !("rejected" in row));
}

/** Detects rows in one batch, without a flush: the first `count` of the file. */
async function detectRows(rows: readonly Row[]) {
  const store = memoryDetectionStore({ now: () => 0 });
  const alerts: DetectedAlert[] = [];
  let commits = 0;
  const commitId = () => {
    commits += 1;
    return `commit-${commits}`;
  };
  const world = { store, now: () => 0, commitId, pause: async () => {}, random: () => 0 };
  const strategies = loadStrategies(read(STRATEGIES), { file: STRATEGIES });
  const detection = new Detection(world, strategies, { onAlerts: (some) => void alerts.push(...some) });
  await detection.load();
  await detection.take(RECORDING, [rows]);
  return { store, alerts, groups: detection.groups };
}

type Found = {
  readonly row: Row;
  readonly event: StateEvent;
  readonly group: StrategyGroup;
  /** The row whose time moved the watermark past the record. */
  readonly mover: Row;
  readonly alert: DetectedAlert;
  readonly lastCheckpoint: number | null;
  readonly groupCheckpoint: number | null;
  readonly checkResults: readonly { readonly time: number; readonly text: string }[];
};

/** The record that makes the recording's first alert fire, and what is stored when it has. */
async function followDetection(): Promise<Found> {
  const rows = rowsOfRecording();
  const [first] = (await detectRows(rows)).alerts as [DetectedAlert];
  const group = (await detectRows([])).groups.find(({ strategies }) =>
    strategies.some(({ name }) => name === first.strategy),
  ) as StrategyGroup;
  const route = createRecordRouter([group]);
  const events = rows.map((row) => route(row.record).events[0]?.event);
  const isIt = (event: StateEvent | undefined) =>
    event !== undefined && event.recordId === `${first.dimensionsMd5}.${first.time}`;
  const index = events.findIndex(isIt);
  // Points are detected once the newest time less one interval has passed them.
  const moverIndex = events.findIndex((event) => (event?.time ?? 0) - group.intervalSeconds > first.time);
  const { store, alerts } = await detectRows(rows.slice(0, moverIndex + 1));
  const of = {
    strategyId: first.strategy,
    itemId: STRATEGY_ITEM_ID,
    dimensionsMd5: first.dimensionsMd5,
    level: first.severity,
  };
  return {
    row: rows[index] as Row,
    event: events[index] as StateEvent,
    group,
    mover: rows[moverIndex] as Row,
    alert: alerts[0] as DetectedAlert,
    lastCheckpoint: await store.getCheckpoint(of),
    groupCheckpoint: await store.groupCheckpoint(group.key),
    checkResults: (await store.checkResults(of)).slice(-6),
  };
}

type Acted = { readonly instance: Instance; readonly history: History };

/** The alert through the policies, alone. */
async function actOn(alert: DetectedAlert): Promise<Acted> {
  const policies = loadPolicySet(read(POLICIES), { file: POLICIES });
  const requests = async function* () {
    yield { line: 1, text: JSON.stringify(detectedLine(1, alert)), isTooLong: false };
  };
  const options = { namespace: "one-record", policies, concurrency: 1, effects: SIMULATED };
  return withVirtualRun(options, async ({ instances, run }) => {
    const fail = (what: string): never => {
      throw new Error(what);
    };
    const taken = await takeLines({
      lines: requests(),
      run,
      label: "the detected alert",
      onRejected: fail,
      onLine: () => {},
      isStopped: () => false,
    });
    await run.finish();
    const [id] = taken.ids as unknown as Iterable<string>;
    return { instance: await instances.instance(id as string), history: await instances.history(id as string) };
  });
}

export async function oneRecordPage(): Promise<string> {
  const found = await followDetection();
  const { instance, history } = await actOn(found.alert);
  return [
    intro(found),
    recordPart(found),
    detectionPart(found),
    alertPart(found),
    instancePart(instance, history),
    ...history.entries.map((entry, index) => entryPart(entry, { history, number: index + 1 })),
    "The chain of hashes ends in the checkpoint, so a changed, missing or reordered entry is found: `becalm audit verify`.\n",
  ].join("\n");
}

function json(value: unknown): string {
  return `\`\`\`json\n${JSON.stringify(value, null, 2)}\n\`\`\``;
}

function intro({ row }: Found): string {
  return `# One record, from the CSV line to the audit entry

Made by \`scripts/one-record.ts\` from [demo/host-metrics.csv](../demo/host-metrics.csv), [demo/strategies.yaml](../demo/strategies.yaml) and
[demo/host-policies.yaml](../demo/host-policies.yaml). Do not edit. The values are what the code makes of line ${row.line}.
`;
}

function recordPart({ row, event, group }: Found): string {
  const { record_id, ...rest } = cleanEvent(event);
  return `## 1. The line becomes a record

Line ${row.line} of the file (the CSV's push parser, \`src/formats/csv.ts\`; cells are texts):

\`\`\`
${read(RECORDING).split("\n")[row.line - 1]}
\`\`\`

${json(row.record)}

## 2. The record becomes a state event

The filter of ${group.strategies.map(({ name }) => `\`${name}\``).join(", ")} is \`${JSON.stringify(group.query.filter)}\`, so the record belongs to it. \`parseRecord\` makes numbers of the texts,
rounds to ${group.query.precision} decimals, and names the event after its series and time: the md5 of the dimensions, a dot, the seconds.
\`access_time\` is null because this page has no clock.

${json({ record_id, ...rest })}
`;
}

function detectionPart({ event, group, mover, lastCheckpoint, groupCheckpoint, checkResults, alert }: Found): string {
  const keys = registerKeysWithConfig();
  const level = {
    strategyId: alert.strategy,
    itemId: STRATEGY_ITEM_ID,
    dimensionsMd5: alert.dimensionsMd5,
    level: alert.severity,
  };
  const parameters = { strategyGroupKey: group.key };
  // A bar would end the table's cell.
  const results = checkResults.map(({ time, text }) => `\`${time} ${text.replace("|", "\\|")}\``).join(", ");
  const source = group.strategies[0]?.levels.find(({ severity }) => severity === alert.severity);
  return `## 3. The event waits, and is detected

Its id has not come within the last 10 intervals, so it is taken in and remembered. It waits until no earlier record of its series can still come:
line ${mover.line} has the time ${String(mover.record["time"])}, and the newest time less one interval (${group.intervalSeconds} s) has passed ${event.time}.

The level \`${alert.severity}\` compares its value ${event.value} with the limit: it is number ${source?.trigger.count} of ${source?.trigger.window} that is anomalous, so the alert fires.

The commit that holds the alert also holds the checkpoints (below the stream's own beginning, see [data-layout.md](data-layout.md)):

| key | value |
|---|---|
| \`${keys.STRATEGY_CHECKPOINT.key(parameters)}\` | ${groupCheckpoint} |
| \`${keys.ACCESS_DUPLICATE.key(parameters)}\` | holds \`${event.recordId}\` |
| \`${keys.LAST_CHECKPOINTS.key(level)}\`, field \`${keys.LAST_CHECKPOINTS.field(level)}\` | ${lastCheckpoint} |
| \`${keys.CHECK_RESULT.key(level)}\` | ends with ${results} |
`;
}

function alertPart({ alert }: Found): string {
  return `## 4. The alert

\`becalm detect\` reports it as a request that \`becalm run\` takes. Its time is that of the data.

${json(detectedLine(1, alert))}
`;
}

function instancePart(instance: Instance, { birth }: History): string {
  return `## 5. The alert becomes an instance

The policy \`${birth.policy}\` matches. The id is made of the policy, the alert's fingerprint and its start, so the same alert does not make a second instance.

| | |
|---|---|
| instance | \`${instance.id}\` |
| fingerprint | \`${birth.alert?.fingerprint}\` |
| policy version | \`${birth.policyVersion}\` |
| group | \`${birth.group}\` |

## 6. The instance's audit entries
`;
}

function entryPart(entry: AuditEntry, { history, number }: { history: History; number: number }): string {
  const { observation, verdict, count, actor, checkpoint, previousHash, hash } = entry;
  const counterfactual = counterfactualText(entry);
  const { en, zh } = sentenceOf(entry, history);
  const rows: [string, string][] = [
    ["at", new Date(entry.atMs).toISOString()],
    ["event", `\`${entry.event.type}\``],
    ["path", entry.path.join(" > ")],
    ["verdict", verdict === null ? "none: the machine alone decides" : verdict],
    ["reason", `\`${entry.reason}\``],
    ["sentence", en],
    ["", zh],
    ["observation", observation === null ? "" : `\`${JSON.stringify(observation)}\`, compared with the count ${count}`],
    ["nearest other outcome", counterfactual?.en ?? ""],
    ["who", actor],
    ["checkpoint", `sha256 \`${checkpoint}\``],
    ["previous entry's hash", `\`${previousHash}\``],
    ["own hash", `\`${hash}\``],
  ];
  const told = rows.filter(([, value]) => value !== "").map(([name, value]) => `| ${name} | ${value} |`);
  return `Entry ${number}:

| | |
|---|---|
${told.join("\n")}
`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const page = await oneRecordPage();
  writeFileSync(new URL(`../${PAGE}`, import.meta.url), page);
  console.log(`${PAGE}: ${page.split("\n").length} lines`);
}
