/** Files that may be compressed, whatever they are called. */
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { type Readable, Transform } from "node:stream";
import { createGunzip } from "node:zlib";
import { BecalmError, messageOf } from "../model/errors.ts";
import { unreadable } from "./unreadable-file.ts";

/** Larger pieces than Node takes by itself: a file may have hundreds of megabytes. */
const PIECE_BYTES = 256 * 1_024;

/** The text of a file as a stream, unpacked if it is compressed. */
export async function openMaybeGzip(path: string): Promise<Readable> {
  const file = createReadStream(path, { highWaterMark: PIECE_BYTES });
  return (await isGzip(path)) ? unzipped(file, path) : file;
}

/** By its first bytes: a compressed file may have any name. */
export async function isGzip(path: string): Promise<boolean> {
  const file = await open(path, "r");
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(2), 0, 2, 0);
    return bytesRead === 2 && buffer[0] === 0x1f && buffer[1] === 0x8b;
  } finally {
    await file.close();
  }
}

export function unzipped(file: Readable, path: string): Readable {
  const gunzip = createGunzip();
  const out = new Transform({ transform: (piece, _encoding, done) => done(null, piece) });
  file.on("error", (cause) => out.destroy(unreadable(path, cause)));
  gunzip.on("error", (cause) => {
    const what = `The compressed file ${path} cannot be read to its end: ${messageOf(cause)}. Compress it again.`;
    out.destroy(new BecalmError("BECALM_ARGUMENT_INVALID", what, { cause, details: { file: path } }));
  });
  out.on("close", () => {
    file.destroy();
    gunzip.destroy();
  });
  file.pipe(gunzip).pipe(out);
  return out;
}
