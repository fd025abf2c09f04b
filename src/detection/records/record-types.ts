/** One metric of a query. `alias` is the name under which the source may have delivered it. */
export type QueryMetric = {
  readonly field: string;
  readonly alias?: string;
  /** `REAL_TIME` (any case): the value is the metric's own field instead of `_result_`. */
  readonly method?: string;
  /** The unit that records come in (detection/records/units.ts); values are converted to the base unit of its family. */
  readonly unit?: string;
};

/** How raw records of one source are read. The first metric is the one that `value` comes from. */
export type RecordQuery = {
  /**
   * Fields that make a series. null: the query names none, so every field but the special ones does. An empty list: no
   * dimension.
   */
  readonly dimensions: readonly string[] | null;
  readonly metrics: readonly QueryMetric[];
  /** With `bk_monitor.proc_port` among them, the dynamic process fields leave the identity. */
  readonly metricIds?: readonly string[];
  /** Names under which `values` carries the time. */
  readonly timeFields: readonly string[];
  /** Decimals that numbers are rounded to, 0 to 15, half to even. */
  readonly precision: number;
  /** Field that holds the time. Default: `_time_`, else `time`. */
  readonly timeField?: string;
};

/** A state event: one raw record in standard form. */
export type StateEvent = {
  /** `<md5 of the identity dimensions>.<time>` */
  readonly recordId: string;
  /** md5 of the identity dimensions: which series it belongs to. */
  readonly dimensionsMd5: string;
  /** null: the record has no value. */
  readonly value: number | null;
  readonly values: Readonly<Record<string, number>>;
  readonly dimensions: Readonly<Record<string, unknown>>;
  /** Names of the dimensions that belong to the identity. */
  readonly dimensionFields: readonly string[];
  /** Epoch seconds. */
  readonly time: number;
  /** Epoch seconds with a fraction: when the record was processed; null when the caller did not say. */
  readonly accessTime: number | null;
};

/** Why a record is refused. A closed list; docs/strategies.md explains each. */
export const REJECTION_REASONS = {
  record_not_an_object: "the record is not a map of fields",
  time_missing: "the record has no time",
  time_not_a_number: "the time is not a number of seconds",
  time_in_ms: "the time is in milliseconds or finer; seconds are wanted",
  time_out_of_range: "the time is negative or has a fraction; whole epoch seconds are wanted",
  value_not_a_number: "the value is a text, a list or a map where a number is wanted",
  value_not_finite: "the value is NaN or infinite, or became so by its unit",
  dimension_too_deep: "a dimension nests too deep",
  dimension_not_json: "a dimension holds what JSON has no form for, such as a bigint or a date",
  dimension_not_exact: "a dimension is a whole number beyond 2^53, which JSON's reader rounds; a text keeps its digits",
  dimension_too_long: "a dimension is longer than a label's value may be",
  too_old: "older than the longest back-fill",
  buffer_full: "too many points wait for the watermark, or are remembered for duplicates",
  series_limit: "the strategy group has as many series as it may",
} as const;

export type RejectionReason = keyof typeof REJECTION_REASONS;

export type Rejection = {
  readonly rejected: true;
  readonly reason: RejectionReason;
  /** The field at fault, if one is. */
  readonly field: string | null;
  /** A sentence for people: what was found, where. */
  readonly text: string;
};
