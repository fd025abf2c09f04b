/**
 * The clocks, timers and random sources of Node, for as long as a schedule runs: they belong to the simulation, so the runtime under it is the one
 * that ships and nothing of it is told. Only the simulation's own process does this (simulation-program.ts).
 */
import crypto from "node:crypto";
import { syncBuiltinESMExports } from "node:module";
import os from "node:os";
import type { Scheduler, Step } from "./scheduler.ts";
import type { SeededRandom } from "./seeded-random.ts";

export type World = { readonly scheduler: Scheduler; readonly random: SeededRandom };

const REAL = {
  now: Date.now,
  performanceNow: performance.now.bind(performance),
  random: Math.random,
  randomUUID: crypto.randomUUID,
  hostname: os.hostname,
  pid: process.pid,
  setTimeout: globalThis.setTimeout,
  clearTimeout: globalThis.clearTimeout,
  setImmediate: globalThis.setImmediate,
};

/** Puts the simulation in place; the function that it returns puts Node back. */
export function simulateGlobals({ scheduler, random }: World): () => void {
  const nowMs = () => Math.floor(scheduler.nowMs + (scheduler.current?.skewMs ?? 0));
  const after = (fn: () => void, delayMs = 0) =>
    scheduler.add({ process: scheduler.current, delayMs, isTimer: true }, fn);
  const soon = (fn: () => void) => scheduler.add({ process: scheduler.current, delayMs: 0 }, fn);
  const cancel = (step: Step | undefined) => {
    if (step !== undefined) step.isOver = true;
  };
  let ids = 0;
  const uuid = () => {
    ids += 1;
    // What tells them apart stands in front: processes are known by that.
    return `${ids.toString(16).padStart(8, "0")}-0000-4000-8000-000000000000` as const;
  };
  Date.now = nowMs;
  performance.now = () => scheduler.nowMs;
  Math.random = () => random.next();
  crypto.randomUUID = uuid;
  // Owners are called by them too, and who owns what follows from what they are called.
  os.hostname = () => "simulated";
  Object.defineProperty(process, "pid", { value: 1 });
  syncBuiltinESMExports();
  Object.assign(globalThis, { setTimeout: after, clearTimeout: cancel, setImmediate: soon });
  return () => {
    Date.now = REAL.now;
    performance.now = REAL.performanceNow;
    Math.random = REAL.random;
    crypto.randomUUID = REAL.randomUUID;
    os.hostname = REAL.hostname;
    Object.defineProperty(process, "pid", { value: REAL.pid });
    syncBuiltinESMExports();
    const { setTimeout, clearTimeout, setImmediate } = REAL;
    Object.assign(globalThis, { setTimeout, clearTimeout, setImmediate });
  };
}
