/** `becalm detect`: metric records through strategies, to alerts that `becalm run` takes. */
import { normalize } from "node:path";
import type { DetectionAudit } from "../detection/core/advance.ts";
import { fieldsOf, type StrategyGroup } from "../detection/core/strategy.ts";
import type { RefusedRow } from "../detection/detection-batch.ts";
import { addCounts, addReasons, NO_COUNTS, type SourceCounts } from "../detection/source-position.ts";
import { loadStrategies } from "../formats/strategy-file.ts";
import { printable } from "../present/text-width.ts";
import { dateTime } from "../present/time-text.ts";
import { AlertTeller } from "./detected-alerts.ts";
import { EXIT, usedWrongly } from "./exit-codes.ts";
import { catchInterrupts, type Interrupts } from "./interrupts.ts";
import { Progress } from "./progress.ts";
import { type BytesRead, type RecordFormat, readRows, requireReadable } from "./read-records.ts";
import { readText } from "./read-text.ts";
import { keepHeapSmall } from "./small-heap.ts";
import type { Terminal } from "./terminal.ts";
import { type Detecting, type StoreOptions, withDetection } from "./with-namespace.ts";

export type DetectCommandOptions = StoreOptions & {
  readonly strategies: string;
  readonly records: readonly string[];
  readonly format?: RecordFormat;
  readonly stream: string;
  readonly source?: string;
  readonly fromSeq: number;
  readonly flush: boolean;
  readonly strict: boolean;
  readonly json: boolean;
  readonly quiet: boolean;
};

/** Rejected rows and audit events that are told one by one; further ones are only counted. */
const TOLD_COUNT_MAX = 20;

type Input = { readonly path: string; readonly source: string };

export async function detect(terminal: Terminal, options: DetectCommandOptions): Promise<number> {
  keepHeapSmall();
  const strategies = loadStrategies(await readText(options.strategies), { file: options.strategies });
  const inputs = inputsOf(options);
  await requireReadable(inputs.map(({ path }) => path));
  const teller = new AlertTeller({
    terminal,
    isForPeople: process.stdout.isTTY === true && !options.json,
    fromSeq: options.fromSeq,
  });
  const notes = new Notes(terminal, options.quiet);
  const interrupts = catchInterrupts((signal) =>
    terminal.note(`${signal}: stopping after this batch; once more stops at once`),
  );
  let detecting: Detecting | null = null;
  const listener = {
    onAlerts: async (alerts: Parameters<AlertTeller["tell"]>[0], firstSeq: number) => {
      if (detecting !== null) await teller.tellStored(detecting.store, firstSeq - 1);
      await teller.tell(alerts, firstSeq);
    },
    onRefused: (source: string, row: RefusedRow) => notes.refused(source, row),
    onAuditEvent: (event: DetectionAudit, group: StrategyGroup) => notes.auditEvent(event, group),
  };
  try {
    const { store, namespace, stream } = options;
    return await withDetection({ store, namespace, stream, strategies }, listener, async (opened) => {
      detecting = opened;
      const columns = fieldsOf(strategies);
      return detectInputs({ terminal, options, inputs, columns, teller, interrupts, opened });
    });
  } finally {
    interrupts.end();
  }
}

type Parts = {
  readonly terminal: Terminal;
  readonly options: DetectCommandOptions;
  readonly inputs: readonly Input[];
  readonly columns: readonly string[];
  readonly teller: AlertTeller;
  readonly interrupts: Interrupts;
  readonly opened: Detecting;
};

async function detectInputs(parts: Parts): Promise<number> {
  const { terminal, options, inputs, teller, interrupts, opened } = parts;
  const { detection, store } = opened;
  await teller.tellStored(store, detection.alertCount);
  tellStart(parts);
  const progress = new Progress(terminal, { isQuiet: options.quiet });
  const isStopped = () => interrupts.exitCode() !== null;
  for (const input of inputs) {
    if (!isStopped()) await takeInput(input, parts, progress);
  }
  if (!isStopped() && options.flush) await detection.flush((inputs.at(-1) as Input).source);
  progress.end();
  await teller.tellStored(store, detection.alertCount);
  const stoppedBy = interrupts.exitCode();
  const { rows, counts } = totalsOf(parts);
  if (stoppedBy !== null) {
    terminal.note(stoppedText(rows, options));
    return stoppedBy;
  }
  await tellSummary(parts);
  return options.strict && counts.rejected > 0 ? EXIT.failed : EXIT.done;
}

async function takeInput({ path, source }: Input, parts: Parts, progress: Progress): Promise<void> {
  const { options, columns, interrupts, opened } = parts;
  let bytes: BytesRead = { read: 0, total: null };
  let rows = 0;
  const reading = readRows(
    { path, label: path === "-" ? "stdin" : path, format: options.format, requiredColumns: columns },
    (now) => {
      bytes = now;
    },
  );
  const counted = async function* () {
    for await (const some of reading) {
      rows += some.length;
      progress.update((seconds) => progressText(source, { rows, bytes, seconds }));
      yield some;
    }
  };
  await opened.detection.take(source, counted(), () => interrupts.exitCode() !== null);
}

function inputsOf({ records, source }: DetectCommandOptions): Input[] {
  if (source !== undefined && records.length > 1)
    throw usedWrongly("--source names a single input, and --records gives several. Give one, or leave --source out.");
  if (source === "") throw usedWrongly("--source is empty. Give the input a name.");
  const inputs = records.map((path) => ({ path, source: source ?? (path === "-" ? "stdin" : normalize(path)) }));
  const repeated = inputs.find((input, index) => inputs.findIndex((one) => one.source === input.source) !== index);
  if (repeated !== undefined) throw usedWrongly(`--records names ${repeated.path} twice. Give each input once.`);
  return inputs;
}

/** What people should know before the first row. */
function tellStart({ terminal, options, inputs, opened: { detection } }: Parts): void {
  if (options.quiet) return;
  for (const { source } of inputs) {
    const { rows } = detection.position(source);
    if (rows > 0) terminal.note(`${source}: ${number(rows)} rows were taken before and are not taken again`);
  }
  if (!inputs.some(({ source }) => detection.position(source).rows > 0)) return;
  const names = detection.newGroups().flatMap(({ strategies }) => strategies.map(({ name }) => name));
  if (names.length === 0) return;
  terminal.note(
    terminal.noteColors.yellow(
      `New to the stream "${options.stream}", so they see only the rows that follow: ${names.join(", ")}. Give another --stream to detect all of it.`,
    ),
  );
}

function progressText(
  source: string,
  { rows, bytes, seconds }: { rows: number; bytes: BytesRead; seconds: number },
): string {
  const rate = `${source}: ${number(rows)} rows, ${number(Math.round(rows / seconds))} rows/s`;
  if (bytes.total === null || bytes.read === 0) return rate;
  const left = Math.max(0, Math.ceil((seconds * (bytes.total - bytes.read)) / bytes.read));
  return `${rate}, ${Math.min(100, Math.floor((100 * bytes.read) / bytes.total))} %, ${left} s left`;
}

function number(count: number): string {
  return count.toLocaleString("en");
}

type Totals = {
  readonly rows: number;
  readonly counts: SourceCounts;
  readonly reasons: Readonly<Record<string, number>>;
};

/** Over all inputs, whichever run took their rows. */
function totalsOf({ inputs, opened: { detection } }: Parts): Totals {
  let totals: Totals = { rows: 0, counts: NO_COUNTS, reasons: {} };
  for (const { source } of inputs) {
    const { rows, counts, reasons } = detection.position(source);
    totals = {
      rows: totals.rows + rows,
      counts: addCounts(totals.counts, counts),
      reasons: addReasons(totals.reasons, reasons),
    };
  }
  return totals;
}

/** `body: []` makes it a request without alerts, so `becalm run` reads over it. */
async function tellSummary(parts: Parts): Promise<void> {
  const { terminal, options } = parts;
  const { rows, counts, reasons } = totalsOf(parts);
  const alerts = counts.firing + counts.resolved;
  if (options.json) await terminal.json({ summary: { records: rows, alerts, ...counts, reasons }, body: [] });
  if (options.quiet) return;
  const { rejected, unmatched, accepted, duplicates, late, withoutValue, gaps, firing, resolved } = counts;
  terminal.note(
    `${number(rows)} records: ${number(unmatched)} of no strategy, ${number(accepted)} points, ${number(duplicates)} duplicates, ${number(late)} late, ${number(withoutValue)} without a value, ${number(rejected)} rejected`,
  );
  const byReason = Object.entries(reasons).sort(([, a], [, b]) => b - a);
  if (byReason.length > 0)
    terminal.note(`rejected: ${byReason.map(([reason, count]) => `${number(count)} ${reason}`).join(", ")}`);
  terminal.note(
    `${number(alerts)} alerts: ${number(firing)} firing, ${number(resolved)} resolved; ${number(gaps)} gaps in the data`,
  );
}

function stoppedText(rows: number, { store }: DetectCommandOptions): string {
  const where = `Stopped after ${number(rows)} rows.`;
  if (store === undefined) return `${where} Nothing is kept without --store: run it again from the start.`;
  return `${where} All up to there is durable: run the same command again to go on.`;
}

/** Rejected rows and audit events on stderr, the first of each. */
class Notes {
  readonly #terminal: Terminal;
  readonly #isQuiet: boolean;
  #refusedCount = 0;
  #auditCount = 0;

  constructor(terminal: Terminal, isQuiet: boolean) {
    this.#terminal = terminal;
    this.#isQuiet = isQuiet;
  }

  refused(source: string, { line, text }: RefusedRow): void {
    this.#refusedCount += 1;
    this.#note(this.#refusedCount, `${source}:${line}: rejected: ${printable(text)}`, "rejected rows");
  }

  auditEvent(event: DetectionAudit, { strategies }: StrategyGroup): void {
    this.#auditCount += 1;
    this.#note(
      this.#auditCount,
      `${strategies.map(({ name }) => name).join(", ")}: ${auditText(event)}`,
      "audit events",
    );
  }

  #note(count: number, text: string, what: string): void {
    if (this.#isQuiet || count > TOLD_COUNT_MAX + 1) return;
    const { yellow } = this.#terminal.noteColors;
    this.#terminal.note(yellow(count > TOLD_COUNT_MAX ? `Further ${what} are only counted.` : text));
  }
}

function auditText(event: DetectionAudit): string {
  const at = (time: number) => dateTime(time * 1_000).slice(0, 19);
  if (event.kind === "gap")
    return `no data from ${at(event.fromTime)} to ${at(event.toTime)}, longer than ${event.limitSeconds} s: what happened there is not known`;
  return `a series without data since ${at(event.lastTime)} is forgotten at ${at(event.time)}; ${event.openCount} of its alerts were resolved`;
}
