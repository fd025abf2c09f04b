/**
 * Records as CSV (RFC 4180): a header, then rows of as many cells. Cells are texts; a quoted one may hold delimiters,
 * line breaks and doubled quotes. A quote that does not begin a cell is an ordinary character.
 *
 * A row ends at the first line break outside quotes. One that has not ended after ROW_LINES_MAX lines is refused as a
 * whole and reading goes on after it: a stray quote costs a few rows, not the rest of the file. The work is linear in
 * the text, whatever it is.
 */
import { BecalmError } from "../model/errors.ts";
import type { RecordReader, RecordRow } from "./record-row.ts";
import { looksBinary, ROW_CHARS_MAX, rejectRow } from "./record-row.ts";
import { type TextLine, TextLines } from "./text-lines.ts";

/** Lines that one row may have: how far an unclosed quote reaches. */
export const ROW_LINES_MAX = 64;

export type CsvOptions = {
  /** How messages call the input. */
  readonly file: string;
  /** Columns that the header must have; others may be there. */
  readonly requiredColumns?: readonly string[];
  /** One character. Default: a comma. */
  readonly delimiter?: string;
};

/**
 * A CSV push parser. `feed` and `end` throw BECALM_ARGUMENT_INVALID when the header is missing, repeats a column or
 * lacks a required one:
 * then no row of the file can be read. Everything else that is wrong is a rejection of its row.
 */
export function csvReader(options: CsvOptions): RecordReader {
  const reader = new CsvReader(options);
  return { feed: (text) => reader.feed(text), end: () => reader.end() };
}

/** A row that is not finished: a quoted cell is open at the end of its latest line. */
type OpenRow = { readonly line: number; readonly cells: string[]; cell: string; lineCount: number; charCount: number };

type Cells = readonly string[] | "misplaced quote";

class CsvReader {
  readonly #options: CsvOptions;
  readonly #delimiter: string;
  readonly #lines = new TextLines(ROW_CHARS_MAX);
  #header: readonly string[] | null = null;
  #open: OpenRow | null = null;

  constructor(options: CsvOptions) {
    this.#options = options;
    this.#delimiter = options.delimiter ?? ",";
  }

  feed(text: string): RecordRow[] {
    return this.#readAll(this.#lines.feed(text));
  }

  end(): RecordRow[] {
    const rows = this.#readAll(this.#lines.end());
    if (this.#open !== null) this.#refuse(this.#open.line, unclosed(this.#open), rows);
    this.#open = null;
    if (this.#header === null) throw wrongHeader(this.#options, "is empty", "there is no header line");
    return rows;
  }

  #readAll(lines: readonly TextLine[]): RecordRow[] {
    const rows: RecordRow[] = [];
    for (const line of lines) this.#readLine(line, rows);
    return rows;
  }

  #readLine({ line, text, isTooLong }: TextLine, rows: RecordRow[]): void {
    const open = this.#open;
    if (open === null && text === "") return;
    if (isTooLong || looksBinary(text)) {
      if (open !== null) this.#refuse(open.line, unclosed(open), rows);
      this.#open = null;
      const refusal = looksBinary(text)
        ? rejectRow(line, "binary")
        : rejectRow(line, "row_too_long", `more than ${ROW_CHARS_MAX} characters`);
      this.#refuse(line, refusal, rows);
      return;
    }
    if (open === null && !text.includes('"')) {
      this.#takeRow(line, text.split(this.#delimiter), rows);
      return;
    }
    const row = open ?? { line, cells: [], cell: "", lineCount: 0, charCount: 0 };
    row.lineCount += 1;
    row.charCount += text.length + 1;
    const outcome = splitQuoted(text, { delimiter: this.#delimiter, row, isInside: open !== null });
    this.#open = outcome === "open" ? row : null;
    if (outcome !== "open") this.#takeRow(row.line, outcome === "closed" ? row.cells : outcome, rows);
    else if (row.lineCount >= ROW_LINES_MAX || row.charCount > ROW_CHARS_MAX) {
      this.#open = null;
      this.#refuse(row.line, unclosed(row), rows);
    }
  }

  #refuse(line: number, refusal: RecordRow, rows: RecordRow[]): void {
    if (this.#header === null)
      throw wrongHeader(this.#options, "does not begin with a header", `line ${line} cannot be read as one`);
    rows.push(refusal);
  }

  #takeRow(line: number, cells: Cells, rows: RecordRow[]): void {
    if (this.#header === null) this.#header = headerOf(cells, this.#options);
    else rows.push(rowOf(line, cells, this.#header));
  }
}

function unclosed({ line, lineCount }: OpenRow): RecordRow {
  const extent = lineCount === 1 ? "" : `; lines ${line} to ${line + lineCount - 1} are refused`;
  return rejectRow(line, "row_too_long", `a quote is not closed${extent}`);
}

function rowOf(line: number, cells: Cells, header: readonly string[]): RecordRow {
  if (cells === "misplaced quote") return rejectRow(line, "quote_misplaced");
  if (cells.length !== header.length) {
    return rejectRow(
      line,
      cells.length < header.length ? "row_short" : "row_long",
      `${cells.length} instead of ${header.length}`,
    );
  }
  const record: Record<string, string> = {};
  for (let i = 0; i < header.length; i += 1) record[header[i] as string] = cells[i] as string;
  return { line, record };
}

function headerOf(cells: Cells, options: CsvOptions): readonly string[] {
  if (cells === "misplaced quote") throw wrongHeader(options, "has a header with text after a closing quote", "line 1");
  const names = cells.map((cell) => cell.trim());
  const repeated = names.find((name, index) => names.indexOf(name) !== index);
  if (repeated !== undefined)
    throw wrongHeader(options, `has the column ${JSON.stringify(repeated)} twice`, "name each column once");
  // `__proto__` as a column would set the prototype of every record.
  const unusable = names.find((name) => name === "" || name === "__proto__");
  if (unusable !== undefined)
    throw wrongHeader(options, `has a column named ${JSON.stringify(unusable)}`, "give it another name");
  const missing = (options.requiredColumns ?? []).filter((name) => !names.includes(name));
  if (missing.length === 0) return names;
  throw wrongHeader(options, `has no column ${missing.join(", ")}`, `its header has ${names.slice(0, 20).join(", ")}`);
}

function wrongHeader({ file }: CsvOptions, what: string, detail: string): BecalmError {
  return new BecalmError(
    "BECALM_ARGUMENT_INVALID",
    `${file}:1: the file ${what} (${detail}); a CSV of records begins with the names of its columns.`,
    {
      details: { file, line: 1 },
    },
  );
}

type Splitting = { readonly delimiter: string; readonly row: OpenRow; readonly isInside: boolean };

/** Adds the cells of one line to the row. `isInside`: the line goes on inside a quoted cell of an earlier one. */
function splitQuoted(text: string, { delimiter, row, isInside }: Splitting): "open" | "closed" | "misplaced quote" {
  let inside = isInside;
  for (let start = 0; ; ) {
    if (!inside && text[start] !== '"') {
      const end = text.indexOf(delimiter, start);
      row.cells.push(end === -1 ? text.slice(start) : text.slice(start, end));
      if (end === -1) return "closed";
      start = end + 1;
      continue;
    }
    const from = inside ? start : start + 1;
    inside = false;
    const close = closingQuote(text, from);
    row.cell += text.slice(from, close === -1 ? text.length : close).replaceAll('""', '"');
    if (close === -1) {
      row.cell += "\n";
      return "open";
    }
    row.cells.push(row.cell);
    row.cell = "";
    if (close + 1 === text.length) return "closed";
    if (text[close + 1] !== delimiter) return "misplaced quote";
    start = close + 2;
  }
}

/** Where the quote that ends the cell is: one that is not doubled. -1: nowhere. */
function closingQuote(text: string, from: number): number {
  for (let at = text.indexOf('"', from); at !== -1; at = text.indexOf('"', at + 2)) {
    if (text[at + 1] !== '"') return at;
  }
  return -1;
}
