import { isUtf8 } from "node:buffer";
import { createReadStream } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import type { Readable } from "node:stream";
import { type TextLine, TextLines } from "../formats/text-lines.ts";
import { REQUEST_LINE_BYTES_MAX } from "../model/limits.ts";
import { usedWrongly } from "./exit-codes.ts";
import { openMaybeGzip } from "./gzip-file.ts";
import { unreadable } from "./unreadable-file.ts";

const LINE_FEED = 0x0a;

/**
 * The text of a small file. Throws BECALM_NOT_FOUND, or BECALM_ARGUMENT_INVALID if it cannot be read or is not UTF-8:
 * replaced characters would make matchers that never match.
 */
export async function readText(path: string): Promise<string> {
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw unreadable(path, cause);
  });
  if (isUtf8(bytes)) return bytes.toString("utf8");
  throw usedWrongly(`${path} is not UTF-8 text: ${otherEncoding(bytes)}. Save it as UTF-8, or give another file.`);
}

function otherEncoding(bytes: Buffer): string {
  if (["fffe", "feff"].includes(bytes.toString("hex", 0, 2))) return "it begins as UTF-16 does";
  let line = 1;
  for (let from = 0; ; line += 1) {
    const end = bytes.indexOf(LINE_FEED, from);
    if (end === -1 || !isUtf8(bytes.subarray(from, end))) return `line ${line} holds other bytes`;
    from = end + 1;
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
