/**
 * Hands attempts to BullMQ, and takes their results from it.
 *
 * B1 the outbox is the truth: whoever hands an attempt over keeps its claim until its result is committed, so what
 * BullMQ loses is added again, and what a process that died had handed over the next one finds there. B2 a job has its
 * effect's id: added twice it is one. B3 BullMQ retries nothing by itself, but what a worker that died had begun:
 * retries are the machine's. B4 a job whose target answered that the result comes later has ended: the outbox waits for
 * the callback, and BullMQ knows nothing of it.
 */
import type { Job, Queue, QueueEvents } from "bullmq";
import type { Effect } from "../../instance/effect.ts";
import type { AwaitEffect, CompleteEffect, EffectPort, EffectRequest } from "../effect-port.ts";
import { type AttemptJob, awaitedUntilMsOf, failed, jobOf, resultOf } from "./attempt-job.ts";
import type { BullMq } from "./load-bullmq.ts";
import type { QueuePlaces } from "./queue-places.ts";

/** BullMQ tells of ends as they come; what it did not tell is found by looking. */
const LOOKED_EVERY_MS = 1_000;
/** For Bull Board. */
const KEPT_JOB_COUNT = 1_000;
/** How BullMQ names a job whose workers died one after the other. */
const STALLED = "job stalled more than allowable limit";

export type BullmqEffectsOptions = {
  /** Less is sooner: 1 is before 2. */
  readonly priorityOf: (request: EffectRequest) => number;
  readonly onFault: (what: string, error: unknown) => void;
};

type Handed = {
  readonly effect: Effect;
  readonly job: AttemptJob;
  readonly priority: number;
  isAdding: boolean;
  isLookedAt: boolean;
};

export class BullmqEffects {
  readonly #places: QueuePlaces;
  readonly #options: BullmqEffectsOptions;
  readonly #queues: ReadonlyMap<string, Queue<AttemptJob>>;
  readonly #events: readonly QueueEvents[];
  readonly #handed = new Map<string, Handed>();
  #complete: CompleteEffect = () => {};
  #awaited: AwaitEffect = () => {};
  #looking: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | null = null;

  constructor({ Queue, QueueEvents }: BullMq, places: QueuePlaces, options: BullmqEffectsOptions) {
    this.#places = places;
    this.#options = options;
    const { connection, all } = places;
    this.#queues = new Map(all.map(({ name, prefix }) => [name, new Queue(name, { connection, prefix })]));
    this.#events = all.map(({ name, prefix }) => new QueueEvents(name, { connection, prefix }));
    for (const queue of this.#queues.values()) queue.on("error", (error) => this.#fault(error));
    for (const events of this.#events) {
      events.on("error", (error) => this.#fault(error));
      events.on("completed", ({ jobId }) => void this.#lookAt(jobId));
      events.on("failed", ({ jobId }) => void this.#lookAt(jobId));
    }
  }

  /** The port; it is opened once. */
  readonly open = (complete: CompleteEffect, awaited: AwaitEffect): EffectPort => {
    this.#complete = complete;
    this.#awaited = awaited;
    this.#timer = setInterval(() => {
      // While BullMQ is away, looks would pile up.
      this.#looking = this.#lookAtAll(({ isLookedAt }) => !isLookedAt);
    }, LOOKED_EVERY_MS);
    return { dispatch: (effect, request) => this.#dispatch(effect, request) };
  };

  /** Takes the results of all that has ended, and adds what is missing. */
  look(): Promise<void> {
    return this.#lookAtAll(() => true);
  }

  async #lookAtAll(isMeant: (handed: Handed) => boolean): Promise<void> {
    const meant = [...this.#handed.values()].filter(isMeant);
    await Promise.all(meant.map(({ effect }) => this.#lookAt(effect.id)));
  }

  /** What is handed over stays there: whoever claims it next finds it. */
  async close(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    await this.#looking;
    this.#handed.clear();
    await Promise.allSettled([...this.#events, ...this.#queues.values()].map((one) => one.close()));
  }

  #dispatch(effect: Effect, request: EffectRequest): void {
    const handed = {
      effect,
      job: jobOf(effect, request),
      priority: this.#options.priorityOf(request),
      isAdding: false,
      isLookedAt: false,
    };
    this.#handed.set(effect.id, handed);
    request.signal.addEventListener("abort", () => void this.#abort(effect.id, request.signal.reason), { once: true });
    if (request.signal.aborted) void this.#abort(effect.id, request.signal.reason);
    else void this.#add(handed);
  }

  async #add(handed: Handed): Promise<void> {
    const { effect, job, priority } = handed;
    if (handed.isAdding) return;
    handed.isAdding = true;
    const removed = { count: KEPT_JOB_COUNT };
    const options = { jobId: effect.id, priority, attempts: 1, removeOnComplete: removed, removeOnFail: removed };
    await this.#queueOf(effect)
      .add(job.request.policy, job, options)
      .catch((error: unknown) => this.#fault(error));
    handed.isAdding = false;
  }

  async #lookAt(id: string): Promise<void> {
    const handed = this.#handed.get(id);
    if (handed === undefined || handed.isAdding) return;
    handed.isLookedAt = true;
    try {
      const job = (await this.#queueOf(handed.effect).getJob(id)) as Job<AttemptJob> | undefined;
      if (!this.#handed.has(id)) return;
      if (job === undefined) await this.#add(handed);
      else if (job.finishedOn !== undefined) await this.#ended(handed, job);
    } catch (error) {
      this.#fault(error);
    } finally {
      handed.isLookedAt = false;
    }
  }

  async #ended(handed: Handed, job: Job<AttemptJob>): Promise<void> {
    const { effect } = handed;
    if (job.failedReason?.startsWith(STALLED) === true) {
      await job.remove();
      await this.#add(handed);
      return;
    }
    if (!this.#handed.delete(effect.id)) return;
    const isFailed = job.failedReason !== undefined && job.failedReason !== "";
    const awaitedUntilMs = isFailed ? null : awaitedUntilMsOf(handed.job, job.returnvalue);
    if (awaitedUntilMs !== null) this.#awaited(effect, awaitedUntilMs);
    else this.#complete(effect, isFailed ? failed(job.failedReason) : resultOf(job.returnvalue));
  }

  /**
   * Nobody waits for it here any longer: cancelled, or this process stops. Whoever has begun it finds that out by
   * itself.
   */
  async #abort(id: string, why: unknown): Promise<void> {
    const handed = this.#handed.get(id);
    if (handed === undefined) return;
    this.#handed.delete(id);
    await this.#queueOf(handed.effect)
      .remove(id)
      .catch(() => {});
    this.#complete(handed.effect, { ok: false, error: why instanceof Error ? why.message : String(why) });
  }

  #queueOf({ partition }: Effect): Queue<AttemptJob> {
    return this.#queues.get(this.#places.of(partition).name) as Queue<AttemptJob>;
  }

  #fault(error: unknown): void {
    this.#options.onFault("BullMQ", error);
  }
}
