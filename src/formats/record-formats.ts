/** The forms that records come in: which reader reads them, and how each is recognised. */
import { messageOf } from "../model/errors.ts";
import { csvReader } from "./csv.ts";
import { JsonValues } from "./json-values.ts";
import { cloudwatchReader, prometheusReader, telegrafRows, victoriametricsRows } from "./record-documents.ts";
import type { RecordFormat } from "./record-format-names.ts";
import { recordLinesReader, recordOf } from "./record-lines.ts";
import { type ReaderOptions, type RecordReader, type RecordRow, ROW_CHARS_MAX, rejectRow } from "./record-row.ts";
import { collectdReader, influxReader, sadfReader } from "./record-tables.ts";

export type FormatReaderOptions = ReaderOptions & { readonly delimiter?: string };

/** A series of VictoriaMetrics' export has all its points in one value. */
const SERIES_CHARS_MAX = 16 * 1_024 * 1_024;

export function readerOf(format: RecordFormat, options: FormatReaderOptions): RecordReader {
  switch (format) {
    case "csv":
      return csvReader(options);
    case "jsonl":
      return recordLinesReader(options);
    case "json":
      return jsonReader((line, value) => [recordOf(line, value)], ROW_CHARS_MAX);
    case "telegraf":
      return jsonReader(telegrafRows, SERIES_CHARS_MAX);
    case "victoriametrics":
      return jsonReader(victoriametricsRows, SERIES_CHARS_MAX);
    case "prometheus":
      return prometheusReader(options);
    case "cloudwatch":
      return cloudwatchReader(options);
    case "influx-csv":
      return influxReader();
    case "sadf":
      return sadfReader(options);
    case "collectd-csv":
      return collectdReader(options);
  }
}

/** An array, values one after the other, pretty or not. */
function jsonReader(rowsOf: (line: number, value: unknown) => RecordRow[], charsMax: number): RecordReader {
  const values = new JsonValues(charsMax);
  const read = (texts: ReturnType<JsonValues["feed"]>): RecordRow[] =>
    texts.flatMap(({ line, text, isTooLong }) => {
      if (isTooLong) return [rejectRow(line, "row_too_long", `more than ${charsMax} characters`)];
      try {
        return rowsOf(line, JSON.parse(text));
      } catch (error) {
        return [rejectRow(line, "json_invalid", messageOf(error))];
      }
    });
  return { feed: (text) => read(values.feed(text)), end: () => read(values.end()) };
}

/**
 * By what the input begins with where that is unmistakable, then by the name's ending; a header begins with no brace.
 */
export function formatOf(path: string, beginning: string): RecordFormat {
  const text = beginning.replace(/^\ufeff/, "").trimStart();
  const known = knownFormat(path, text);
  if (known !== null) return known;
  if (/\.csv(?:\.gz)?$/i.test(path)) return "csv";
  if (/\.(?:jsonl|ndjson)(?:\.gz)?$/i.test(path)) return "jsonl";
  if (text.startsWith("[")) return "json";
  if (!text.startsWith("{")) return "csv";
  return isWholeLine(text) ? "jsonl" : "json";
}

function knownFormat(path: string, text: string): RecordFormat | null {
  if (/^#(?:group|datatype|default),/.test(text)) return "influx-csv";
  if (/^# ?hostname;interval;timestamp/.test(text)) return "sadf";
  if (text.startsWith("epoch,") && /-\d{4}-\d{2}-\d{2}(?:\.gz)?$/.test(path)) return "collectd-csv";
  if (!text.startsWith("{")) return null;
  const head = text.slice(0, 4_096);
  if (/^\{\s*"status"\s*:\s*"success"/.test(head) && /"resultType"\s*:\s*"(?:matrix|vector)"/.test(head))
    return "prometheus";
  if (/^\{\s*"metric"\s*:\s*\{/.test(head) && /"(?:values|timestamps)"\s*:\s*\[/.test(text)) return "victoriametrics";
  if (/^\{\s*"(?:MetricDataResults|Datapoints)"\s*:\s*\[/.test(head)) return "cloudwatch";
  if (/^\{\s*"Label"\s*:/.test(head) && /"Datapoints"\s*:\s*\[/.test(head)) return "cloudwatch";
  return /^\{\s*"metrics"\s*:\s*\[/.test(head) ? "telegraf" : null;
}

/** Whether the first line is a value; a line that does not end here may be one. */
function isWholeLine(text: string): boolean {
  const end = text.indexOf("\n");
  if (end === -1) return true;
  try {
    JSON.parse(text.slice(0, end));
    return true;
  } catch {
    // A broken line among lines is told as such.
    return (
      text.slice(0, end).trimEnd().length > 1 &&
      text.slice(0, end).trimEnd() !== "{" &&
      text.slice(0, end).includes(":")
    );
  }
}
