/**
 * Records as CSV (RFC 4180): a header, then rows of as many cells. Cells are texts; a quoted one may hold delimiters,
 * line breaks and doubled quotes. A quote that does not begin a cell is an ordinary character.
 *
 * A row ends at the first line break outside quotes. One that has not ended after ROW_LINES_MAX lines is refused as a
 * whole and reading goes on after it: a stray quote costs a few rows, not the rest of the file. The work is linear in
 * the text, whatever it is.
 */
import { BecalmError } from "../model/errors.ts";
import { nearestName } from "./nearest-name.ts";
import type { ReaderOptions, RecordReader, RecordRow } from "./record-row.ts";
import { looksBinary, ROW_CHARS_MAX, rejectRow } from "./record-row.ts";
import { type TextLine, TextLines } from "./text-lines.ts";

/** Lines that one row may have: how far an unclosed quote reaches. */
export const ROW_LINES_MAX = 64;

export type CsvOptions = ReaderOptions & {
  /** One character. Default: a comma, or what a first line `sep=;` says. */
  readonly delimiter?: string;
};

/**
 * A CSV push parser. `feed` and `end` throw BECALM_ARGUMENT_INVALID if the header is missing, or lacks or repeats a
 * column that is used: then no row of the file can be read. Everything else that is wrong is a rejection of its row,
 * and what no strategy reads never is: an unnamed or repeated column, a missing cell behind the last used one, a byte
 * that is not text.
 */
export function csvReader(options: CsvOptions): RecordReader {
  const reader = new CsvReader(options);
  return { feed: (text) => reader.feed(text), end: () => reader.end() };
}

/** A row that is not finished: a quoted cell is open at the end of its latest line. */
type OpenRow = {
  readonly line: number;
  readonly cells: string[];
  cell: string;
  lineCount: number;
  charCount: number;
  isSuspect: boolean;
};

type Cells = readonly string[] | "misplaced quote";

class CsvReader {
  readonly #options: CsvOptions;
  #delimiter: string;
  readonly #lines = new TextLines(ROW_CHARS_MAX);
  #header: Header | null = null;
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
    const isSuspect = looksBinary(text);
    if (isTooLong || (isSuspect && this.#header === null)) {
      if (open !== null) this.#refuse(open.line, unclosed(open), rows);
      this.#open = null;
      const refusal = isSuspect
        ? rejectRow(line, "binary")
        : rejectRow(line, "row_too_long", `more than ${ROW_CHARS_MAX} characters`);
      this.#refuse(line, refusal, rows);
      return;
    }
    if (line === 1 && this.#header === null && this.#takeSeparator(text)) return;
    if (open === null && !text.includes('"')) {
      this.#takeRow({ line, cells: text.split(this.#delimiter), isSuspect, isRaw: true }, rows);
      return;
    }
    const row = open ?? { line, cells: [], cell: "", lineCount: 0, charCount: 0, isSuspect };
    row.lineCount += 1;
    row.isSuspect ||= isSuspect;
    row.charCount += text.length + 1;
    const outcome = splitQuoted(text, { delimiter: this.#delimiter, row, isInside: open !== null });
    this.#open = outcome === "open" ? row : null;
    const cells = outcome === "closed" ? row.cells : outcome;
    if (cells !== "open") this.#takeRow({ line: row.line, cells, isSuspect: row.isSuspect, isRaw: false }, rows);
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

  /** What Excel writes and reads: `sep=;` before the header. */
  #takeSeparator(text: string): boolean {
    const delimiter = /^"?sep=(.)"?$/i.exec(text)?.[1];
    if (delimiter === undefined) return false;
    this.#delimiter = this.#options.delimiter ?? delimiter;
    return true;
  }

  #takeRow(row: CutRow, rows: RecordRow[]): void {
    if (this.#header === null) this.#header = headerOf(row, this.#options);
    else rows.push(rowOf(row, this.#header));
  }
}

function unclosed({ line, lineCount }: OpenRow): RecordRow {
  const extent = lineCount === 1 ? "" : `; lines ${line} to ${line + lineCount - 1} are refused`;
  return rejectRow(line, "row_too_long", `a quote is not closed${extent}`);
}

type CutRow = {
  readonly line: number;
  readonly cells: Cells;
  /** There is something in it that is not text. */
  readonly isSuspect: boolean;
  /** Blanks around its cells are there still. */
  readonly isRaw: boolean;
};

type Header = {
  /** By place; the empty text: no field. */
  readonly names: readonly string[];
  /** Places of the columns that are read. */
  readonly used: readonly number[];
  /** Cells that a row must have. */
  readonly cellsMin: number;
};

function rowOf({ line, cells, isSuspect, isRaw }: CutRow, { names, used, cellsMin }: Header): RecordRow {
  if (cells === "misplaced quote") return rejectRow(line, "quote_misplaced");
  if (isSuspect && used.some((place) => looksBinary(cells[place] ?? ""))) return rejectRow(line, "binary");
  if (cells.length < cellsMin) return rejectRow(line, "row_short", `${cells.length} instead of ${names.length}`);
  if (cells.length > names.length && cells.slice(names.length).some((cell) => cell.trim() !== ""))
    return rejectRow(line, "row_long", `${cells.length} instead of ${names.length}`);
  const record: Record<string, string> = {};
  const count = Math.min(names.length, cells.length);
  for (let i = 0; i < count; i += 1) {
    const name = names[i] as string;
    const cell = cells[i] as string;
    if (name !== "") record[name] = isRaw ? trimmed(cell) : cell;
  }
  return { line, record };
}

/** Blanks around an unquoted cell are no part of it. Most cells have none: looked at before anything is cut. */
function trimmed(cell: string): string {
  const isBare = cell === "" || (cell.charCodeAt(0) > 32 && cell.charCodeAt(cell.length - 1) > 32);
  return isBare ? cell : cell.replace(/^[ \t]+|[ \t]+$/g, "");
}

function headerOf({ line, cells }: CutRow, options: CsvOptions): Header {
  if (cells === "misplaced quote")
    throw wrongHeader(options, "has a header with text after a closing quote", `line ${line}`);
  const names = cells.map((cell) => cell.trim());
  const { usedFields } = options;
  const missing = (usedFields ?? []).filter((name) => !names.includes(name));
  if (missing.length > 0)
    throw wrongHeader(options, `has no column ${missing.join(", ")}`, columnsText(names, missing));
  const isRepeated = (name: string, place: number): boolean => names.indexOf(name) !== place;
  const wanted = usedFields ?? names;
  const repeated = names.find((name, place) => isRepeated(name, place) && wanted.includes(name));
  if (repeated !== undefined)
    throw wrongHeader(
      options,
      `has the column ${JSON.stringify(repeated)} twice`,
      "name each column that is read once",
    );
  // `__proto__` as a column would set the prototype of every record.
  const unusable = wanted.find((name) => name === "" || name === "__proto__");
  if (unusable !== undefined)
    throw wrongHeader(options, `has a column named ${JSON.stringify(unusable)}`, "give it another name");
  const used = wanted.map((name) => names.indexOf(name));
  return {
    names: names.map((name, place) => (isRepeated(name, place) || name === "__proto__" ? "" : name)),
    used,
    cellsMin: Math.max(0, ...used) + 1,
  };
}

/** The columns that are there, and what is probably wrong. */
function columnsText(names: readonly string[], missing: readonly string[]): string {
  const header = names.join(",");
  const delimiter = [";", "\t", "|"].find((one) =>
    missing.every((name) => header.split(one).some((cell) => cell.trim() === name)),
  );
  const there = `its header has ${names.slice(0, 20).join(", ")}`;
  if (delimiter !== undefined) return `${there}; give --delimiter ${delimiter === "\t" ? "tab" : `'${delimiter}'`}`;
  if (header.startsWith("#")) return `${there}; remove the lines that begin with # before the header`;
  const near = missing.flatMap((name) => nearestName(name, names) ?? []);
  return near.length === 0 ? there : `${there}; did you mean ${near.join(", ")}?`;
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

/** The cells of a line that stands for itself; null: a quote is open at its end, or text follows one. */
export function cellsOfLine(text: string, delimiter: string): readonly string[] | null {
  if (!text.includes('"')) return text.split(delimiter);
  const row: OpenRow = { line: 0, cells: [], cell: "", lineCount: 1, charCount: 0, isSuspect: false };
  return splitQuoted(text, { delimiter, row, isInside: false }) === "closed" ? row.cells : null;
}

type Splitting = { readonly delimiter: string; readonly row: OpenRow; readonly isInside: boolean };

/** Adds the cells of one line to the row. `isInside`: the line goes on inside a quoted cell of an earlier one. */
function splitQuoted(text: string, { delimiter, row, isInside }: Splitting): "open" | "closed" | "misplaced quote" {
  let inside = isInside;
  for (let start = 0; ; ) {
    if (!inside && text[start] !== '"') {
      const end = text.indexOf(delimiter, start);
      row.cells.push(trimmed(end === -1 ? text.slice(start) : text.slice(start, end)));
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
