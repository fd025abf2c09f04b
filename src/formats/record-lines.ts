import { messageOf } from "../model/errors.ts";
import type { ReaderOptions, RecordReader, RecordRow } from "./record-row.ts";
import { looksBinary, ROW_CHARS_MAX, rejectRow } from "./record-row.ts";
import { type TextLine, TextLines } from "./text-lines.ts";

/** Reads records as JSON, one map of fields a line. Empty lines are skipped, and counted in the line numbers. */
export function recordLinesReader({ usedFields }: Partial<ReaderOptions> = {}): RecordReader {
  const lines = new TextLines(ROW_CHARS_MAX);
  const rowsOf = (cut: readonly TextLine[]): RecordRow[] =>
    cut.filter(({ text }) => text.trim() !== "").map((line) => rowOf(line, usedFields));
  return {
    feed: (text) => rowsOf(lines.feed(text)),
    end: () => rowsOf(lines.end()),
  };
}

function rowOf({ line, text, isTooLong }: TextLine, usedFields: readonly string[] | undefined): RecordRow {
  const isBinary = looksBinary(text);
  if (isTooLong)
    return isBinary
      ? rejectRow(line, "binary")
      : rejectRow(line, "row_too_long", `more than ${ROW_CHARS_MAX} characters`);
  try {
    const row = recordOf(line, JSON.parse(text));
    return isBinary && !("rejected" in row) && hasBinary(row.record, usedFields) ? rejectRow(line, "binary") : row;
  } catch (error) {
    return isBinary ? rejectRow(line, "binary") : rejectRow(line, "json_invalid", messageOf(error));
  }
}

/** A parsed value as a row. */
export function recordOf(line: number, value: unknown): RecordRow {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return rejectRow(line, "record_not_an_object");
  return { line, record: value as Record<string, unknown> };
}

/** A byte that is not UTF-8 harms the fields that are read, no others. */
function hasBinary(record: Readonly<Record<string, unknown>>, usedFields: readonly string[] | undefined): boolean {
  const names = usedFields?.map((name) => (Object.hasOwn(record, name) ? name : (name.split(".")[0] as string)));
  const used = names === undefined ? Object.entries(record) : names.map((name) => [name, record[name]]);
  return looksBinary(JSON.stringify(used));
}
