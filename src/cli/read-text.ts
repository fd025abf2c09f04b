import { createReadStream } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import type { Readable } from "node:stream";
import { type TextLine, TextLines } from "../formats/text-lines.ts";
import { REQUEST_LINE_BYTES_MAX } from "../model/limits.ts";
import { openMaybeGzip } from "./gzip-file.ts";
import { unreadable } from "./unreadable-file.ts";

/** The text of a small file. Throws BECALM_NOT_FOUND, or BECALM_ARGUMENT_INVALID if it cannot be read. */
export async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

/**
 * Lines of a file (also a compressed one), or of stdin for `-`, read as they are needed: the file may be larger than
 * the memory. `signal` ends the waiting for more, and leaves out a line that is not whole.
 */
export async function* readLines(
  path: string,
  signal?: AbortSignal,
  charsMax = REQUEST_LINE_BYTES_MAX,
): AsyncGenerator<TextLine> {
  const lines = new TextLines(charsMax);
  const stream = path === "-" ? process.stdin : await openText(path);
  stream.setEncoding("utf8");
  signal?.addEventListener("abort", () => stream.destroy());
  try {
    for await (const piece of stream) yield* lines.feed(piece as string);
  } catch (cause) {
    if (signal?.aborted !== true) throw unreadable(path, cause);
  }
  if (signal?.aborted !== true) yield* lines.end();
}

/** Opened before anything is done, so that a wrong path is reported first. */
async function openText(path: string): Promise<Readable> {
  try {
    const found = await stat(path);
    if (found.isDirectory()) throw Object.assign(new Error("it is a directory"), { code: "EISDIR" });
    return found.isFile() ? await openMaybeGzip(path) : createReadStream(path);
  } catch (cause) {
    throw unreadable(path, cause);
  }
}
