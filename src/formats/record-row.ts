/** Why a line of a record file is not a record. A closed list; docs/strategies.md explains each. */
export const ROW_REJECTION_REASONS = {
  row_short: "the row lacks cells that a strategy reads",
  row_long: "the row has more cells than the header",
  row_too_long: "the row is longer than a row may be, or a quote is never closed",
  quote_misplaced: "there is text after a closing quote",
  binary: "the line is not text",
  json_invalid: "the line is not JSON; --format json reads arrays and documents of several lines",
  record_not_an_object: "the line is JSON, but not a map of fields",
} as const;

export type RowRejectionReason = keyof typeof ROW_REJECTION_REASONS;

/** One row of a record file. `line` is the 1-based number of its first line. */
export type RecordRow =
  | { readonly line: number; readonly record: Readonly<Record<string, unknown>> }
  | { readonly line: number; readonly rejected: true; readonly reason: RowRejectionReason; readonly text: string };

/** A push parser: give it the text in pieces of any size, and `end` once. It keeps at most one unfinished row. */
export interface RecordReader {
  feed(text: string): RecordRow[];
  end(): RecordRow[];
}

/** What every reader is reported. */
export type ReaderOptions = {
  /** How messages call the input. */
  readonly file: string;
  /** The fields that strategies read. Missing: all are. */
  readonly usedFields?: readonly string[];
};

/** Characters of one row, quotes included: what bounds the memory. */
export const ROW_CHARS_MAX = 65_536;

export function rejectRow(line: number, reason: RowRejectionReason, detail = ""): RecordRow {
  return {
    line,
    rejected: true,
    reason,
    text: `${ROW_REJECTION_REASONS[reason]}${detail === "" ? "" : ` (${detail})`}`,
  };
}

/**
 * Control characters and what a decoder puts for bytes that are no UTF-8; tab, and line breaks inside quotes, are text.
 */
const BINARY = /(?![\t\n\r])\p{Cc}|\ufffd/u;

export function looksBinary(text: string): boolean {
  return BINARY.test(text);
}
