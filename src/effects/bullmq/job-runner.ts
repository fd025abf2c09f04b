/**
 * Runs attempts that came through BullMQ, at most `concurrency` at once over all queues. It commits nothing: a job's
 * result goes back through BullMQ. What was over before it began is not begun, and what is over meanwhile is aborted. A
 * job that this process cannot end goes back into its queue.
 */
import type { Job, Worker } from "bullmq";
import type { Effect } from "../../instance/effect.ts";
import type { EffectRequest } from "../effect-port.ts";
import type { AttemptJob, JobEnd } from "./attempt-job.ts";
import type { BullMq } from "./load-bullmq.ts";
import type { QueuePlaces } from "./queue-places.ts";

/** As long as a claim: the jobs of a process that died are begun again by another one about then. */
const LOCK_MS = 8_000;
const STALLED_LOOKED_FOR_EVERY_MS = 5_000;
/** BullMQ is never to give up by itself. */
const STALLED_COUNT_MAX = 1_000;
const LOOKED_EVERY_MS = 1_000;
const AGAIN_AFTER_MS = 1_000;
/** BullMQ waits so long after its Redis has failed it, also when it is to close. */
const FAILED_AGAIN_AFTER_MS = 1_000;

export type JobRunnerOptions = {
  readonly concurrency: number;
  readonly run: (effect: Effect, request: EffectRequest) => JobEnd | Promise<JobEnd>;
  /** Those of some effects whose attempts are over. */
  readonly overAmong: (effects: readonly Effect[]) => Promise<readonly Effect[]>;
  readonly onFault: (what: string, error: unknown) => void;
};

type Running = { readonly effect: Effect; readonly controller: AbortController };

export class JobRunner {
  readonly #options: JobRunnerOptions;
  readonly #DelayedError: BullMq["DelayedError"];
  readonly #workers: readonly Worker<AttemptJob, JobEnd>[];
  readonly #running = new Map<string, Running>();
  readonly #waiting: (() => void)[] = [];
  readonly #processing = new Set<Promise<JobEnd>>();
  readonly #timer: NodeJS.Timeout;
  #turns: number;
  #isInterrupted = false;

  constructor({ Worker, DelayedError }: BullMq, { connection, all }: QueuePlaces, options: JobRunnerOptions) {
    this.#options = options;
    this.#DelayedError = DelayedError;
    this.#turns = options.concurrency;
    const common = {
      connection,
      concurrency: options.concurrency,
      lockDuration: LOCK_MS,
      stalledInterval: STALLED_LOOKED_FOR_EVERY_MS,
      maxStalledCount: STALLED_COUNT_MAX,
      runRetryDelay: FAILED_AGAIN_AFTER_MS,
    };
    this.#workers = all.map(
      ({ name, prefix }) => new Worker(name, (job, token) => this.#process(job, token ?? ""), { ...common, prefix }),
    );
    for (const worker of this.#workers) worker.on("error", (error) => options.onFault("BullMQ", error));
    this.#timer = setInterval(() => void this.#abortOver(), LOOKED_EVERY_MS);
  }

  get runningCount(): number {
    return this.#running.size;
  }

  async pause(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.pause(true)));
  }

  resume(): void {
    for (const worker of this.#workers) void worker.resume();
  }

  /**
   * Begins nothing more, and lets what is under way end; after `drainMs` it is aborted, and goes back into its queue.
   */
  async drain(drainMs: number): Promise<void> {
    await this.pause();
    const cancel = setTimeout(() => this.#interrupt(), drainMs);
    while (this.#processing.size > 0) await Promise.allSettled(this.#processing);
    clearTimeout(cancel);
    // A job that BullMQ hands over only now goes straight back.
    this.#interrupt();
  }

  /** After `drain`. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.allSettled(this.#workers.map((worker) => worker.close()));
  }

  #interrupt(): void {
    this.#isInterrupted = true;
    for (const { controller } of this.#running.values()) controller.abort(new Error("the worker stops"));
  }

  async #process(job: Job<AttemptJob, JobEnd>, token: string): Promise<JobEnd> {
    const processing = this.#runInTurn(job, token);
    this.#processing.add(processing);
    try {
      return await processing;
    } finally {
      this.#processing.delete(processing);
    }
  }

  async #runInTurn(job: Job<AttemptJob, JobEnd>, token: string): Promise<JobEnd> {
    const { effect, request } = job.data;
    await this.#turn();
    try {
      const over = await this.#options.overAmong([effect]).catch(() => null);
      if (over === null || this.#isInterrupted) return await this.#putBack(job, token);
      if (over.length > 0) return { ok: false, error: "the attempt was over before it began" };
      const controller = new AbortController();
      this.#running.set(effect.id, { effect, controller });
      const ended = await this.#options.run(effect, { ...request, signal: controller.signal });
      const isBroken = "ok" in ended && !ended.ok;
      return isBroken && this.#isInterrupted ? await this.#putBack(job, token) : ended;
    } finally {
      this.#running.delete(effect.id);
      this.#turns += 1;
      this.#waiting.shift()?.();
    }
  }

  async #putBack(job: Job<AttemptJob, JobEnd>, token: string): Promise<never> {
    await job.moveToDelayed(Date.now() + AGAIN_AFTER_MS, token);
    throw new this.#DelayedError();
  }

  async #turn(): Promise<void> {
    while (this.#turns < 1) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#turns -= 1;
  }

  async #abortOver(): Promise<void> {
    const effects = [...this.#running.values()].map(({ effect }) => effect);
    if (effects.length === 0) return;
    const over = await this.#options.overAmong(effects).catch(() => []);
    for (const { id } of over) this.#running.get(id)?.controller.abort(new Error("the attempt is over"));
  }
}
