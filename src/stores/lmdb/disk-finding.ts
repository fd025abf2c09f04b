/** How much room the disk of an lmdb store has left, for its operator. */
import { stat, statfs } from "node:fs/promises";
import { dirname } from "node:path";
import type { Finding } from "../store.ts";

const MB = 1_000_000;
/** Less than this, or than a quarter of what is stored, is worth a word: a full disk refuses alerts. */
const FREE_BYTES_MIN = 100 * MB;

/** With less than this a write may fail. */
const WRITE_BYTES_MIN = 16 * MB;

/** Whether the disk has room for what comes next, as far as the system says. */
export async function hasRoom(file: string): Promise<boolean> {
  try {
    const { bavail, bsize } = await statfs(dirname(file));
    return bavail * bsize >= WRITE_BYTES_MIN;
  } catch {
    return false;
  }
}

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
