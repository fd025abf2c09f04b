/**
 * Records in the documents that monitoring systems answer: a whole document is read, then each point of it is a record.
 */
import { BecalmError, messageOf } from "../model/errors.ts";
import { recordOf } from "./record-lines.ts";
import type { ReaderOptions, RecordReader, RecordRow } from "./record-row.ts";
import { rejectRow } from "./record-row.ts";

type Fields = Readonly<Record<string, unknown>>;

/** Characters of a document: it is held as a whole. */
export const DOCUMENT_CHARS_MAX = 256 * 1_024 * 1_024;

/** Prometheus' answer to query or query_range: the labels, with `time` (seconds) and `value`. */
export function prometheusReader(options: ReaderOptions): RecordReader {
  return documentReader(options, "a Prometheus answer with data.result", (document) => {
    const result = listAt(mapAt(document, "data"), "result");
    return result?.flatMap((series): RecordRow[] => {
      const labels = mapAt(series, "metric") ?? {};
      const points = listAt(series, "values") ?? (listAt(series, "value") === null ? [] : [listAt(series, "value")]);
      return points.map((point) => {
        const [time, value] = Array.isArray(point) ? point : [];
        return { line: 1, record: { ...labels, time, value } };
      });
    });
  });
}

/** CloudWatch's get-metric-data and get-metric-statistics: `Label`, `Id`, `time` and `value`. */
export function cloudwatchReader(options: ReaderOptions): RecordReader {
  return documentReader(options, "a CloudWatch answer with MetricDataResults or Datapoints", (document) => {
    const results = listAt(document, "MetricDataResults");
    if (results !== null) return results.flatMap(metricDataRows);
    const label = mapOf(document)?.["Label"];
    return listAt(document, "Datapoints")?.map((one): RecordRow => {
      const point = mapOf(one) ?? {};
      const value = STATISTICS.map((name) => point[name]).find((found) => found !== undefined);
      return { line: 1, record: { ...point, Label: label, time: point["Timestamp"], value } };
    });
  });
}

const STATISTICS = ["Average", "Sum", "Maximum", "Minimum", "SampleCount"] as const;

function metricDataRows(one: unknown): RecordRow[] {
  const { Id, Label } = mapOf(one) ?? {};
  const values = listAt(one, "Values") ?? [];
  const times = listAt(one, "Timestamps") ?? [];
  return times.map((time, index) => ({ line: 1, record: { Id, Label, time, value: values[index] } }));
}

/** VictoriaMetrics' export, a series a line: the labels, with `time` (seconds) and `value`. */
export function victoriametricsRows(line: number, document: unknown): RecordRow[] {
  const labels = mapAt(document, "metric");
  const values = listAt(document, "values");
  const times = listAt(document, "timestamps");
  if (labels === null || values === null || times === null)
    return [rejectRow(line, "record_not_an_object", "metric, values or timestamps is missing")];
  return times.map((ms, index) => ({
    line,
    record: { ...labels, time: typeof ms === "number" ? ms / 1_000 : ms, value: values[index] },
  }));
}

/** Telegraf's JSON: a metric is a record; a batch has them under `metrics`. */
export function telegrafRows(line: number, document: unknown): RecordRow[] {
  const metrics = listAt(document, "metrics");
  return metrics === null ? [recordOf(line, document)] : metrics.map((one) => recordOf(line, one));
}

function documentReader(
  { file }: ReaderOptions,
  expected: string,
  rowsOf: (document: unknown) => RecordRow[] | undefined,
): RecordReader {
  const pieces: string[] = [];
  let chars = 0;
  const invalid = (what: string) =>
    new BecalmError("BECALM_ARGUMENT_INVALID", `${file}: the file ${what}; expected ${expected}.`, {
      details: { file },
    });
  return {
    feed: (text) => {
      pieces.push(text);
      chars += text.length;
      if (chars > DOCUMENT_CHARS_MAX)
        throw invalid(`has more than ${DOCUMENT_CHARS_MAX} characters: ask for it in shorter ranges`);
      return [];
    },
    end: () => {
      const whole = pieces.join("").replace(/^\ufeff/, "");
      pieces.length = 0;
      let document: unknown;
      try {
        document = JSON.parse(whole);
      } catch (error) {
        throw invalid(`is not one JSON document (${messageOf(error)})`);
      }
      const rows = rowsOf(document);
      if (rows === undefined) throw invalid("is another JSON document");
      return rows;
    },
  };
}

function mapOf(value: unknown): Fields | null {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : null;
}

function mapAt(value: unknown, name: string): Fields | null {
  return mapOf(mapOf(value)?.[name]);
}

function listAt(value: unknown, name: string): readonly unknown[] | null {
  const found = mapOf(value)?.[name];
  return Array.isArray(found) ? found : null;
}
