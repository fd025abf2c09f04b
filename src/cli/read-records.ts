/** Record files and stdin as rows, read as they are needed: the input may be larger than the memory. */
import { createReadStream, open, type Stats } from "node:fs";
import { stat } from "node:fs/promises";
import { Socket } from "node:net";
import type { Readable } from "node:stream";
import { promisify } from "node:util";
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

/** Throws for the first file that cannot be read, before anything is done. */
export async function requireReadable(paths: readonly string[]): Promise<void> {
  for (const path of paths) if (path !== "-") await statOf(path);
}

/** Rows of one input. From stdin and pipes also empty lists, while nothing comes. */
export async function* readRows(
  input: RecordInput,
  onBytes: (bytes: BytesRead) => void,
): AsyncGenerator<readonly RecordRow[]> {
  const { stream, total, isLive } = await openInput(input.path);
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

type OpenInput = {
  readonly stream: Readable & { bytesRead?: number };
  readonly total: number | null;
  /** Whoever writes may pause, for as long as it likes. */
  readonly isLive: boolean;
};

async function openInput(path: string): Promise<OpenInput> {
  if (path === "-") return { stream: process.stdin, total: null, isLive: true };
  const found = await statOf(path);
  if (found.isFIFO()) return { stream: await openPipe(path), total: null, isLive: true };
  return { stream: createReadStream(path), total: found.isFile() ? found.size : null, isLive: false };
}

/** As a socket: what a file stream has asked of a pipe cannot be called off, and keeps the process until something comes. */
async function openPipe(path: string): Promise<Socket> {
  try {
    return new Socket({ fd: await promisify(open)(path, "r"), readable: true, writable: false });
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

async function statOf(path: string): Promise<Stats> {
  try {
    const found = await stat(path);
    if (found.isDirectory()) throw Object.assign(new Error("it is a directory"), { code: "EISDIR" });
    return found;
  } catch (cause) {
    throw unreadable(path, cause);
  }
}
