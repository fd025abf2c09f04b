import { canonicalJson } from "../../model/canonical-json.ts";
import { md5OfText } from "../records/record-identity.ts";
import type { RecordQuery } from "../records/record-types.ts";
import type { Condition } from "./condition.ts";
import { latenessSecondsMax, SERIES_KEEP_SECONDS_MIN } from "./detection-limits.ts";

/** The item of every strategy in its keys: a strategy has one query. */
export const STRATEGY_ITEM_ID = 1;

/** Which records are a strategy's own, and how they map. */
export type StrategyQuery = {
  /** Field -> the text that it must have, for every field. */
  readonly filter: Readonly<Record<string, string>>;
  /** Field of the value. */
  readonly value: string;
  /** Field of the time. */
  readonly time: string;
  /** Fields that make a series. Empty: all records are one series. */
  readonly dimensions: readonly string[];
  /** The unit that records come in; null: none. */
  readonly unit: string | null;
  readonly precision: number;
};

export type Level = {
  /** Becomes the label `severity`; unique in its strategy. */
  readonly severity: string;
  readonly when: Condition;
  /** `count` anomalous ones among the last `window` points, none of them older than `window` intervals. */
  readonly trigger: { readonly count: number; readonly window: number };
  /** Normal points in a row that end the alert. */
  readonly recovery: { readonly count: number };
};

export type NoData = {
  /** Expected points in a row that did not come. */
  readonly intervals: number;
  readonly severity: string;
  /**
   * How long after its last point a silent series is remembered; then its alert is resolved and the series forgotten.
   */
  readonly keepSeconds: number;
};

/** One strategy, parsed and complete: every default is filled in. */
export type Strategy = {
  /** Unique; the default `alertname`, and the strategyId of its keys. */
  readonly name: string;
  readonly query: StrategyQuery;
  readonly intervalSeconds: number;
  /** Highest first. May be empty when noData is not null. */
  readonly levels: readonly Level[];
  readonly noData: NoData | null;
  readonly resendSeconds: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
};

/** Strategies that read the same records in the same way: they share identity, duplicates, watermark and checkpoint. */
export type StrategyGroup = {
  /** md5 over query and interval. */
  readonly key: string;
  readonly query: StrategyQuery;
  readonly intervalSeconds: number;
  /** In file order. */
  readonly strategies: readonly Strategy[];
  /** How long a series without data stays in the state. */
  readonly keepSeconds: number;
};

/** Puts strategies with the same query and interval together, in order of first appearance. */
export function groupStrategies(strategies: readonly Strategy[]): StrategyGroup[] {
  const byKey = new Map<string, Strategy[]>();
  for (const strategy of strategies) {
    const key = md5OfText(canonicalJson({ query: strategy.query, intervalSeconds: strategy.intervalSeconds }));
    byKey.set(key, [...(byKey.get(key) ?? []), strategy]);
  }
  return [...byKey].map(([key, members]) => {
    const { query, intervalSeconds } = members[0] as Strategy;
    return { key, query, intervalSeconds, strategies: members, keepSeconds: keepSecondsOf(members, intervalSeconds) };
  });
}

/** Long enough for every window, every late record and every no-data alert of the group. */
function keepSecondsOf(strategies: readonly Strategy[], intervalSeconds: number): number {
  const windows = strategies.flatMap(({ levels }) => levels.map(({ trigger }) => trigger.window * intervalSeconds));
  const keeps = strategies.map(({ noData }) =>
    noData === null ? 0 : Math.max(noData.keepSeconds, (noData.intervals + 1) * intervalSeconds),
  );
  return Math.max(SERIES_KEEP_SECONDS_MIN, latenessSecondsMax(intervalSeconds), ...windows, ...keeps);
}

/**
 * The record query (detection/records/record.ts) of a strategy's query: the value is the named field, as in a real-time
 * query.
 */
export function recordQueryOf(query: StrategyQuery): RecordQuery {
  const metric = { field: query.value, method: "REAL_TIME", ...(query.unit === null ? {} : { unit: query.unit }) };
  return {
    dimensions: query.dimensions,
    metrics: [metric],
    timeFields: [query.time],
    timeField: query.time,
    precision: query.precision,
  };
}

/** Every field that a record must have to be read by one of the strategies: what a CSV header is checked against. */
export function fieldsOf(strategies: readonly Strategy[]): string[] {
  const fields = strategies.flatMap(({ query }) => [
    ...Object.keys(query.filter),
    query.value,
    query.time,
    ...query.dimensions,
  ]);
  return [...new Set(fields)];
}
