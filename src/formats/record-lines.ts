import { messageOf } from "../model/errors.ts";
import type { RecordReader, RecordRow } from "./record-row.ts";
import { looksBinary, ROW_CHARS_MAX, rejectRow } from "./record-row.ts";
import { type TextLine, TextLines } from "./text-lines.ts";

/** Reads records as JSON, one map of fields a line. Empty lines are skipped, and counted in the line numbers. */
export function recordLinesReader(): RecordReader {
  const lines = new TextLines(ROW_CHARS_MAX);
  const rowsOf = (cut: readonly TextLine[]): RecordRow[] => cut.filter(({ text }) => text.trim() !== "").map(rowOf);
  return {
    feed: (text) => rowsOf(lines.feed(text)),
    end: () => rowsOf(lines.end()),
  };
}

function rowOf({ line, text, isTooLong }: TextLine): RecordRow {
  if (looksBinary(text)) return rejectRow(line, "binary");
  if (isTooLong) return rejectRow(line, "row_too_long", `more than ${ROW_CHARS_MAX} characters`);
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null || Array.isArray(value))
      return rejectRow(line, "record_not_an_object");
    return { line, record: value as Record<string, unknown> };
  } catch (error) {
    return rejectRow(line, "json_invalid", messageOf(error));
  }
}
