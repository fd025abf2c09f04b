/** How much room the disk of an lmdb store has left, for its operator. */
import { stat, statfs } from "node:fs/promises";
import { dirname } from "node:path";
import type { Finding } from "../store.ts";

const MB = 1_000_000;
/** Less than this, or than a quarter of what is stored, is worth a word: a full disk refuses alerts. */
const FREE_BYTES_MIN = 100 * MB;

/** Nothing where there is no store yet. */
export async function diskFinding(file: string): Promise<Finding[]> {
  try {
    const [{ size }, { bavail, bsize }] = await Promise.all([stat(file), statfs(dirname(file))]);
    return [findingOf(size, bavail * bsize)];
  } catch {
    return [];
  }
}

export function findingOf(storedBytes: number, freeBytes: number): Finding {
  const found = { what: "disk", is: `${bytesText(storedBytes)} stored, ${bytesText(freeBytes)} free` };
  if (freeBytes >= Math.max(FREE_BYTES_MIN, storedBytes / 4)) return found;
  return { ...found, advice: "make room, or shorten the retention: a full disk refuses alerts (BECALM_STORE_FULL)" };
}

function bytesText(bytes: number): string {
  return bytes < 1_000 * MB ? `${Math.ceil(bytes / MB)} MB` : `${(bytes / (1_000 * MB)).toFixed(1)} GB`;
}
