/** `--since`: a time, or how long ago. */
import { parseDuration } from "../model/duration.ts";
import { BecalmError } from "../model/errors.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { usedWrongly } from "./exit-codes.ts";

type Reached = Pick<Runtime, "mode" | "highestTimeMs" | "clock">;

/** What time it is in a namespace: virtual time stands where its last run left it, a bundle's where it was exported. */
export function nowOf({ mode, highestTimeMs, clock }: Reached): number {
  return mode === "live" ? clock.now() : (highestTimeMs ?? 0);
}

/** `24h` before `nowMs`, or a time. */
export function sinceMsOf(text: string, nowMs: number): number {
  const atMs = Date.parse(text);
  if (/^\d{4}-/.test(text) && !Number.isNaN(atMs)) return atMs;
  try {
    return Math.max(nowMs - parseDuration(text), 0);
  } catch (error) {
    if (!(error instanceof BecalmError)) throw error;
    throw usedWrongly(`--since ${JSON.stringify(text)} is not a time. Write it as 24h or 2026-11-23T06:00:00Z.`);
  }
}
