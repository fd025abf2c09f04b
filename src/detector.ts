/** Composition root of detection for programs: records in, numbered alerts out, durable in a store. */

import type { DetectedAlert } from "./detection/core/detected-alert.ts";
import type { Strategy } from "./detection/core/strategy.ts";
import { Detection } from "./detection/detection.ts";
import type { RefusedRow } from "./detection/detection-batch.ts";
import type { DetectionStore, SequencePage } from "./detection/detection-store.ts";
import type { RecordRow } from "./formats/record-row.ts";
import { strategiesFrom } from "./formats/strategy-file.ts";
import { memoryDetectionStore } from "./stores/memory/memory-detection-store.ts";
import { commitIds } from "./system/commit-ids.ts";
import { pause } from "./system/system-clock.ts";

/** Records handed to detection at a time; more are taken before the next turn of the event loop only if they are there. */
const ROWS_AT_ONCE = 500;

export type DetectorOptions = {
  /** From `loadStrategies`, or the plain objects of a strategy file. */
  readonly strategies: readonly Strategy[] | { readonly strategies: readonly unknown[] };
  /** Default: one in memory. It stays the caller's to close. */
  readonly store?: DetectionStore;
};

/** `seq` counts from 1 over the whole stream. */
export type NumberedAlert = DetectedAlert & { readonly seq: number };

export type TakeOptions = {
  /** What a restart knows these records by. A source is given from its beginning: records of it that were taken before are skipped. */
  readonly source: string;
  /** No more records will follow that belong before the newest: detect what still waits. Default false. */
  readonly flush?: boolean;
};

export type TakeResult = {
  /** Alerts that this call made durable. */
  readonly alerts: readonly NumberedAlert[];
  /** Records that were refused; `line` is the number of the record in its source, from 1. */
  readonly rejected: readonly RefusedRow[];
};

export type Detector = {
  /** Takes raw records (maps of fields). Calls are done one after the other. Rejects with BECALM_CONFLICT or a store's error; what was committed before stands. */
  take(records: Iterable<unknown> | AsyncIterable<unknown>, options: TakeOptions): Promise<TakeResult>;
  /** Stored alerts, whoever committed them. */
  alerts(page: SequencePage): Promise<NumberedAlert[]>;
};

/** Throws BECALM_STRATEGY_INVALID for plain objects with mistakes. */
export function createDetector({ strategies, store = memoryDetectionStore() }: DetectorOptions): Detector {
  const read = "strategies" in strategies ? strategiesFrom(strategies) : strategies;
  const world = { store, now: Date.now, commitId: commitIds(), pause, random: Math.random };
  let last: Promise<unknown> = Promise.resolve();
  const take = async (records: Iterable<unknown> | AsyncIterable<unknown>, { source, flush = false }: TakeOptions) => {
    const alerts: NumberedAlert[] = [];
    const rejected: RefusedRow[] = [];
    const detection = new Detection(world, read, {
      onAlerts: (some, firstSeq) => {
        for (const [index, alert] of some.entries()) alerts.push({ ...alert, seq: firstSeq + index });
      },
      onRefused: (_source, row) => void rejected.push(row),
    });
    await detection.load();
    await detection.take(source, rowsOf(records));
    if (flush) await detection.flush(source);
    return { alerts, rejected };
  };
  return {
    take: (records, options) => {
      const done = last.then(() => take(records, options));
      last = done.catch(() => undefined);
      return done;
    },
    alerts: async (page) => {
      const stored = await store.alerts(page);
      return stored.map(({ seq, value }) => ({ ...(JSON.parse(value) as DetectedAlert), seq }));
    },
  };
}

async function* rowsOf(records: Iterable<unknown> | AsyncIterable<unknown>): AsyncGenerator<readonly RecordRow[]> {
  let rows: RecordRow[] = [];
  let line = 0;
  for await (const record of records) {
    line += 1;
    // What is no map of fields is refused where all records are read.
    rows.push({ line, record: record as Readonly<Record<string, unknown>> });
    if (rows.length < ROWS_AT_ONCE) continue;
    yield rows;
    rows = [];
  }
  yield rows;
}
