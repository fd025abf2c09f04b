import type { Alert } from "../../model/alert.ts";
import { fingerprintOf } from "../../model/fingerprint.ts";
import { ANNOTATION_VALUE_BYTES_MAX } from "../../model/limits.ts";
import { exceedsUtf8Bytes } from "../../model/utf8.ts";
import { pythonText } from "../records/record-identity.ts";
import { conditionText } from "./condition.ts";
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
 * Labels: identity dimensions, then the strategy's own, then alertname (unless the strategy names one) and severity.
 * Empty ones are left out.
 */
export function alertLabels(strategy: Strategy, series: SeriesFacts, source: Level | NoData): Record<string, string> {
  const pairs: [string, string][] = series.dimensionFields.map((field) => [field, labelText(series.dimensions[field])]);
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
  readonly value: number;
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
  facts: { value: number; summary: string },
): Record<string, string> {
  const fill = (_whole: string, name: string): string =>
    name === "value" ? String(facts.value) : Object.hasOwn(open.labels, name) ? (open.labels[name] as string) : "";
  const own = Object.entries(strategy.annotations).map(([name, text]) => {
    const filled = text.replace(/\{\{\s*([^{}\s]+)\s*\}\}/g, fill);
    // Long labels can make of it what no alert may have; then it is better left as it stands in the file than not sent.
    return [name, exceedsUtf8Bytes(filled, ANNOTATION_VALUE_BYTES_MAX) ? text : filled];
  });
  return Object.fromEntries([["summary", facts.summary], ...own]);
}

function summaryOf(strategy: Strategy, source: Level | NoData, value: number): string {
  if ("intervals" in source) return `${strategy.name}: no data for ${source.intervals} intervals, last value ${value}`;
  const { count, window } = source.trigger;
  return `${strategy.name}: ${strategy.query.value} ${value}, ${conditionText(source.when)} in ${count} of ${window} points`;
}

/** A dimension as the value of a label. */
export function labelText(value: unknown): string {
  if (value === null || value === undefined) return "";
  return typeof value === "object" ? JSON.stringify(value) : pythonText(value);
}
