/** Record files and stdin as rows, read as they are needed: the input may be larger than the memory. */
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import type { Readable } from "node:stream";
import { csvReader } from "../formats/csv.ts";
import { recordLinesReader } from "../formats/record-lines.ts";
import type { RecordReader, RecordRow } from "../formats/record-row.ts";
import { unreadable } from "./read-text.ts";

export type RecordFormat = "csv" | "jsonl";

export type RecordInput = {
  /** `-`: stdin. */
  readonly path: string;
  /** What messages call it. */
  readonly label: string;
  readonly format: RecordFormat | undefined;
  readonly requiredColumns: readonly string[];
};

/** How far a file was read. `total` is null where nobody knows. */
export type BytesRead = { readonly read: number; readonly total: number | null };

/** Silence on a pipe after which what has come is decided without waiting for a full batch. */
const IDLE_MS = 200;

/** Text that is made rows of at a time. Rows of a long piece would outlive the commits that take them, and be collected late. */
const ROWS_FROM_CHARS = 16_384;

/** Sizes of files; throws for the first that cannot be read, before anything is done. */
export async function requireReadable(paths: readonly string[]): Promise<void> {
  for (const path of paths) if (path !== "-") await sizeOf(path);
}

/** Rows of one input. From stdin also empty lists, while nothing comes. */
export async function* readRows(
  input: RecordInput,
  onBytes: (bytes: BytesRead) => void,
): AsyncGenerator<readonly RecordRow[]> {
  const isLive = input.path === "-";
  const total = isLive ? null : await sizeOf(input.path);
  const stream: Readable & { bytesRead?: number } = isLive ? process.stdin : createReadStream(input.path);
  stream.setEncoding("utf8");
  let reader: RecordReader | null = null;
  for await (const piece of pieces(stream, { path: input.path, isLive })) {
    if (piece === "") {
      yield [];
      continue;
    }
    reader ??= readerFor(input, piece);
    onBytes({ read: stream.bytesRead ?? 0, total });
    for (let at = 0; at < piece.length; at += ROWS_FROM_CHARS) {
      const rows = reader.feed(piece.slice(at, at + ROWS_FROM_CHARS));
      if (rows.length > 0) yield rows;
    }
  }
  yield (reader ?? readerFor(input, "")).end();
}

/** Pieces of text; the empty text when nothing came for a while. */
async function* pieces(stream: Readable, { path, isLive }: { path: string; isLive: boolean }): AsyncGenerator<string> {
  const iterator = stream[Symbol.asyncIterator]() as AsyncIterator<string>;
  let next = iterator.next();
  try {
    for (;;) {
      const got = isLive ? await orIdle(next) : await next;
      if (got === null) yield "";
      else if (got.done === true) return;
      else {
        yield got.value;
        next = iterator.next();
      }
    }
  } catch (cause) {
    throw unreadable(path, cause);
  } finally {
    // Whoever stops early must not be kept by an input that stays open; what was asked of it is nobody's any more.
    next.catch(() => {});
    stream.destroy();
  }
}

async function orIdle<T>(next: Promise<T>): Promise<T | null> {
  let timer: NodeJS.Timeout | undefined;
  const idle = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), IDLE_MS);
  });
  try {
    return await Promise.race([next, idle]);
  } finally {
    clearTimeout(timer);
  }
}

function readerFor({ path, label, format, requiredColumns }: RecordInput, beginning: string): RecordReader {
  return (format ?? formatOf(path, beginning)) === "jsonl"
    ? recordLinesReader()
    : csvReader({ file: label, requiredColumns });
}

/** By the name's ending, else by the first character: no header begins with a brace. */
function formatOf(path: string, beginning: string): RecordFormat {
  if (/\.csv$/i.test(path)) return "csv";
  return /\.(jsonl|ndjson)$/i.test(path) || /^\ufeff?\s*\{/.test(beginning) ? "jsonl" : "csv";
}

async function sizeOf(path: string): Promise<number | null> {
  try {
    const found = await stat(path);
    if (found.isDirectory()) throw Object.assign(new Error("it is a directory"), { code: "EISDIR" });
    return found.isFile() ? found.size : null;
  } catch (cause) {
    throw unreadable(path, cause);
  }
}
