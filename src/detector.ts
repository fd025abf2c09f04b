/** Composition root of detection for programs: records in, numbered alerts out, durable in a store. */

import type { DetectedAlert } from "./detection/core/detected-alert.ts";
import type { Strategy } from "./detection/core/strategy.ts";
import type { Enrichment } from "./detection/core/strategy-group.ts";
import { Detection } from "./detection/detection.ts";
import type { RefusedRow } from "./detection/detection-batch.ts";
import type { DetectionStore, SequencePage } from "./detection/detection-store.ts";
import type { RecordRow } from "./formats/record-row.ts";
import { strategiesFrom } from "./formats/strategy-file.ts";
import type { Alert } from "./model/alert.ts";
import { BecalmError } from "./model/errors.ts";
import { requireKnownOptions } from "./stores/known-options.ts";
import { memoryDetectionStore } from "./stores/memory/memory-detection-store.ts";
import { commitIds } from "./system/commit-ids.ts";
import { pause } from "./system/system-clock.ts";

/**
 * Records handed to detection at a time; more are taken before the next turn of the event loop only if they are there.
 */
const ROWS_AT_ONCE = 500;

export type DetectorOptions = {
  /** From `loadStrategies`, or the plain objects of a strategy file. */
  readonly strategies: readonly Strategy[] | { readonly strategies: readonly unknown[] };
  /** Default: one in memory. It stays the caller's to close. */
  readonly store?: DetectionStore;
  /** Labels that are added to those of a series' alerts. */
  readonly enrich?: Enrichment;
  /** Alerts, and audit events, that the stream keeps. Default 50,000. */
  readonly keepCount?: number;
};

/** `seq` counts from 1 over the whole stream. The alert's own fields are beside it, as `engine.ingest` takes them. */
export type NumberedAlert = DetectedAlert & Alert & { readonly seq: number };

export type TakeOptions = {
  /**
   * What a restart knows these records by. A source is given from its beginning: records of it that were taken before
   * are skipped.
   */
  readonly source: string;
  /** No more records will follow that belong before the newest: detect what still waits. Default false. */
  readonly flush?: boolean;
};

export type TakeResult = {
  /** Alerts that this call made durable; `engine.ingest` takes them as they are. */
  readonly alerts: readonly NumberedAlert[];
  /** Records that were refused; `line` is the number of the record in its source, from 1. */
  readonly rejected: readonly RefusedRow[];
  /** Records without a value, and records that no strategy wanted. */
  readonly withoutValue: number;
  readonly unmatched: number;
  /** Points that came late and were put in their place. */
  readonly late: number;
};

export type Detector = {
  /**
   * Takes raw records (maps of fields). Calls are done one after the other. Rejects with BECALM_CONFLICT or a store's
   * error; earlier commits stay.
   */
  take(records: Iterable<unknown> | AsyncIterable<unknown>, options: TakeOptions): Promise<TakeResult>;
  /**
   * Moves the clock of a live input on without records, so that silent series are noticed. Gives the alerts that this
   * made.
   */
  tick(): Promise<readonly NumberedAlert[]>;
  /** Stored alerts, from every process. */
  alerts(page: SequencePage): Promise<NumberedAlert[]>;
};

/** What the clock's commits are counted to. */
const CLOCK_SOURCE = "clock";

/** Throws BECALM_STRATEGY_INVALID for plain objects with mistakes, BECALM_ARGUMENT_INVALID for an unknown option. */
const NO_STRATEGIES =
  "createDetector needs `strategies`: what loadStrategies(text) gives, or { strategies: [...] } in the form of a strategy file.";

export function createDetector(options: DetectorOptions): Detector {
  requireKnownOptions("createDetector", options, ["strategies", "store", "enrich", "keepCount"]);
  const { strategies, store = memoryDetectionStore(), enrich, keepCount } = options;
  if (typeof strategies !== "object" || strategies === null)
    throw new BecalmError("BECALM_ARGUMENT_INVALID", NO_STRATEGIES);
  const read = "strategies" in strategies ? strategiesFrom(strategies) : strategies;
  const world = {
    store,
    now: Date.now,
    commitId: commitIds(),
    pause,
    random: Math.random,
    ...(enrich === undefined ? {} : { enrich }),
    ...(keepCount === undefined ? {} : { keepCount }),
  };
  let alerts: NumberedAlert[] = [];
  let rejected: RefusedRow[] = [];
  const detection = new Detection(world, read, {
    onAlerts: (some, firstSeq) => {
      for (const [index, alert] of some.entries()) alerts.push(numbered(alert, firstSeq + index));
    },
    onRefused: (_source, row) => void rejected.push(row),
  });
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <Result>(act: () => Promise<Result>): Promise<Result> => {
    const done = last.then(async () => {
      [alerts, rejected] = [[], []];
      // Another process may have committed meanwhile.
      await detection.load();
      return act();
    });
    last = done.catch(() => undefined);
    return done;
  };
  return {
    take: (records, { source, flush = false }) =>
      inTurn(async () => {
        const before = detection.position(source).counts;
        await detection.applyEdits(source);
        await detection.take(source, rowsOf(records));
        if (flush) await detection.flush(source);
        const { withoutValue, unmatched, late } = detection.position(source).counts;
        return {
          alerts,
          rejected,
          withoutValue: withoutValue - before.withoutValue,
          unmatched: unmatched - before.unmatched,
          late: late - before.late,
        };
      }),
    tick: () =>
      inTurn(async () => {
        await detection.tick(CLOCK_SOURCE, true);
        return alerts;
      }),
    alerts: async (page) => {
      const stored = await store.alerts(page);
      return stored.map(({ seq, value }) => numbered(JSON.parse(value) as DetectedAlert, seq));
    },
  };
}

function numbered(detected: DetectedAlert, seq: number): NumberedAlert {
  return { ...detected.alert, ...detected, seq };
}

async function* rowsOf(records: Iterable<unknown> | AsyncIterable<unknown>): AsyncGenerator<readonly RecordRow[]> {
  let rows: RecordRow[] = [];
  let line = 0;
  for await (const record of records) {
    line += 1;
    // What is not a map of fields is refused where all records are read.
    rows.push({ line, record: record as Readonly<Record<string, unknown>> });
    if (rows.length < ROWS_AT_ONCE) continue;
    yield rows;
    rows = [];
  }
  yield rows;
}
