/** What tests of programs need that use Becalm: time that they move themselves, and a whole run in virtual time. */
import { type Time, VirtualClock } from "./system/virtual-clock.ts";

export type { Duration, SettleOptions, Time } from "./system/virtual-clock.ts";
export { type VirtualIngest, type VirtualRun, type VirtualRunOptions, virtualRun } from "./virtual-program.ts";
export type { VirtualClock };

/** A clock for `createEngine({ clock })` that moves only when it is told to. `start`: default 2026-01-01T00:00:00Z. */
export function virtualClock(start?: Time): VirtualClock {
  return new VirtualClock(start);
}
