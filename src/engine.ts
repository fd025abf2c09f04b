/** The library's engine: what programs call, over a live runtime. */

import type { CommittedStep } from "./committed-steps.ts";
import { compose, driveLive } from "./compose.ts";
import type { EffectResult } from "./effects/effect-port.ts";
import { engineEffects } from "./engine-effects.ts";
import {
  type AnswerTarget,
  type EngineOptions,
  type EngineStatus,
  maxClockSkewOf,
  policiesOf,
  refusalOf,
  validateAnswerTarget,
  validateEngineOptions,
  validateListFilter,
  validateShadowRequest,
  type Who,
} from "./engine-options.ts";
import { type ExplainedSnapshot, explainAll, explainedSnapshot, type InstancePage } from "./explained-snapshot.ts";
import { receiptOrNone, tryReceipt } from "./formats/alert-input.ts";
import { type IngestInput, ingestAlertsOf } from "./formats/ingest-input.ts";
import { type PolicyInput, policySetFrom } from "./formats/policy-file.ts";
import { inspectionOf } from "./inspect/inspect-commits.ts";
import type { Instance } from "./instance/checkpoint.ts";
import type { Effect } from "./instance/effect.ts";
import type { InstanceReference } from "./instance-reference.ts";
import { Listeners } from "./listeners.ts";
import { BecalmError, messageOf } from "./model/errors.ts";
import type { PauseNote } from "./model/instance-types.ts";
import { CONCURRENCY_DEFAULT, RETENTION_MS_DEFAULT } from "./model/limits.ts";
import type { Policy, PolicySet } from "./policy/policy.ts";
import { removedBundles } from "./removed-bundles.ts";
import { abortable } from "./runtime/abortable.ts";
import { type IngestResult as Delivered, deliver, routeRequest } from "./runtime/inbox/ingest.ts";
import { IntakeBound } from "./runtime/inbox/intake-bound.ts";
import { InstanceReader, type ListFilter } from "./runtime/instance-reader.ts";
import type { InstanceService } from "./runtime/instance-service.ts";
import { putInForce } from "./runtime/namespace.ts";
import { OWNS_NOTHING } from "./runtime/owners/owners.ts";
import type { Runtime } from "./runtime/runtime.ts";
import type { SilenceRequest, StoredSilence } from "./runtime/silences/stored-silences.ts";
import type { PauseRequest, Resumed, ResumeRequest } from "./runtime/stops/pause-service.ts";
import { validatePause, validateResume, validateSilence } from "./runtime/stops/validate-request.ts";
import { type DeadLetter, deadLetters, resumeDeadLetters } from "./runtime/workers/dead-letters.ts";
import type { LiveDriver } from "./runtime/workers/live-driver.ts";
import { UNKNOWN_STORE } from "./runtime/workers/store-watch.ts";
import { castShadow, type Shadow, type ShadowReport, type ShadowRequest } from "./shadow.ts";
import { memoryStore } from "./stores/memory/memory-store.ts";
import type { Store } from "./stores/store.ts";
import { attachedClock } from "./system/attached-clock.ts";
import { AuditLog } from "./system/audit-line.ts";
import type { Clock } from "./system/clock.ts";
import { type Logger, silentLogger } from "./system/logger.ts";
import { systemClock } from "./system/system-clock.ts";
import { tracedStore } from "./traced-store.ts";

export type { AnswerTarget, EngineOptions, EngineStatus, Who } from "./engine-options.ts";
export type { ExplainedSnapshot, InstancePage } from "./explained-snapshot.ts";
export type { InstanceReference } from "./instance-reference.ts";
export type { Ingested } from "./runtime/inbox/ingest.ts";
export type { ShadowReport, ShadowRequest, ShadowStatus } from "./shadow.ts";

export type IngestResult = Delivered & {
  /** How many alerts the sender says that it has left out (`truncatedAlerts` of a webhook). */
  readonly truncated: number;
};

export type Engine = AsyncDisposable & {
  /** Opens the namespace and runs effects and timers, those included that an earlier process left behind. */
  start(): Promise<void>;
  /** Refuses new alerts, finishes what is under way, and closes the store that the engine made itself. */
  stop(options?: { readonly drainMs?: number }): Promise<void>;
  /** Stops it, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
  /**
   * Takes alerts, or the body of a webhook as it came; resolves when every decision about them is durable. Effects run
   * afterwards. Rejects with BECALM_ALERT_INVALID or BECALM_ARGUMENT_INVALID if the whole input is something else, with
   * BECALM_BUSY if too much is under way, and with BECALM_CLOCK_SKEW if the clock of this process is far from the
   * store's: nothing of it was decided then. A single alert that cannot be taken is in `rejected`. If `signal` is
   * aborted it rejects with the signal's reason: alerts that were under way may be taken still, and sending them again
   * makes duplicates only.
   */
  ingest(alerts: IngestInput, options?: { readonly signal?: AbortSignal }): Promise<IngestResult>;
  /** How it is doing, as far as this process knows; nothing is asked for it. */
  status(): EngineStatus;
  get(id: string): InstanceReference;
  list(filter?: ListFilter): Promise<InstancePage>;
  /** Grants one instance, or everything that a group holds. */
  approve(target: AnswerTarget, who: Who): Promise<ExplainedSnapshot[]>;
  deny(target: AnswerTarget, who: Who): Promise<ExplainedSnapshot[]>;
  /**
   * Puts other policies into force. Instances keep the version that they were made under. If the policies have
   * mistakes, or name a handler that the engine does not have, it rejects as `createEngine` throws, and the old ones
   * stay. `shadow`: another candidate; left out: it stays, too.
   */
  reload(policies: PolicyInput, options?: { readonly shadow?: PolicyInput }): Promise<void>;
  /**
   * What would have gone another way under the shadow, so far. It is worked out now, in short turns beside what is
   * decided live. Rejects with BECALM_NOT_FOUND if the engine has no shadow.
   */
  shadow(request?: ShadowRequest): Promise<ShadowReport>;
  /** One version of a policy, `name@version`; by its name alone, the version in force. null: the policy is unknown. */
  policy(reference: string): Promise<Policy | null>;
  /** Calls `fn` with every step that this process commits, whichever instance it is of. Returns what ends it. */
  subscribe(fn: (steps: readonly CommittedStep[]) => void): () => void;
  /** Reports how an attempt that runs elsewhere ended; resolves when that is durable. False: it was over already. */
  complete(effect: Effect, result: EffectResult): Promise<boolean>;
  /**
   * The emergency stop of everything, or of one policy, in every process of the namespace. Resolves when nothing more
   * can begin: what would run is held, and attempts that nobody has begun wait.
   */
  pause(request: PauseRequest): Promise<PauseNote>;
  /** Lifts a pause. What it held stays held (the default), is decided once more in order of arrival, or is denied. */
  resume(request: ResumeRequest): Promise<Resumed>;
  /** The pauses that hold. */
  pauses(): Promise<readonly PauseNote[]>;
  /** Makes a silence, in every process. What it skips is decided when it ends, if its alert still fires. */
  silence(request: SilenceRequest): Promise<StoredSilence>;
  /** Writes a silence in place of the one with its id: instances that it no longer covers are decided. */
  saveSilence(silence: StoredSilence): Promise<void>;
  /** Attempts that were delivered again and again without a result, and are set aside; the oldest first. */
  deadLetters(options?: { readonly limit?: number }): Promise<readonly DeadLetter[]>;
  /** Lets what is set aside be delivered once more. Gives the ids that were set aside. */
  resumeDeadLetters(ids: readonly string[]): Promise<readonly string[]>;
  /** Ends a silence that somebody made. Gives how many instances were decided again. */
  expireSilence(id: string): Promise<number>;
  /** All silences: those of the policy file, and those that somebody made. */
  silences(): Promise<readonly StoredSilence[]>;
};

export type { PauseNote } from "./model/instance-types.ts";
export type { SilenceRequest, StoredSilence } from "./runtime/silences/stored-silences.ts";
export type { PauseRequest, Resumed, ResumeRequest } from "./runtime/stops/pause-service.ts";
export type { DeadLetter } from "./runtime/workers/dead-letters.ts";

/**
 * Makes an engine. Nothing is opened before `start` or the first call that needs the store.
 * @throws BECALM_ARGUMENT_INVALID if an option is unknown, its value is invalid, or a handler that a policy names is
 * missing; BECALM_POLICY_INVALID if the policies have mistakes
 */
export function createEngine(options: EngineOptions): Engine {
  const policies = validateEngineOptions(options);
  return new LiveEngine({ ...options, policies });
}

type Opened = ReturnType<typeof driveLive> & {
  readonly runtime: Runtime;
  readonly auditLog: AuditLog;
  readonly detach: () => void;
};

class LiveEngine implements Engine {
  readonly #options: EngineOptions & { readonly policies: PolicySet };
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #listeners: Listeners;
  readonly #intake: IntakeBound;
  #shadow: Shadow | null;
  #driver: LiveDriver | null = null;
  /** null: not opened yet. */
  #opening: Promise<Opened> | null = null;
  #stopping: Promise<void> | null = null;

  constructor(options: EngineOptions & { readonly policies: PolicySet }) {
    this.#options = options;
    this.#store = options.store ?? memoryStore();
    this.#clock = options.clock ?? systemClock();
    this.#logger = options.logger ?? silentLogger;
    this.#intake = new IntakeBound(options);
    this.#shadow = castShadow(null, options.shadow, this.#clock.now());
    this.#listeners = new Listeners(this.#clock, {
      instances: () => this.#instances(),
      onFault: (error) => this.#logger.error({ err: error }, `a subscriber failed: ${messageOf(error)}`),
    });
  }

  async start(): Promise<void> {
    const { driver } = await this.#opened();
    await driver.join();
    if (driver.isStarted || this.#stopping !== null) return;
    driver.start();
    await driver.storeWatch.introduce();
  }

  status(): EngineStatus {
    const { alerts, bytes } = this.#intake.underway;
    const shadow = this.#shadow === null ? {} : { shadow: this.#shadow.status };
    const driver = this.#driver;
    const known = { ...(driver?.storeWatch.status ?? UNKNOWN_STORE), ...(driver?.owners.status ?? OWNS_NOTHING) };
    const exports = this.#options.exportRemoved && { failedExports: driver?.failedExports ?? 0 };
    const own = { uncountedFailures: driver?.brakeDuties.uncountedFailures ?? 0, refusal: refusalOf(driver) };
    return { ...known, ...own, alertsUnderWay: alerts, bytesUnderWay: bytes, ...shadow, ...exports };
  }

  stop(options?: { readonly drainMs?: number }): Promise<void> {
    this.#stopping ??= this.#drain(options?.drainMs ?? this.#options.drainMs ?? 30_000);
    return this.#stopping;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #drain(drainMs: number): Promise<void> {
    this.#listeners.ofInstances.close();
    if (this.#opening !== null) {
      const { driver, auditLog, detach } = await this.#opening;
      await driver.stop(drainMs);
      await auditLog.settled();
      detach();
    }
    if (this.#options.store === undefined) await this.#store.close();
  }

  async ingest(alerts: IngestInput, options?: { readonly signal?: AbortSignal }): Promise<IngestResult> {
    if (options?.signal !== undefined) return abortable(options.signal, () => this.ingest(alerts));
    const { runtime, driver, receipts } = await this.#opened();
    driver.storeWatch.clockWatch.requireAgreement();
    const atMs = runtime.clock.now();
    const { inputs, truncated } = ingestAlertsOf(alerts, atMs);
    const intake = this.#intake.enter(inputs.length);
    try {
      const readings = inputs.map((input) => (input instanceof BecalmError ? input : tryReceipt(input, atMs)));
      const delivered = await driver.owners.upgrade.deciding(async () => {
        const request = await routeRequest(runtime, readings, { atMs });
        this.#intake.weigh(intake, request);
        return deliver({ owners: driver.owners, receipts }, request, { atMs });
      });
      this.#shadow?.taken(readings.map(receiptOrNone), delivered.unmatched, atMs);
      return { ...delivered, truncated };
    } finally {
      this.#intake.leave(intake);
    }
  }

  get(id: string): InstanceReference {
    return {
      id,
      send: (event, options) => this.#explained((instances) => instances.send(id, event, options)),
      snapshot: () => this.#explained((instances) => instances.instance(id)),
      history: async () => (await this.#instances()).history(id),
      subscribe: (fn) => this.#listeners.ofInstances.subscribe(id, fn),
      waitFor: (predicate, options) => this.#listeners.ofInstances.waitFor(id, { predicate, ...options }),
    };
  }

  async list(filter: ListFilter = {}): Promise<InstancePage> {
    validateListFilter(filter);
    const instances = await this.#instances();
    const listed = await instances.list(filter);
    return { ...listed, instances: await explainAll(instances, listed.instances) };
  }

  approve(target: AnswerTarget, who: Who): Promise<ExplainedSnapshot[]> {
    return this.#answer("engine.approve", "approval.granted", { target, who });
  }

  deny(target: AnswerTarget, who: Who): Promise<ExplainedSnapshot[]> {
    return this.#answer("engine.deny", "approval.denied", { target, who });
  }

  async reload(policies: PolicyInput, options?: { readonly shadow?: PolicyInput }): Promise<void> {
    const set = policiesOf("engine.reload", { ...this.#options, policies });
    const candidate = options?.shadow === undefined ? undefined : policySetFrom(options.shadow, "shadow");
    const { runtime, silences } = await this.#opened();
    await putInForce(runtime, set);
    this.#shadow = castShadow(this.#shadow, candidate, this.#clock.now());
    await silences.lookAgain();
  }

  async shadow(request: ShadowRequest = {}): Promise<ShadowReport> {
    validateShadowRequest(request);
    if (this.#shadow !== null) return this.#shadow.difference(await this.#instances(), request);
    throw new BecalmError("BECALM_NOT_FOUND", "This engine has no shadow. Give createEngine({ shadow: policies }).");
  }

  async policy(reference: string): Promise<Policy | null> {
    return (await this.#instances()).policy(reference);
  }

  subscribe(fn: (steps: readonly CommittedStep[]) => void): () => void {
    return this.#listeners.addOfSteps(fn);
  }

  async complete(effect: Effect, result: EffectResult): Promise<boolean> {
    return (await this.#opened()).driver.complete(effect, result);
  }

  async pause(request: PauseRequest): Promise<PauseNote> {
    validatePause(request);
    return (await this.#opened()).pauses.pause(request);
  }

  async resume(request: ResumeRequest): Promise<Resumed> {
    validateResume(request);
    return (await this.#opened()).pauses.resume(request);
  }

  async pauses(): Promise<readonly PauseNote[]> {
    return (await this.#opened()).pauses.pauses();
  }

  async silence(request: SilenceRequest): Promise<StoredSilence> {
    validateSilence(request);
    return (await this.#opened()).silences.add(request);
  }

  async expireSilence(id: string): Promise<number> {
    return (await this.#opened()).silences.expire(id);
  }

  async saveSilence(silence: StoredSilence): Promise<void> {
    return (await this.#opened()).silences.save(silence);
  }

  async silences(): Promise<readonly StoredSilence[]> {
    return (await this.#opened()).silences.silences();
  }

  async deadLetters(request: { readonly limit?: number } = {}): Promise<readonly DeadLetter[]> {
    return deadLetters((await this.#opened()).runtime, request);
  }

  async resumeDeadLetters(ids: readonly string[]): Promise<readonly string[]> {
    return resumeDeadLetters((await this.#opened()).runtime, ids);
  }

  async #answer(
    call: string,
    type: "approval.granted" | "approval.denied",
    { target, who }: { target: AnswerTarget; who: Who },
  ): Promise<ExplainedSnapshot[]> {
    validateAnswerTarget(call, target);
    const instances = await this.#instances();
    return explainAll(instances, await instances.answer(target, { ...who, type }));
  }

  async #explained(read: (instances: InstanceService) => Promise<Instance>): Promise<ExplainedSnapshot> {
    const instances = await this.#instances();
    return explainedSnapshot(instances, await read(instances));
  }

  async #instances(): Promise<InstanceService> {
    return (await this.#opened()).instances;
  }

  #opened(): Promise<Opened> {
    if (this.#stopping !== null)
      throw new BecalmError("BECALM_STOPPED", "The engine is stopped. Make another one; the store has everything.");
    this.#driver?.owners.upgrade.requireUnderstood();
    this.#opening ??= this.#open().catch((error: unknown) => {
      this.#opening = null;
      throw error;
    });
    return this.#opening;
  }

  async #open(): Promise<Opened> {
    const { policies, partitions, concurrency, retentionMs, exportRemoved, observe, raiseFormat } = this.#options;
    const logger = this.#logger;
    const attached = attachedClock(this.#clock);
    const given = { store: tracedStore(this.#store), clock: attached.clock, policies, partitions, observe };
    const runtime = await compose({ ...given, mode: "live", decides: "process" });
    const inspection = inspectionOf(runtime, {
      inspect: this.#options.inspect,
      onFault: (error) => logger.error({ err: error }, `an inspection observer failed: ${messageOf(error)}`),
    });
    const reader = new InstanceReader(runtime);
    const auditLog = new AuditLog(logger, (id) => reader.birth(id));
    const attempts = engineEffects(this.#options, { logger, now: () => this.#clock.now() });
    const driven = driveLive(runtime, {
      effects: attempts.effects,
      concurrency: concurrency ?? CONCURRENCY_DEFAULT,
      retentionMs: retentionMs ?? RETENTION_MS_DEFAULT,
      removedExport: exportRemoved && removedBundles(reader, exportRemoved, logger),
      leaveEffects: this.#options.leaveEffects === true,
      raiseFormat: raiseFormat === true,
      onCommit: [
        ...inspection.onCommit,
        ...attempts.onCommit,
        ({ entries }) => auditLog.write(entries),
        (decision) => this.#listeners.publish(decision),
      ],
      watch: { maxClockSkewMs: maxClockSkewOf(this.#options), logger },
      onFault: (what, error) => logger.error({ err: error }, what),
    });
    this.#driver = driven.driver;
    // An alert is not decided by a clock that was never compared. Who cannot be asked now is asked again soon.
    await driven.driver.storeWatch.look().catch(() => {});
    attached.setWorker(driven.driver);
    const detach = () => {
      attached.detach();
      inspection.detach();
    };
    return { ...driven, runtime, auditLog, detach };
  }
}
