/** `becalm detect`: metric records through strategies, to alerts that `becalm run` takes. */
import { normalize } from "node:path";
import type { DetectionAudit } from "../detection/core/advance.ts";
import { fieldsOf } from "../detection/core/strategy.ts";
import { strategyDoubts } from "../detection/core/strategy-doubts.ts";
import type { StrategyGroup } from "../detection/core/strategy-group.ts";
import type { SourceRows } from "../detection/detection.ts";
import type { RefusedRow } from "../detection/detection-batch.ts";
import { loadStrategies } from "../formats/strategy-file.ts";
import type { Logger } from "../system/logger.ts";
import { tellCheckpoints } from "./detect-checkpoints.ts";
import { DetectNotes } from "./detect-notes.ts";
import type { DetectCommandOptions, DetectInput, Parts } from "./detect-parts.ts";
import { stoppedText, tellSummary, totalsOf } from "./detect-summary.ts";
import { AlertTeller } from "./detected-alerts.ts";
import { EnrichmentFile } from "./enrichment-file.ts";
import { EXIT, usedWrongly } from "./exit-codes.ts";
import { FieldCensus } from "./field-census.ts";
import { catchInterrupts } from "./interrupts.ts";
import { Progress } from "./progress.ts";
import {
  type BytesRead,
  isLiveInput,
  type RecordInput,
  readRows,
  requireReadable,
  sampleRows,
} from "./read-records.ts";
import { readText } from "./read-text.ts";
import { mergeRows } from "./record-merge.ts";
import { inTimeOrder } from "./record-order.ts";
import { type RowTime, rowTimeOf } from "./record-times.ts";
import { keepHeapSmall } from "./small-heap.ts";
import type { Terminal } from "./terminal.ts";
import { withLog } from "./with-log.ts";
import { type Detecting, withDetection } from "./with-namespace.ts";

/** Places of a large file that are looked at to see whether it is in order. */
const SAMPLE_PLACES = 64;

export async function detect(terminal: Terminal, options: DetectCommandOptions): Promise<number> {
  keepHeapSmall();
  return withLog(options.log, (logger) => detectLogged(terminal, options, logger));
}

async function detectLogged(terminal: Terminal, options: DetectCommandOptions, logger: Logger): Promise<number> {
  const strategies = loadStrategies(await readText(options.strategies), { file: options.strategies });
  const enrichment = options.enrich === undefined ? null : await EnrichmentFile.open(options.enrich);
  const notes = new DetectNotes(terminal, { isQuiet: options.quiet, logger });
  for (const strategy of strategies) for (const doubt of strategyDoubts(strategy)) notes.doubt(strategy.name, doubt);
  const inputs = options.checkpoints ? [] : await inputsOf(options);
  const isForPeople = process.stdout.isTTY === true && !options.json;
  const interrupts = catchInterrupts((signal) =>
    terminal.note(
      terminal.say(
        `${signal}: stopping after this batch; once more stops at once`,
        `${signal}：处理完此批后停止；再来一次立即停止`,
      ),
    ),
  );
  let telling: { teller: AlertTeller; opened: Detecting } | null = null;
  const listener = {
    onAlerts: async (alerts: Parameters<AlertTeller["tell"]>[0], firstSeq: number) => {
      if (telling === null) return;
      const { teller, opened } = telling;
      await teller.tellStored(opened.store, firstSeq - 1);
      await teller.tell(alerts, firstSeq);
      opened.detection.told(teller.lastSeq);
      notes.decided(alerts);
    },
    onRefused: (source: string, row: RefusedRow) => notes.refused(source, row),
    onAuditEvent: (event: DetectionAudit, group: StrategyGroup) => notes.auditEvent(event, group),
  };
  const place = { store: options.store, namespace: options.namespace, stream: options.stream };
  const enrich = enrichment === null ? {} : { enrich: enrichment.labelsOf };
  try {
    return await withDetection({ ...place, strategies, ...enrich }, listener, async (opened) => {
      if (options.checkpoints) return tellCheckpoints(terminal, { ...opened, isJson: !isForPeople });
      const fromSeq = options.fromSeq ?? opened.detection.toldCount + 1;
      const teller = new AlertTeller({ terminal, isForPeople, fromSeq, logger });
      telling = { teller, opened };
      const census = new FieldCensus(strategies);
      return detectInputs({
        terminal,
        options,
        strategies,
        inputs,
        census,
        teller,
        interrupts,
        opened,
        notes,
        enrichment,
      });
    });
  } finally {
    interrupts.end();
  }
}

async function detectInputs(parts: Parts): Promise<number> {
  const { terminal, options, inputs, teller, interrupts, opened, notes } = parts;
  const { detection, store } = opened;
  const lastSource = (inputs.at(-1) as DetectInput).source;
  for (const edit of await detection.applyEdits(lastSource)) notes.edit(edit);
  await teller.tellStored(store, detection.alertCount);
  notes.start(detection, { inputs, stream: options.stream });
  const progress = new Progress(terminal, { isQuiet: options.quiet });
  const isStopped = () => interrupts.exitCode() !== null;
  await takeInputs(parts, progress, isStopped);
  if (!isStopped() && options.flush) await detection.flush(lastSource);
  progress.end();
  await teller.tellStored(store, detection.alertCount);
  detection.told(teller.lastSeq);
  await detection.storeTold(lastSource);
  const stoppedBy = interrupts.exitCode();
  if (stoppedBy !== null) {
    terminal.note(stoppedText(totalsOf(parts).rows, options, terminal));
    return stoppedBy;
  }
  const problems = await tellSummary(parts);
  const isFaulty = totalsOf(parts).counts.rejected > 0 || problems > 0 || notes.doubtCount > 0;
  return options.strict && isFaulty ? EXIT.failed : EXIT.done;
}

/** Several files as one, by time; what is live comes when it comes, one input after the other. */
async function takeInputs(parts: Parts, progress: Progress, isStopped: () => boolean): Promise<void> {
  const { inputs, opened, strategies } = parts;
  const rowTime = rowTimeOf(strategies);
  const rowsOf = (input: DetectInput) => watchedRows(input, { parts, progress, rowTime });
  if (inputs.length > 1 && inputs.every(({ isLive }) => !isLive)) {
    const sources = inputs.map((input) => ({ source: input.source, rows: rowsOf(input) }));
    await opened.detection.takeMerged(mergeRows(sources, rowTime), isStopped);
    return;
  }
  for (const input of inputs) {
    if (isStopped()) return;
    const runs = async function* (): AsyncGenerator<SourceRows> {
      for await (const rows of rowsOf(input)) yield { source: input.source, rows };
    };
    await opened.detection.takeMerged(runs(), isStopped);
  }
}

type Watching = { readonly parts: Parts; readonly progress: Progress; readonly rowTime: RowTime };

/** The rows of an input in order, with what people see meanwhile. While a live input is silent its clock goes on. */
async function* watchedRows(input: DetectInput, { parts, progress, rowTime }: Watching) {
  const { options, opened, census, enrichment } = parts;
  let bytes: BytesRead = { read: 0, total: null };
  let count = 0;
  const reading = readRows(recordInput(input, parts), (now) => {
    bytes = now;
  });
  for await (const rows of ordered(reading, { input, parts, rowTime })) {
    count += rows.length;
    for (const row of rows) census.look(row);
    progress.update((seconds) => progressText(input.source, { rows: count, bytes, seconds }, parts.terminal));
    await enrichment?.reloadIfChanged();
    yield rows;
    if (rows.length === 0 && input.isLive) await opened.detection.tick(input.source, options.live);
  }
}

function recordInput({ path }: DetectInput, { options, strategies }: Parts): RecordInput {
  const { format, delimiter } = options;
  return {
    path,
    label: path === "-" ? "stdin" : path,
    format,
    usedFields: fieldsOf(strategies),
    ...(delimiter === undefined ? {} : { delimiter: delimiter === "tab" ? "\t" : delimiter }),
  };
}

type OrderingRows = { readonly input: DetectInput; readonly parts: Parts; readonly rowTime: RowTime };

function ordered(rows: ReturnType<typeof readRows>, { input, parts, rowTime }: OrderingRows) {
  const { options, opened, notes } = parts;
  const { detection } = opened;
  const tolerance = Math.min(...detection.groups.map(({ lateSecondsMax }) => lateSecondsMax));
  return inTimeOrder(rows, {
    rowTime,
    toleranceSeconds: tolerance,
    sort: options.sort ? "always" : input.isLive ? "never" : "if needed",
    sample: () => sampleRows(recordInput(input, parts), SAMPLE_PLACES),
    onSorted: (count) => {
      detection.noteSorted(input.source, count);
      notes.sorted(input.source, count, options.sort);
    },
  });
}

async function inputsOf({ records, source }: DetectCommandOptions): Promise<DetectInput[]> {
  if (records.length === 0) throw usedWrongly("--records is missing. Give files with records, or - for stdin.");
  if (source !== undefined && records.length > 1)
    throw usedWrongly("--source names a single input, and --records gives several. Give one, or leave --source out.");
  if (source === "") throw usedWrongly("--source is empty. Give the input a name.");
  const inputs = records.map((path) => ({ path, source: source ?? (path === "-" ? "stdin" : normalize(path)) }));
  const repeated = inputs.find((input, index) => inputs.findIndex((one) => one.source === input.source) !== index);
  if (repeated !== undefined) throw usedWrongly(`--records names ${repeated.path} twice. Give each input once.`);
  await requireReadable(records);
  return Promise.all(inputs.map(async (input) => ({ ...input, isLive: await isLiveInput(input.path) })));
}

function progressText(
  source: string,
  { rows, bytes, seconds }: { rows: number; bytes: BytesRead; seconds: number },
  { say }: Terminal,
): string {
  const [number, perSecond] = [rows, Math.round(rows / seconds)].map((one) => one.toLocaleString("en"));
  const rate = say(`${source}: ${number} rows, ${perSecond} rows/s`, `${source}：${number} 行，每秒 ${perSecond} 行`);
  if (bytes.total === null || bytes.read === 0) return rate;
  const left = Math.max(0, Math.ceil((seconds * (bytes.total - bytes.read)) / bytes.read));
  const part = Math.min(100, Math.floor((100 * bytes.read) / bytes.total));
  return say(`${rate}, ${part} %, ${left} s left`, `${rate}，${part} %，还需 ${left} 秒`);
}
