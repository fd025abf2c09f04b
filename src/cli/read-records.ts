/** Record files and stdin as rows, read as they are needed: the input may be larger than the memory. */
import { createReadStream, open, type Stats } from "node:fs";
import { open as openFile, stat } from "node:fs/promises";
import { Socket } from "node:net";
import type { Readable } from "node:stream";
import { promisify } from "node:util";
import type { RecordFormat } from "../formats/record-format-names.ts";
import { formatOf, readerOf } from "../formats/record-formats.ts";
import type { RecordReader, RecordRow } from "../formats/record-row.ts";
import { BecalmError } from "../model/errors.ts";
import { isGzip, unzipped } from "./gzip-file.ts";
import { unreadable } from "./unreadable-file.ts";

export type { RecordFormat } from "../formats/record-format-names.ts";

export type RecordInput = {
  /** `-`: stdin. */
  readonly path: string;
  /** What messages call it. */
  readonly label: string;
  readonly format: RecordFormat | undefined;
  readonly delimiter?: string;
  /** The fields that strategies read. */
  readonly usedFields: readonly string[];
};

/** How far a file was read. `total` is null where nobody knows. */
export type BytesRead = { readonly read: number; readonly total: number | null };

/** Silence on a pipe after which what has come is decided without waiting for a full batch. */
const IDLE_MS = 200;

/**
 * Text that is made rows of at a time. Rows of a long piece would outlive the commits that take them, and be collected
 * late.
 */
const ROWS_FROM_CHARS = 16_384;

/** Throws for the first file that cannot be read, before anything is done. */
export async function requireReadable(paths: readonly string[]): Promise<void> {
  for (const path of paths) if (path !== "-") await statOf(path);
}

/** Whether whoever writes the input may pause, for as long as they like. */
export async function isLiveInput(path: string): Promise<boolean> {
  return path === "-" || (await statOf(path)).isFIFO();
}

/** Rows of one input. From stdin and pipes also empty lists, while nothing comes. */
export async function* readRows(
  input: RecordInput,
  onBytes: (bytes: BytesRead) => void = () => {},
): AsyncGenerator<readonly RecordRow[]> {
  const { stream, total, isLive, bytesRead } = await openInput(input.path);
  stream.setEncoding("utf8");
  let reader: RecordReader | null = null;
  for await (const piece of pieces(stream, { path: input.path, isLive })) {
    if (piece === "") {
      yield [];
      continue;
    }
    reader ??= readerFor(input, piece);
    onBytes({ read: bytesRead(), total });
    for (let at = 0; at < piece.length; at += ROWS_FROM_CHARS) {
      const rows = reader.feed(piece.slice(at, at + ROWS_FROM_CHARS));
      if (rows.length > 0) yield rows;
    }
  }
  yield (reader ?? readerFor(input, "")).end();
}

/** Rows at some places of a file, to see whether it is in order; null: the form or the file has no places. */
export async function sampleRows(input: RecordInput, places: number): Promise<RecordRow[] | null> {
  const found = await statOf(input.path);
  if (!found.isFile()) return null;
  const file = await openFile(input.path, "r");
  try {
    const head = await textAt(file, 0);
    const format = input.format ?? formatOf(input.path, head);
    if ((format !== "csv" && format !== "jsonl") || head.startsWith("\u001f")) return null;
    const header = format === "csv" ? head.slice(0, head.indexOf("\n") + 1) : "";
    const rows: RecordRow[] = [];
    for (let place = 1; place <= places; place += 1) {
      const text = await textAt(file, Math.floor((found.size * place) / (places + 1)));
      const reader = readerOf(format, { ...input, file: input.label });
      reader.feed(header);
      // Whole lines only: the first and the last one are cut.
      rows.push(...reader.feed(text.slice(text.indexOf("\n") + 1, text.lastIndexOf("\n") + 1)));
    }
    return rows;
  } finally {
    await file.close();
  }
}

async function textAt(file: Awaited<ReturnType<typeof openFile>>, position: number): Promise<string> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(4_096), 0, 4_096, position);
  return buffer.toString("latin1", 0, bytesRead);
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
    throw cause instanceof BecalmError ? cause : unreadable(path, cause);
  } finally {
    // Whoever stops early must not be kept by an input that stays open; what was asked of it is nobody's any longer.
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

function readerFor({ path, label, format, delimiter, usedFields }: RecordInput, beginning: string): RecordReader {
  return readerOf(format ?? formatOf(path, beginning), {
    file: label,
    usedFields,
    ...(delimiter === undefined ? {} : { delimiter }),
  });
}

type OpenInput = {
  readonly stream: Readable;
  readonly bytesRead: () => number;
  readonly total: number | null;
  readonly isLive: boolean;
};

async function openInput(path: string): Promise<OpenInput> {
  if (path === "-") return { stream: process.stdin, bytesRead: () => 0, total: null, isLive: true };
  const found = await statOf(path);
  if (found.isFIFO()) return { stream: await openPipe(path), bytesRead: () => 0, total: null, isLive: true };
  const file = createReadStream(path);
  const total = found.isFile() ? found.size : null;
  const stream = found.isFile() && (await isGzip(path)) ? unzipped(file, path) : file;
  return { stream, bytesRead: () => file.bytesRead, total, isLive: false };
}

/**
 * As a socket: what a file stream has asked of a pipe cannot be called off, and keeps the process until something
 * comes.
 */
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
