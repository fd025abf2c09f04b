/** The demo's part about metrics: ten minutes of a real host become state events, alerts and a few actions. */
import type { DetectedAlert } from "../detection/core/detected-alert.ts";
import { fieldsOf } from "../detection/core/strategy.ts";
import { detectedLine } from "../formats/detected-line.ts";
import { loadPolicySet } from "../formats/policy-file.ts";
import type { RecordRow } from "../formats/record-row.ts";
import { loadStrategies } from "../formats/strategy-file.ts";
import type { TextLine } from "../formats/text-lines.ts";
import type { Reader } from "../present/reader.ts";
import { padColumns } from "../present/text-width.ts";
import { type FileSummary, reportFile } from "../simulate/instance-rows.ts";
import { packageFile } from "./package-files.ts";
import { readRows } from "./read-records.ts";
import { readText } from "./read-text.ts";
import { ReportTotals, totalsText } from "./report-text.ts";
import type { StormDemoOptions } from "./storm-demo.ts";
import { takeLines } from "./take-lines.ts";
import type { Colors, Terminal } from "./terminal.ts";
import { SIMULATED, withDetection, withVirtualRun } from "./with-namespace.ts";

const STRATEGIES = "demo/strategies.yaml";
const RECORDS = "demo/host-metrics.csv";
const POLICIES = "demo/host-policies.yaml";
const CONCURRENCY = 16;

/** What is drawn of the recording: a series, and from which value on its strategy counts a point as anomalous. */
const CURVES = [
  {
    name: "cpu0 busy",
    chinese: "cpu0 占用",
    metric: "cpu_busy_percent",
    device: "cpu0",
    strategy: "cpu-core-busy",
    limit: 90,
    top: 100,
  },
  {
    name: "cpu1 busy",
    chinese: "cpu1 占用",
    metric: "cpu_busy_percent",
    device: "cpu1",
    strategy: "cpu-core-busy",
    limit: 90,
    top: 100,
  },
  {
    name: "disk writes",
    chinese: "磁盘写入",
    metric: "disk_write_bytes",
    device: "vda",
    strategy: "disk-writes-heavy",
    limit: 5e7,
    top: 1e8,
  },
  {
    name: "memory used",
    chinese: "内存占用",
    metric: "mem_used_percent",
    device: "",
    strategy: "memory-filling",
    limit: 20,
    top: 50,
  },
] as const;

type Curve = (typeof CURVES)[number];

/** Seconds of the recording in one column. */
const COLUMN_SECONDS = 10;
const COLUMN_COUNT = 60;
const BARS = "▁▂▃▄▅▆▇█";

export async function hostDemo(terminal: Terminal, options: StormDemoOptions): Promise<void> {
  const strategies = loadStrategies(await readText(packageFile(STRATEGIES)), { file: STRATEGIES });
  const rows: RecordRow[] = [];
  const input = {
    path: packageFile(RECORDS),
    label: RECORDS,
    format: undefined,
    usedFields: fieldsOf(strategies),
  };
  for await (const some of readRows(input, () => {})) rows.push(...some);
  const place = { ...options, namespace: `${options.namespace}-host` };
  const alerts: DetectedAlert[] = [];
  const listener = { onAlerts: (some: readonly DetectedAlert[]) => void alerts.push(...some) };
  const eventCount = await withDetection({ ...place, stream: "demo", strategies }, listener, async (detecting) => {
    const { detection, store } = detecting;
    await detection.take(RECORDS, [rows]);
    await detection.flush(RECORDS);
    // Those that an earlier demo left in the store come before this one's.
    const stored = await store.alerts({ fromSeq: 1, limit: detection.alertCount - alerts.length });
    alerts.unshift(...stored.map(({ value }) => JSON.parse(value) as DetectedAlert));
    return detection.position(RECORDS).counts.accepted;
  });
  const { totals, summary } = await actOn(alerts, place, terminal);
  const { outColors: colors, say } = terminal;
  const lines = [
    "",
    say(
      `${colors.bold("Ten minutes of a real host")}: ${number(rows.length)} metric records through the ${strategies.length} strategies of ${colors.cyan(STRATEGIES)}`,
      `${colors.bold("一台真实主机的十分钟")}：${number(rows.length)} 条指标记录，经过 ${colors.cyan(STRATEGIES)} 的 ${strategies.length} 条检测策略`,
    ),
    "",
    ...drawing(rows, { alerts, colors, reader: terminal.reader }),
    "",
    flowText({ rows, eventCount, alerts, summary }, terminal),
    "",
    ...totalsText(totals, summary, { colors, reader: terminal.reader, store: null, isSimulated: true }),
    "",
    ...nextSteps(terminal.reader).map((line) => colors.dim(line)),
  ];
  for (const line of lines) await terminal.out(line);
}

function nextSteps({ say }: Reader): string[] {
  return [
    say(
      "The same with your own records, CSV or JSON lines; docs/strategies.md explains the file:",
      "用自己的记录（CSV 或 JSON 行）同样可行；文件格式见 docs/strategies.md：",
    ),
    "  becalm detect --strategies FILE --records FILE.csv |",
    "    becalm run --policies FILE --alerts -",
  ];
}

function number(count: number): string {
  return count.toLocaleString("en");
}

type Acted = { readonly totals: ReportTotals; readonly summary: FileSummary };

/** The alerts as `becalm detect` tells them, through the policies as `becalm run` takes them. */
async function actOn(alerts: readonly DetectedAlert[], place: StormDemoOptions, terminal: Terminal): Promise<Acted> {
  const policies = loadPolicySet(await readText(packageFile(POLICIES)), { file: POLICIES });
  const requests = async function* (): AsyncGenerator<TextLine> {
    for (const [index, alert] of alerts.entries())
      yield { line: index + 1, text: JSON.stringify(detectedLine(index + 1, alert)), isTooLong: false };
  };
  const options = { ...place, policies, concurrency: CONCURRENCY, effects: SIMULATED };
  return withVirtualRun(options, async ({ instances, run, checkLease }) => {
    const onRejected = (what: string) => terminal.note(what);
    const isStopped = () => false;
    const taken = await takeLines({
      lines: requests(),
      run,
      label: RECORDS,
      onRejected,
      onLine: checkLease,
      isStopped,
    });
    await run.finish();
    const totals = new ReportTotals();
    const summary = await reportFile(instances, taken, {
      onLine: async (line) => totals.add(line),
      onQuarantined: (error) => terminal.note(String(error)),
    });
    return { totals, summary };
  });
}

type Drawn = { readonly alerts: readonly DetectedAlert[]; readonly colors: Colors; readonly reader: Reader };

/** A curve a line, red where it is anomalous, and below it when its alerts fired. */
function drawing(rows: readonly RecordRow[], { alerts, colors, reader }: Drawn): string[] {
  const { say } = reader;
  const records = rows.flatMap((row) => ("rejected" in row ? [] : [row.record as Readonly<Record<string, string>>]));
  const start = Number(records[0]?.["time"]);
  const columnOf = (time: number) => Math.floor((time - start) / COLUMN_SECONDS);
  const lines = CURVES.flatMap((curve) => {
    const highest = new Array<number>(COLUMN_COUNT).fill(0);
    for (const { time, metric, device, value } of records) {
      if (metric !== curve.metric || (curve.device !== "" && device !== curve.device)) continue;
      const column = columnOf(Number(time));
      highest[column] = Math.max(highest[column] ?? 0, Number(value));
    }
    const bars = highest.slice(0, COLUMN_COUNT).map((value) => barOf(value, curve, colors));
    return [
      `  ${padColumns(say(curve.name, curve.chinese), 12)}${bars.join("")}`,
      `  ${"".padEnd(12)}${firingOf(curve, { alerts, columnOf, colors, reader })}`,
    ];
  });
  const scale = Array.from({ length: COLUMN_COUNT / 6 }, (_, minute) => `${minute}`.padEnd(6)).join("");
  return [...lines, colors.dim(`  ${padColumns(say("minute", "分钟"), 12)}${scale}`)];
}

function barOf(value: number, { limit, top }: Curve, { red, green }: Colors): string {
  const bar = BARS[Math.min(BARS.length - 1, Math.floor((value / top) * BARS.length))] as string;
  return value >= limit ? red(bar) : green(bar);
}

/** `!` critical, `w` warning, at the column in which the alert began. */
function firingOf(curve: Curve, { alerts, columnOf, colors }: Drawn & { columnOf: (time: number) => number }): string {
  const marks = new Array<string>(COLUMN_COUNT).fill(" ");
  for (const { alert, reason, strategy, severity } of alerts) {
    const isThis = strategy === curve.strategy && (curve.device === "" || alert.labels["device"] === curve.device);
    if (!isThis || (reason !== "triggered" && reason !== "no_data")) continue;
    marks[columnOf(alert.startsAtMs / 1_000)] = severity === "critical" ? colors.red("!") : colors.yellow("w");
  }
  return marks.join("").trimEnd();
}

type Flow = {
  readonly rows: readonly RecordRow[];
  readonly eventCount: number;
  readonly alerts: readonly DetectedAlert[];
  readonly summary: FileSummary;
};

function flowText({ rows, eventCount, alerts, summary }: Flow, { outColors, say }: Terminal): string {
  const { bold, dim } = outColors;
  const steps = [
    [rows.length, say("records", "条记录")],
    [eventCount, say("state events", "个状态事件")],
    [alerts.length, say("alerts", "条告警")],
    [summary.instances, say("instances", "个实例")],
    [summary.executed, say("actions", "次执行")],
  ] as const;
  return `  ${steps.map(([count, name]) => `${bold(number(count))} ${name}`).join(dim(" -> "))}`;
}
