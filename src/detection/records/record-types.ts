/** One metric of a query. `alias` is the name under which the source may have delivered it. */
export type QueryMetric = {
  readonly field: string;
  readonly alias?: string;
  /** `REAL_TIME` (any case): the value is the metric's own field instead of `_result_`. */
  readonly method?: string;
  /**
   * The unit that records come in (detection/records/units.ts); values are converted to the base unit of its family.
   */
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
  /** Decimals that numbers are rounded to, 0 to 15, half to even; null: they are not rounded. */
  readonly precision: number | null;
  /** Field that holds the time. Default: `_time_`, else `time`. */
  readonly timeField?: string;
  /** What the time is written in. Default: seconds, or a date with its zone. */
  readonly timeFormat?: TimeFormat;
  /** Texts that mean "no value". Default: the empty text, `null`, `N/A` and `-`. */
  readonly noValue?: readonly string[];
};

export const TIME_FORMATS = ["unix_s", "unix_ms", "unix_us", "unix_ns", "rfc3339"] as const;

export type TimeFormat = (typeof TIME_FORMATS)[number];

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
  /** Secondary metrics whose values could not be read: they are left out of `values`. Missing: none. */
  readonly unreadable?: readonly Rejection[];
};

/** Why a record is refused. A closed list; docs/strategies.md explains each. */
export const REJECTION_REASONS = {
  record_not_an_object: "the record is not a map of fields",
  time_missing: "the record has no time",
  time_not_a_number: "the time is neither a number of seconds nor a date with its zone",
  time_not_a_date: "the time is not a date with its zone, such as 2024-02-03T13:20:19Z",
  time_in_ms: "the time is in milliseconds or finer; say which with query.time_format",
  time_out_of_range: "the time is before 1970 or after 5138, or a fraction before 1973: is it in another unit?",
  value_not_a_number: "the value is a text, a list or a map where a number is wanted",
  value_not_finite: "the value is greater than any number, or became so by its unit",
  dimension_too_deep: "a dimension nests too deep",
  dimension_not_json: "a dimension holds what JSON has no form for, such as a bigint or a date",
  dimension_not_exact: "a dimension is a whole number beyond 2^53, which JSON's reader rounds; a text keeps its digits",
  dimension_too_long: "a dimension is longer than a label's value may be",
  too_old: "more than 10 intervals and more than 30 minutes older than the newest record of its series",
  buffer_full: "too many points wait for earlier ones, or are remembered for duplicates",
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
