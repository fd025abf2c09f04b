import { existsSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";

/** A folder, and those that it lies in. Node's own way tries for ever where the system makes none (`/proc`). */
export function makeFolder(path: string): void {
  if (existsSync(path)) return;
  makeFolder(dirname(path));
  try {
    mkdirSync(path);
  } catch (error) {
    // Another process was quicker, or it is a file: whoever opens something in it says so.
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}
