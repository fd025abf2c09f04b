/** What an arm is: one way to do a work. Each arm runs in a process of its own (bench-process.ts). */
import type { WorkName } from "../works.ts";

export type ArmName = "becalm" | "becalm-memory" | "becalm-lmdb" | "bullmq" | "textbook" | "ceiling" | "ceiling-apart";

export type SampleRequest = {
  readonly work: WorkName;
  readonly count: number;
  /** A fresh server, or for LMDB a fresh folder; null for what needs none. */
  readonly url: string | null;
  /** Where the arm's log lines go, if it writes any. */
  readonly logPath: string;
};

export type Sample = {
  readonly count: number;
  readonly ms: number;
  /** CPU of the arm's process, user and system. */
  readonly cpuMs: number;
  readonly rssMaxBytes: number;
};

export type Arm = (request: SampleRequest) => Promise<Sample>;

const RSS_LOOKED_AT_EVERY_MS = 50;

/**
 * Takes time, CPU and memory of `work`. No collection of the garbage is forced before it: one while nothing is alive throws away what the compiler
 * has learned of objects, and the half second behind it takes up to twice as long. An arm has a process of its own, so it pays only for itself.
 */
export async function measured(count: number, work: () => Promise<void>): Promise<Sample> {
  let rssMaxBytes = process.memoryUsage.rss();
  const look = () => (rssMaxBytes = Math.max(rssMaxBytes, process.memoryUsage.rss()));
  const watch = setInterval(look, RSS_LOOKED_AT_EVERY_MS);
  const cpuBefore = process.cpuUsage();
  const startedAtMs = performance.now();
  try {
    await work();
  } finally {
    clearInterval(watch);
  }
  const ms = performance.now() - startedAtMs;
  const { user, system } = process.cpuUsage(cpuBefore);
  look();
  return { count, ms, cpuMs: (user + system) / 1_000, rssMaxBytes };
}

/** Runs `worker` so many times at once; they share what they take from. */
export async function inParallel(workers: number, worker: () => Promise<void>): Promise<void> {
  await Promise.all(Array.from({ length: workers }, worker));
}
