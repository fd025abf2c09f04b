import { createReadStream } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import type { Readable } from "node:stream";
import { type TextLine, TextLines } from "../formats/text-lines.ts";
import { BecalmError, messageOf } from "../model/errors.ts";
import { REQUEST_LINE_BYTES_MAX } from "../model/limits.ts";

/** The text of a small file. Throws BECALM_NOT_FOUND, or BECALM_ARGUMENT_INVALID when it is no file that can be read. */
export async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

/**
 * Lines of a file, or of stdin for `-`, read as they are needed: the file may be larger than the memory. `signal` ends the waiting for
 * more, and leaves out a line that is not whole.
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

/** Opened before anything is done, so that a wrong path is told first. */
async function openText(path: string): Promise<Readable> {
  try {
    if ((await stat(path)).isDirectory()) throw Object.assign(new Error("it is a directory"), { code: "EISDIR" });
    return createReadStream(path);
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

/** A path that cannot be read, as an error that says so. */
export function unreadable(path: string, cause: unknown): BecalmError {
  if ((cause as NodeJS.ErrnoException).code === "ENOENT") {
    return new BecalmError("BECALM_NOT_FOUND", `There is no file ${path}. Check the path.`, {
      cause,
      details: { path },
    });
  }
  return new BecalmError(
    "BECALM_ARGUMENT_INVALID",
    `${path} cannot be read: ${messageOf(cause)}. Give a file that can.`,
    { cause, details: { path } },
  );
}
