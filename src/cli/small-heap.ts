/** A small heap for a command that reads much and keeps little (docs/decisions/heap-of-detect.md). */
import { setFlagsFromString } from "node:v8";

/**
 * V8 lets the young generation grow to 32 MB and the old one to four times what is alive before it collects, because
 * memory is there. From now on the young one stays as large as it is, and the old one grows to twice what is alive. It
 * limits nothing: a heap that needs more gets it.
 */
export function keepHeapSmall(): void {
  setFlagsFromString("--semi-space-growth-factor=1");
  setFlagsFromString("--heap-growing-percent=100");
}
