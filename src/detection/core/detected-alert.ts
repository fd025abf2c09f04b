import type { Alert } from "../../model/alert.ts";
import { fingerprintOf } from "../../model/fingerprint.ts";
import { ANNOTATION_VALUE_BYTES_MAX } from "../../model/limits.ts";
import { exceedsUtf8Bytes } from "../../model/utf8.ts";
import { pythonText } from "../records/record-identity.ts";
import { valueText } from "../records/record-value.ts";
import { roundHalfEven } from "../records/rounding.ts";
import { baseUnitName } from "../records/units.ts";
import { conditionText, holdingAlternatives } from "./condition.ts";
import type { OpenAlert } from "./group-state.ts";
import type { Level, NoData, Strategy } from "./strategy.ts";

/** Why an alert was sent. A closed list. */
export const DETECTION_REASONS = {
  triggered: "enough points of the window were anomalous",
  no_data: "expected points did not come",
  resent: "it still fires",
  recovered: "enough points in a row were normal",
  data_returned: "a point came again",
  superseded: "a higher level of the same strategy fires",
  series_silent: "the series has had no data for so long that nothing is known of it",
  series_retired: "the series has had no data for so long that it is forgotten",
  strategy_changed: "the strategy no longer has what the alert came from",
} as const;

export type DetectionReason = keyof typeof DETECTION_REASONS;

/** An alert of detection, with what it came from. Equal input gives equal alerts in equal order. */
export type DetectedAlert = {
  readonly alert: Alert;
  readonly reason: DetectionReason;
  readonly strategy: string;
  readonly severity: string;
  /** md5 of the series' identity dimensions. */
  readonly dimensionsMd5: string;
  /** Epoch seconds of the data at which it was decided. */
  readonly time: number;
};

/** What a series is, for labels and annotations. */
export type SeriesFacts = {
  readonly dimensions: Readonly<Record<string, unknown>>;
  readonly dimensionFields: readonly string[];
};

/** The label that tells a no-data alert from those of the same strategy's levels. */
export const NO_DATA_LABEL = "no_data";

/**
 * Labels: those that enrichment added, identity dimensions, then the strategy's own, then alertname (unless the
 * strategy names one) and severity. A later one of the same name wins; empty ones are left out.
 */
export function alertLabels(
  strategy: Strategy,
  {
    series,
    source,
    added = {},
  }: { series: SeriesFacts; source: Level | NoData; added?: Readonly<Record<string, string>> },
): Record<string, string> {
  const pairs: [string, string][] = Object.entries(added);
  for (const field of series.dimensionFields) pairs.push([field, labelText(series.dimensions[field])]);
  pairs.push(["alertname", strategy.name], ...Object.entries(strategy.labels), ["severity", source.severity]);
  if ("intervals" in source) pairs.push([NO_DATA_LABEL, "true"]);
  // A later pair of the same name wins; fromEntries makes even `__proto__` an ordinary name.
  return Object.fromEntries([...new Map(pairs)].filter(([, value]) => value !== ""));
}

/** What an alert fires for: a level or the missing data of a strategy, at the series' latest value. */
export type Firing = {
  readonly strategy: Strategy;
  readonly open: OpenAlert;
  readonly source: Level | NoData;
  /** null: the series never had one. */
  readonly value: number | null;
};

export function firingAlert({ strategy, open, source, value }: Firing): Alert {
  return alertOf(open, null, annotationsOf(strategy, open, { value, summary: summaryOf(strategy, source, value) }));
}

export function resolvedAlert(
  strategy: Strategy | undefined,
  open: OpenAlert,
  at: { time: number; value: number },
): Alert {
  const summary = `${open.labels["alertname"] ?? "The alert"} is over`;
  const annotations =
    strategy === undefined ? { summary } : annotationsOf(strategy, open, { value: at.value, summary });
  return alertOf(open, at.time, annotations);
}

function alertOf(open: OpenAlert, endsAt: number | null, annotations: Readonly<Record<string, string>>): Alert {
  return {
    labels: open.labels,
    annotations,
    startsAtMs: open.startsAt * 1000,
    endsAtMs: endsAt === null ? null : endsAt * 1000,
    status: endsAt === null ? "firing" : "resolved",
    generatorURL: null,
    fingerprint: fingerprintOf(open.labels),
  };
}

/**
 * The strategy's annotations with `{{ value }}` and `{{ <label> }}` filled in; a label that the alert lacks becomes the
 * empty text.
 */
function annotationsOf(
  strategy: Strategy,
  open: OpenAlert,
  facts: { value: number | null; summary: string },
): Record<string, string> {
  const value = facts.value === null ? "" : shownValue(strategy.query, facts.value);
  const fill = (_whole: string, name: string): string =>
    name === "value" ? value : Object.hasOwn(open.labels, name) ? (open.labels[name] as string) : "";
  const own = Object.entries(strategy.annotations).map(([name, text]) => {
    const filled = text.replace(/\{\{\s*([^{}\s]+)\s*\}\}/g, fill);
    // Long labels can make of it what no alert may have; then it is better left as it stands in the file than not sent.
    return [name, exceedsUtf8Bytes(filled, ANNOTATION_VALUE_BYTES_MAX) ? text : filled];
  });
  return Object.fromEntries([["summary", facts.summary], ...own]);
}

function summaryOf({ name, query }: Strategy, source: Level | NoData, value: number | null): string {
  const shown =
    value === null ? "" : `${shownValue(query, value)}${query.unit === null ? "" : baseUnitName(query.unit)}`;
  if ("intervals" in source)
    return `${name}: no data for ${source.intervals} intervals, ${value === null ? "never a value" : `last value ${shown}`}`;
  const { count, window } = source.trigger;
  const held = value === null ? source.when : holdingAlternatives(source.when, value);
  return `${name}: ${query.value} ${shown}, ${conditionText(held)} in ${count} of ${window} points`;
}

/** A value as people read it: rounded to the query's precision. A small one keeps three digits: 0.0049 is not 0. */
export function shownValue({ precision }: Strategy["query"], value: number): string {
  const rounded = roundHalfEven(value, precision);
  const isNear = Math.abs(value - rounded) <= 0.005 * Math.abs(value);
  return valueText(isNear ? rounded : Number(value.toPrecision(3)));
}

/** A dimension as the value of a label. */
export function labelText(value: unknown): string {
  if (value === null || value === undefined) return "";
  return typeof value === "object" ? JSON.stringify(value) : pythonText(value);
}
