import type { RecordQuery, TimeFormat } from "../records/record-types.ts";
import type { Condition } from "./condition.ts";

/** The item of every strategy in its keys: a strategy has one query. */
export const STRATEGY_ITEM_ID = 1;

/** What a field must be: a text, one of some, or none of some. */
export type FieldFilter = string | { readonly in: readonly string[] } | { readonly notIn: readonly string[] };

/** Which records are a strategy's own, and how they map. */
export type StrategyQuery = {
  /** Field -> what it must be, for every field. */
  readonly filter: Readonly<Record<string, FieldFilter>>;
  /** Field of the value. */
  readonly value: string;
  /** Field of the time. */
  readonly time: string;
  /** Fields that make a series. Empty: all records are one series. */
  readonly dimensions: readonly string[];
  /** The unit that records come in; null: none. */
  readonly unit: string | null;
  /** Decimals that values are shown with; they are compared as they come. */
  readonly precision: number;
  /** What the time is written in. Missing: seconds, or a date with its zone. */
  readonly timeFormat?: TimeFormat;
  /** Texts that say that there is no value. Missing: the empty text, `null`, `N/A` and `-`. */
  readonly noValue?: readonly string[];
};

export type Level = {
  /** Becomes the label `severity`; unique in its strategy. */
  readonly severity: string;
  readonly when: Condition;
  /** `count` anomalous ones among the last `window` points, which may lie `window` intervals apart. */
  readonly trigger: { readonly count: number; readonly window: number };
  /** What ends the alert. */
  readonly recovery: {
    /** Normal points in a row, or points in a row at which the window no longer meets the trigger. */
    readonly count: number;
    /** If given, only points for which it holds count. */
    readonly when?: Condition;
    /** The alert of a series that is silent for so long ends. Missing: 30 minutes, or 10 intervals. */
    readonly silenceSeconds?: number;
  };
};

export type NoData = {
  /** Expected points in a row that did not come. */
  readonly intervals: number;
  readonly severity: string;
  /**
   * How long after its last point a silent series is remembered; then its alert is resolved and the series forgotten.
   */
  readonly keepSeconds: number;
  /** Series that must be there from the first record on, by their dimensions. */
  readonly expect: readonly Readonly<Record<string, string>>[];
};

/** One strategy, parsed and complete: every default is filled in. */
export type Strategy = {
  /** Unique; the default `alertname`, and the strategyId of its keys. */
  readonly name: string;
  readonly query: StrategyQuery;
  readonly intervalSeconds: number;
  /** Records of a series may come in any order within this time. */
  readonly latenessSeconds: number;
  /** Highest first. May be empty when noData is not null. */
  readonly levels: readonly Level[];
  readonly noData: NoData | null;
  readonly resendSeconds: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
};

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
    // Values are compared as they come; the query's precision is for what is shown.
    precision: null,
    ...(query.timeFormat === undefined ? {} : { timeFormat: query.timeFormat }),
    ...(query.noValue === undefined ? {} : { noValue: query.noValue }),
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
