/**
 * Records in the tables that monitoring tools write, which are nearly CSV: InfluxDB's annotated CSV, `sadf -d`,
 * collectd's.
 */
import { BecalmError } from "../model/errors.ts";
import { cellsOfLine, csvReader } from "./csv.ts";
import type { ReaderOptions, RecordReader, RecordRow } from "./record-row.ts";
import { ROW_CHARS_MAX, rejectRow } from "./record-row.ts";
import { type TextLine, TextLines } from "./text-lines.ts";

/** Makes rows of lines, one by one. */
type LineTaker = (line: TextLine) => RecordRow | null;

function linesReader(take: LineTaker): RecordReader {
  const lines = new TextLines(ROW_CHARS_MAX);
  const rowsOf = (cut: readonly TextLine[]): RecordRow[] => cut.flatMap((line) => take(line) ?? []);
  return { feed: (text) => rowsOf(lines.feed(text)), end: () => rowsOf(lines.end()) };
}

/** InfluxDB 2: tables one after the other, each with annotations (`#group`, `#datatype`, `#default`) and a header. */
export function influxReader(): RecordReader {
  let header: readonly string[] | null = null;
  let defaults: readonly string[] = [];
  let isAnnotated = false;
  return linesReader(({ line, text, isTooLong }) => {
    if (isTooLong) return rejectRow(line, "row_too_long", `more than ${ROW_CHARS_MAX} characters`);
    const cells = text === "" ? [] : cellsOfLine(text, ",");
    if (cells === null) return rejectRow(line, "quote_misplaced");
    if (text === "") {
      header = null;
      return null;
    }
    if (text.startsWith("#")) {
      if (!isAnnotated) defaults = [];
      isAnnotated = true;
      header = null;
      if (cells[0] === "#default") defaults = cells;
      return null;
    }
    if (header === null) {
      header = cells;
      isAnnotated = false;
      return null;
    }
    if (cells.length < header.length)
      return rejectRow(line, "row_short", `${cells.length} instead of ${header.length}`);
    return { line, record: recordOfCells(header, cells, defaults) };
  });
}

/**
 * `sadf -d`: semicolons, `# hostname;...` before each table, and a line with fewer cells where the host was restarted.
 */
export function sadfReader({ file }: ReaderOptions): RecordReader {
  let header: readonly string[] | null = null;
  return linesReader(({ line, text, isTooLong }) => {
    if (isTooLong) return rejectRow(line, "row_too_long", `more than ${ROW_CHARS_MAX} characters`);
    if (text === "") return null;
    const cells = text.split(";");
    if (text.startsWith("#")) {
      header = [(cells[0] as string).replace(/^#\s*/, ""), ...cells.slice(1)];
      return null;
    }
    if (header === null) {
      const what = `${file}:${line}: a table of sadf -d begins with "# hostname;interval;timestamp;...".`;
      throw new BecalmError("BECALM_ARGUMENT_INVALID", what, { details: { file, line } });
    }
    return { line, record: recordOfCells(header, cells, []) };
  });
}

/** collectd's csv plugin: a file a gauge, `epoch` and its values; host, plugin and type are in its path. */
export function collectdReader(options: ReaderOptions): RecordReader {
  const labels = collectdLabels(options.file);
  const reader = csvReader({ file: options.file });
  const labelled = (rows: readonly RecordRow[]): RecordRow[] =>
    rows.map((row) =>
      "rejected" in row ? row : { line: row.line, record: { ...labels, ...row.record, time: row.record["epoch"] } },
    );
  return { feed: (text) => labelled(reader.feed(text)), end: () => labelled(reader.end()) };
}

/** `<host>/<plugin>[-<instance>]/<type>[-<instance>]-<date>`. */
export function collectdLabels(path: string): Record<string, string> {
  const [host = "", plugin = "", file = ""] = path.split("/").slice(-3);
  const [, name = file] = /^(.*?)(?:-\d{4}-\d{2}-\d{2})?(?:\.gz)?$/.exec(file) ?? [];
  const [pluginName, pluginInstance] = splitAtDash(plugin);
  const [type, typeInstance] = splitAtDash(name);
  return { host, plugin: pluginName, plugin_instance: pluginInstance, type, type_instance: typeInstance };
}

function splitAtDash(text: string): [string, string] {
  const at = text.indexOf("-");
  return at === -1 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}

function recordOfCells(
  header: readonly string[],
  cells: readonly string[],
  defaults: readonly string[],
): Record<string, string> {
  const record: Record<string, string> = {};
  for (const [place, name] of header.entries()) {
    const cell = cells[place]?.trim() || (defaults[place] ?? "");
    if (name !== "" && name !== "__proto__" && (cells[place] !== undefined || cell !== "")) record[name] = cell;
  }
  return record;
}
