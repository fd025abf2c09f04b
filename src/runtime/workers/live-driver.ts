/**
 * Live time: the pumps that move what is due. Between them and the store nothing is kept that a crash could lose.
 *
 * Owns: when the store is polled, and what is under way in this process. Does not own: decisions (commit/run-batch.ts), retries (the machine).
 * L1 a timer fires by its commit: firing it twice is harmless. L2 an effect that this process committed starts at once; one that a
 * crash left behind is found when its claim has run out. L3 a result is reported until the store takes it or the process stops; until
 * then the effect counts as taken, so it is neither begun again here nor given up to others.
 */
import type { OpenEffectPort } from "../../effects/effect-port.ts";
import type { Decision } from "../../instance/decide.ts";
import { decodeEffect, type Effect } from "../../instance/effect.ts";
import { timerChanges } from "../../instance/timer-changes.ts";
import { errorCode, messageOf } from "../../model/errors.ts";
import type { Envelope, EnvelopeResult } from "../commit/batch.ts";
import { Mailboxes } from "../inbox/mailboxes.ts";
import { renewNamespace } from "../namespace.ts";
import type { BatchRuntime, CommitListener, Driver, Runtime } from "../runtime.ts";
import { learnSilences, SilenceService } from "../silences/stored-silences.ts";
import { PauseService } from "../stops/pause-service.ts";
import { EffectDispatcher, type EffectOutcome, type JustCommitted } from "./effect-dispatcher.ts";
import { RepeatedFaults } from "./repeated-faults.ts";
import { sweep } from "./retention.ts";
import { PAGE_COUNT, TimerPump } from "./timer-pump.ts";

/** How long a claim on an effect lasts without being prolonged. */
export const EFFECT_LEASE_MS = 8_000;
export const CLAIMS_PROLONGED_EVERY_MS = 2_500;
const TIMERS_POLLED_EVERY_MS = 500;
const OUTBOX_POLLED_EVERY_MS = 500;
/** How long a store that has lost its data lacks what its namespace is known by. */
const NAMESPACE_RENEWED_EVERY_MS = 10_000;
const SWEPT_EVERY_MS_MIN = 60_000;
const SWEPT_EVERY_MS_MAX = 3_600_000;
/** After a fault of a pump. */
const PUMP_RETRY_MS = 500;
const SILENCES_READ_EVERY_MS = 2_000;
/** How long another process's pause may go unnoticed by one that only has attempts to begin. */
const STOPS_READ_EVERY_MS = 1_000;
const REPORT_RETRY_MS = 200;
const REPORT_RETRY_MS_MAX = 5_000;

export type LiveOptions = {
  readonly effects: OpenEffectPort;
  /** Attempts at once. */
  readonly concurrency: number;
  readonly retentionMs: number;
  /** Hear of each commit after the driver itself. */
  readonly onCommit: readonly CommitListener[];
  /** Told of what could not be done now and is tried again. */
  readonly onFault: (what: string, error: unknown) => void;
};

export class LiveDriver implements Driver {
  readonly mailboxes: Mailboxes;
  readonly pauses: PauseService;
  readonly silences: SilenceService;
  readonly #runtime: BatchRuntime;
  readonly #dispatcher: EffectDispatcher;
  readonly #options: LiveOptions;
  readonly #cancels = new Map<string, () => void>();
  readonly #underway = new Set<Promise<void>>();
  /** Effects that this process has taken and whose results are not yet committed. */
  readonly #taken = new Set<string>();
  /** Effects that a pause keeps from beginning; this process has claimed them. */
  readonly #paused = new Set<string>();
  /** Effects that are out, or whose results are being committed. */
  #performing = 0;
  #onPerformed = () => {};
  readonly #faults: RepeatedFaults;
  readonly #timers: TimerPump;
  #timersDueAtMs = Number.POSITIVE_INFINITY;
  #isRunning = false;
  #hasLookedAtSilenced = false;

  constructor(runtime: Runtime, options: LiveOptions) {
    this.#options = options;
    this.#runtime = {
      ...runtime,
      onCommit: [(decision) => this.committed(decision), ...options.onCommit],
      effectClaimMs: () => (this.#isRunning ? EFFECT_LEASE_MS : null),
    };
    this.mailboxes = new Mailboxes(this.#runtime);
    this.pauses = new PauseService(runtime, this, () => runtime.clock.now());
    this.silences = new SilenceService(runtime, this, () => runtime.clock.now());
    this.#faults = new RepeatedFaults(runtime.clock, options.onFault);
    this.#timers = new TimerPump(runtime, {
      submit: (envelope) => this.mailboxes.submit([envelope]),
      faults: this.#faults,
    });
    this.#dispatcher = new EffectDispatcher(runtime, options.effects, {
      concurrency: options.concurrency,
      dateOf: () => runtime.clock.now(),
      onOutcome: (effect, outcome) => this.#ended(effect, outcome),
    });
  }

  submit(envelopes: readonly Envelope[]): Promise<readonly EnvelopeResult[]> {
    return this.mailboxes.submitEach(envelopes);
  }

  get isStarted(): boolean {
    return this.#isRunning;
  }

  start(): void {
    this.#isRunning = true;
    this.#timersDueAtMs = this.#runtime.clock.now();
    this.#repeat("timers", 0, () => this.#fireTimers());
    this.#repeat("outbox", 0, () => this.#takeEffects());
    this.#repeat("claims", CLAIMS_PROLONGED_EVERY_MS, () => this.#prolongClaims());
    this.#repeat("silences", SILENCES_READ_EVERY_MS, () => this.#readSilences());
    this.#repeat("stops", STOPS_READ_EVERY_MS, () => this.#readStops());
    this.#repeat("namespace", NAMESPACE_RENEWED_EVERY_MS, () => this.#renew());
    this.#repeat("retention", this.#sweptEveryMs, () => this.#forget());
  }

  /**
   * Stops polling, begins nothing more and waits until what is under way has been reported; after `drainMs` of real time, by
   * which attempts are measured too, they are aborted. Those, and attempts that had not begun, go back to the outbox, for whoever comes first: they use up no retry.
   */
  async stop(drainMs: number): Promise<void> {
    this.#isRunning = false;
    for (const cancel of this.#cancels.values()) cancel();
    this.#cancels.clear();
    this.#dispatcher.close();
    const cancelAbort = this.#runtime.realTime.schedule(drainMs, () =>
      this.#dispatcher.interruptAll("the engine stops"),
    );
    await this.#whenDrained();
    cancelAbort();
    await this.#giveBack();
  }

  /** Hears of every commit: effects start, a nearer timer is scheduled, cancelled attempts are aborted. */
  committed(decision: Decision): void {
    for (const { instance, entry } of decision.entries) {
      if (entry.event.type === "cancel") this.#dispatcher.cancel(instance, "the instance was cancelled");
    }
    if (!this.#isRunning) return;
    this.#beginAll(decision);
    this.#expectTimers(decision);
  }

  #beginAll({ effects, instances }: Decision): void {
    if (effects.length === 0) return;
    const atMs = this.#runtime.clock.now();
    const committed = new Map<string, JustCommitted>();
    for (const { instance, birth } of instances) committed.set(instance.id, { instance, birth, atMs });
    for (const effect of effects) this.#begin(effect, committed.get(effect.instanceId));
  }

  async #giveBack(): Promise<void> {
    const effectIds = [...this.#taken];
    if (effectIds.length === 0) return;
    try {
      await this.#runtime.store.releaseClaims({ owner: this.#runtime.owner, effectIds });
    } catch (error) {
      this.#options.onFault(
        `the claims on ${effectIds.length} effects run out by themselves: ${messageOf(error)}`,
        error,
      );
    }
  }

  async #whenDrained(): Promise<void> {
    while (this.#isBusy) await Promise.all([this.#whenPerformed(), ...this.#underway]);
    await this.mailboxes.idle();
    if (this.#isBusy) await this.#whenDrained();
  }

  get #isBusy(): boolean {
    return this.#underway.size > 0 || this.#performing > 0;
  }

  /** Resolves when no effect is performed here. */
  #whenPerformed(): Promise<void> {
    if (this.#performing === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onPerformed = resolve;
    });
  }

  /** Calls `work` after `delayMs`, and again after what it answers. A fault is told and does not end the pump. */
  #repeat(name: string, delayMs: number, work: () => Promise<number>): void {
    const run = () => {
      this.#cancels.delete(name);
      const turn = work()
        .catch((error: unknown) => {
          this.#faults.report(`${name} ${errorCode(error)}`, `${name}: ${messageOf(error)}`, error);
          return PUMP_RETRY_MS;
        })
        .then((nextMs) => {
          if (this.#isRunning) this.#cancels.set(name, this.#runtime.clock.schedule(nextMs, run));
        });
      this.#track(turn);
    };
    this.#cancels.set(name, this.#runtime.clock.schedule(delayMs, run));
  }

  #track(promise: Promise<void>): void {
    const tracked = promise.finally(() => this.#underway.delete(tracked));
    this.#underway.add(tracked);
  }

  #expectTimers(decision: Decision): void {
    for (const changed of decision.instances) {
      for (const [, timer] of timerChanges(changed).armed) this.#expectTimer(timer.dueAtMs);
    }
    for (const { timer } of decision.groupTimersArmed) this.#expectTimer(timer.dueAtMs);
  }

  /** A timer that is due before the next poll brings the poll forward. */
  #expectTimer(dueAtMs: number): void {
    if (dueAtMs >= this.#timersDueAtMs) return;
    this.#timersDueAtMs = dueAtMs;
    const cancel = this.#cancels.get("timers");
    if (cancel === undefined) return;
    cancel();
    this.#repeat("timers", Math.max(dueAtMs - this.#runtime.clock.now(), 0), () => this.#fireTimers());
  }

  async #fireTimers(): Promise<number> {
    const firing = this.#timers.fire();
    this.#track(firing.then(() => undefined));
    // A partition that takes long keeps the others from being polled no longer than this.
    let cancel = () => {};
    const slow = new Promise<boolean>((resolve) => {
      cancel = this.#runtime.clock.schedule(TIMERS_POLLED_EVERY_MS, () => resolve(false));
    });
    const isMore = await Promise.race([firing, slow]);
    cancel();
    const delayMs = isMore ? 0 : TIMERS_POLLED_EVERY_MS;
    this.#timersDueAtMs = this.#runtime.clock.now() + delayMs;
    return delayMs;
  }

  async #takeEffects(): Promise<number> {
    // Who has a page of effects already takes no more: others may be idle.
    const limit = PAGE_COUNT - this.#taken.size;
    if (limit <= 0) return OUTBOX_POLLED_EVERY_MS;
    const { owner } = this.#runtime;
    const stored = await this.#runtime.store.claimEffects({ owner, leaseMs: EFFECT_LEASE_MS, limit });
    for (const effect of stored.map(decodeEffect)) this.#begin(effect);
    return stored.length >= limit ? 0 : OUTBOX_POLLED_EVERY_MS;
  }

  #begin(effect: Effect, committed?: JustCommitted): void {
    if (this.#taken.has(effect.id)) return;
    this.#taken.add(effect.id);
    this.#performing += 1;
    this.#dispatcher.dispatch(effect, committed ?? null);
  }

  #ended(effect: Effect, outcome: EffectOutcome): void {
    // A result that came without having been dispatched here.
    if (!this.#taken.has(effect.id)) {
      this.#taken.add(effect.id);
      this.#performing += 1;
    }
    void this.#settle(effect, outcome);
  }

  async #settle(effect: Effect, outcome: EffectOutcome): Promise<void> {
    try {
      if (outcome.kind === "failed") throw outcome.error;
      // It is given back when the driver has stopped.
      if ((outcome.kind === "left" || outcome.kind === "paused") && !this.#isRunning) return;
      if (outcome.kind === "paused") this.#paused.add(effect.id);
      if (outcome.kind === "completed") await this.#report(effect, outcome.envelope);
      this.#taken.delete(effect.id);
    } catch (error) {
      this.#taken.delete(effect.id);
      const what = `effect ${effect.id} stays in the outbox: ${messageOf(error)}`;
      this.#faults.report(`effect ${errorCode(error)}`, what, error);
    } finally {
      this.#performing -= 1;
      if (this.#performing === 0) this.#onPerformed();
    }
  }

  async #report(effect: Effect, envelope: Envelope): Promise<void> {
    for (let failures = 0; ; failures += 1) {
      try {
        await this.mailboxes.submit([envelope]);
        return;
      } catch (error) {
        if (!this.#isRunning) throw error;
        const what = `the result of effect ${effect.id} could not be written yet: ${messageOf(error)}`;
        this.#faults.report(`result ${effect.partition} ${errorCode(error)}`, what, error);
        await this.#runtime.pause(Math.min(REPORT_RETRY_MS * 2 ** failures, REPORT_RETRY_MS_MAX));
      }
    }
  }

  async #prolongClaims(): Promise<number> {
    const effectIds = [...this.#taken];
    if (effectIds.length > 0)
      await this.#runtime.store.extendClaims({ owner: this.#runtime.owner, leaseMs: EFFECT_LEASE_MS, effectIds });
    return CLAIMS_PROLONGED_EVERY_MS;
  }

  /** Hears of other processes' pauses, and goes on with what a lifted one has left to be done. */
  async #readStops(): Promise<number> {
    await this.pauses.goOn();
    await this.#letGo();
    return STOPS_READ_EVERY_MS;
  }

  /** Hears of silences that other processes make or end. Whoever starts looks at all that silences hold: some may have ended meanwhile. */
  async #readSilences(): Promise<number> {
    const areOthers = await learnSilences(this.#runtime);
    if (areOthers || !this.#hasLookedAtSilenced) await this.silences.lookAgain();
    this.#hasLookedAtSilenced = true;
    return SILENCES_READ_EVERY_MS;
  }

  /** Whoever comes first may begin what a pause has kept, once none holds. */
  async #letGo(): Promise<void> {
    const effectIds = [...this.#paused];
    if (effectIds.length === 0 || this.#runtime.stops.of(0).pauses.length > 0) return;
    this.#paused.clear();
    await this.#runtime.store.releaseClaims({ owner: this.#runtime.owner, effectIds });
  }

  async #renew(): Promise<number> {
    await renewNamespace(this.#runtime);
    return NAMESPACE_RENEWED_EVERY_MS;
  }

  async #forget(): Promise<number> {
    await sweep(this.#runtime, this.#options.retentionMs);
    return this.#sweptEveryMs;
  }

  get #sweptEveryMs(): number {
    return Math.min(Math.max(this.#options.retentionMs / 16, SWEPT_EVERY_MS_MIN), SWEPT_EVERY_MS_MAX);
  }
}
