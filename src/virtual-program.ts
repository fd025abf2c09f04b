/**
 * A virtual run with a program's own handlers: the rules of `becalm run`, for tests. Nothing waits, and nothing depends
 * on how long it takes.
 */
import { compose, type Driven, driveVirtual } from "./compose.ts";
import { localEffects } from "./effects/local-effects.ts";
import type { AnswerTarget, EngineOptions, InstancePage, Who } from "./engine.ts";
import { policiesOf, validateAnswerTarget, validateListFilter } from "./engine-options.ts";
import { type ExplainedSnapshot, explainedSnapshot } from "./explained-snapshot.ts";
import { toReceipt } from "./formats/alert-input.ts";
import { type IngestInput, ingestAlertsOf } from "./formats/ingest-input.ts";
import type { History } from "./instance/audit-types.ts";
import type { Instance } from "./instance/checkpoint.ts";
import type { EventInput } from "./instance/event-input.ts";
import { BecalmError, errorCode } from "./model/errors.ts";
import type { PauseNote } from "./model/instance-types.ts";
import { CONCURRENCY_DEFAULT, PARTITION_COUNT_DEFAULT } from "./model/limits.ts";
import type { Receipt } from "./model/receipt.ts";
import type { ListFilter } from "./runtime/instance-reader.ts";
import type { SilenceRequest, StoredSilence } from "./runtime/silences/stored-silences.ts";
import type { PauseRequest, Resumed, ResumeRequest } from "./runtime/stops/pause-service.ts";
import { validatePause, validateResume, validateSilence } from "./runtime/stops/validate-request.ts";
import { requireArgument } from "./runtime/validate-options.ts";
import type { VirtualRun as Driver } from "./simulate/virtual-run.ts";
import { memoryStore } from "./stores/memory/memory-store.ts";
import { type Duration, durationMs, type Time, VirtualClock } from "./system/virtual-clock.ts";

/** The policies and handlers of the program, as `createEngine` takes them. `start`: default 2026-01-01T00:00:00Z. */
export type VirtualRunOptions = Pick<
  EngineOptions,
  "policies" | "handlers" | "store" | "partitions" | "logger" | "allowExec" | "observe"
> & { readonly start?: Time };

/** What became of the alerts of one call. */
export type VirtualIngest = {
  /** Instances that the alerts made or belong to, after everything that followed at once. */
  readonly instances: readonly ExplainedSnapshot[];
  readonly created: number;
  readonly duplicates: number;
  readonly unmatched: number;
  readonly late: number;
  /** `alert`: its position in the input. */
  readonly rejected: readonly { readonly alert: number; readonly error: BecalmError }[];
};

export type VirtualRun = AsyncDisposable & {
  /** The virtual time, in epoch ms. */
  readonly nowMs: number;
  /** Takes alerts, or the body of a webhook, and performs at once what follows: an attempt takes no virtual time. */
  ingest(alerts: IngestInput): Promise<VirtualIngest>;
  /**
   * Moves time on: timers that are due until then, and at it, fire in order, each with its attempts. Gives the time.
   */
  advance(by: Duration): Promise<number>;
  /** Lets time run on until only people's answers, leases and what is decided again are pending. Gives the time. */
  finish(): Promise<number>;
  get(id: string): {
    readonly id: string;
    send(event: EventInput): Promise<ExplainedSnapshot>;
    snapshot(): Promise<ExplainedSnapshot>;
    history(): Promise<History>;
  };
  list(filter?: ListFilter): Promise<InstancePage>;
  approve(target: AnswerTarget, who: Who): Promise<ExplainedSnapshot[]>;
  deny(target: AnswerTarget, who: Who): Promise<ExplainedSnapshot[]>;
  pause(request: PauseRequest): Promise<PauseNote>;
  resume(request: ResumeRequest): Promise<Resumed>;
  silence(request: SilenceRequest): Promise<StoredSilence>;
  expireSilence(id: string): Promise<number>;
};

/**
 * Begins a virtual run, on a memory store unless one is given.
 * @throws BECALM_ARGUMENT_INVALID, BECALM_POLICY_INVALID: as `createEngine`
 */
export async function virtualRun(options: VirtualRunOptions): Promise<VirtualRun> {
  requireArgument("virtualRun", { what: "an object: { policies, ... }", holds: isOptions }, options);
  const { handlers = {}, allowExec = false, logger, observe, partitions = PARTITION_COUNT_DEFAULT } = options;
  const policies = policiesOf("virtualRun", options);
  const store = options.store ?? memoryStore();
  const clock = new VirtualClock(options.start);
  const runtime = await compose({ store, clock, mode: "virtual", policies, partitions, observe });
  const driven = driveVirtual(runtime, {
    effects: localEffects({ handlers, allowExec, ...(logger === undefined ? {} : { logger }) }),
    concurrency: CONCURRENCY_DEFAULT,
    onCommit: [],
  });
  await driven.driver.recover();
  await driven.driver.advanceTo(Math.max(clock.now(), driven.driver.nowMs));
  return new VirtualProgram(driven, async () => {
    if (options.store === undefined) await store.close();
  });
}

function isOptions(given: unknown): boolean {
  return typeof given === "object" && given !== null && !Array.isArray(given);
}

class VirtualProgram implements VirtualRun {
  readonly #driven: Driven<Driver>;
  readonly #close: () => Promise<void>;

  constructor(driven: Driven<Driver>, close: () => Promise<void>) {
    this.#driven = driven;
    this.#close = close;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#close();
  }

  get nowMs(): number {
    return this.#driven.driver.nowMs;
  }

  async ingest(alerts: IngestInput): Promise<VirtualIngest> {
    const { driver, instances } = this.#driven;
    const receivedAtMs = this.nowMs;
    const rejected: { alert: number; error: BecalmError }[] = [];
    const receipts: Receipt[] = [];
    for (const [alert, input] of ingestAlertsOf(alerts, receivedAtMs).inputs.entries()) {
      try {
        if (input instanceof BecalmError) throw input;
        receipts.push(toReceipt(input, { receivedAtMs }));
      } catch (error) {
        if (!(error instanceof BecalmError)) throw error;
        rejected.push({ alert, error });
      }
    }
    const { ids, created, duplicates, unmatched, late } = await driver.line(receipts, receivedAtMs);
    // A resolve of nothing names the instance that there might have been.
    const named = await Promise.all([...new Set(ids)].map((id) => instances.instance(id).catch(nullIfMissing)));
    const made = named.filter((instance) => instance !== null);
    return { instances: await this.#explained(made), created, duplicates, unmatched, late, rejected };
  }

  async advance(by: Duration): Promise<number> {
    await this.#driven.driver.advanceTo(this.nowMs + durationMs(by));
    return this.nowMs;
  }

  async finish(): Promise<number> {
    await this.#driven.driver.finish();
    return this.nowMs;
  }

  get(id: string) {
    const { instances } = this.#driven;
    return {
      id,
      send: (event: EventInput) => this.#settled(instances.send(id, event).then(() => this.get(id).snapshot())),
      snapshot: async () => explainedSnapshot(instances, await instances.instance(id)),
      history: () => instances.history(id),
    };
  }

  async list(filter: ListFilter = {}): Promise<InstancePage> {
    validateListFilter(filter);
    const listed = await this.#driven.instances.list(filter);
    return { ...listed, instances: await this.#explained(listed.instances) };
  }

  approve(target: AnswerTarget, who: Who): Promise<ExplainedSnapshot[]> {
    return this.#answer("approve", target, { type: "approval.granted", ...who });
  }

  deny(target: AnswerTarget, who: Who): Promise<ExplainedSnapshot[]> {
    return this.#answer("deny", target, { type: "approval.denied", ...who });
  }

  async pause(request: PauseRequest): Promise<PauseNote> {
    validatePause(request);
    return this.#settled(this.#driven.pauses.pause(request));
  }

  async resume(request: ResumeRequest): Promise<Resumed> {
    validateResume(request);
    return this.#settled(this.#driven.pauses.resume(request));
  }

  async silence(request: SilenceRequest): Promise<StoredSilence> {
    validateSilence(request);
    return this.#settled(this.#driven.silences.add(request));
  }

  expireSilence(id: string): Promise<number> {
    return this.#settled(this.#driven.silences.expire(id));
  }

  async #answer(
    call: string,
    target: AnswerTarget,
    event: EventInput & { type: "approval.granted" | "approval.denied" },
  ): Promise<ExplainedSnapshot[]> {
    validateAnswerTarget(`virtualRun.${call}`, target);
    const { instances } = this.#driven;
    const decided = await this.#settled(instances.answer(target, event));
    return Promise.all(decided.map(({ id }) => this.get(id).snapshot()));
  }

  #explained(instances: readonly Instance[]): Promise<ExplainedSnapshot[]> {
    return Promise.all(instances.map((instance) => explainedSnapshot(this.#driven.instances, instance)));
  }

  /** With what follows from it: attempts that it begins. */
  async #settled<T>(done: Promise<T>): Promise<T> {
    const result = await done;
    await this.#driven.driver.settleAll();
    return result;
  }
}

function nullIfMissing(error: unknown): null {
  if (errorCode(error) === "BECALM_NOT_FOUND") return null;
  throw error;
}
