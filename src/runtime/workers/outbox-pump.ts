/**
 * The effects that this process has for itself: those of its own commits, and those that it takes from the outbox.
 *
 * Owns: what is taken, how much of it may wait for its turn here, and that claims are prolonged and given back. Does not own: when the outbox is
 * polled (live-driver.ts), who runs an attempt (effect-dispatcher.ts), retries (the machine).
 * O1 an effect that this process commits begins at once, unless many wait for their turn already, or others wait in the outbox: then it is left
 * there, for whoever comes first. O2 from the outbox comes what has waited longest, whoever left it there, and no more than can soon be begun.
 * O3 a result is reported until the store takes it or the process stops; until then the effect counts as taken, so it is neither begun again
 * here nor given up to others.
 */
import type { EffectResult, OpenEffectPort } from "../../effects/effect-port.ts";
import type { Decision } from "../../instance/decide.ts";
import { decodeEffect, type Effect } from "../../instance/effect.ts";
import { errorCode, messageOf } from "../../model/errors.ts";
import type { Envelope, EnvelopeResult } from "../commit/batch.ts";
import type { Runtime } from "../runtime.ts";
import type { JustCommitted } from "./attempt.ts";
import { EffectDispatcher, type EffectOutcome } from "./effect-dispatcher.ts";
import type { RepeatedFaults } from "./repeated-faults.ts";

/** How long a claim on an effect lasts without being prolonged. */
export const EFFECT_LEASE_MS = 8_000;
export const CLAIMS_PROLONGED_EVERY_MS = 2_500;
const POLLED_EVERY_MS = 500;
/** Commits claim their effects as long as fewer than this wait for their turn here: quick attempts end before that many wait. */
const WAITING_COUNT_MAX = 256;
/** So many times what runs at once may wait here for long; what is beyond that is given back. */
const AHEAD = 2;
const AHEAD_COUNT_MIN = 64;
const REPORT_RETRY_MS = 200;
const REPORT_RETRY_MS_MAX = 5_000;

export type OutboxPumpOptions = {
  readonly effects: OpenEffectPort;
  /** Attempts at once. */
  readonly concurrency: number;
  readonly submit: (envelope: Envelope) => Promise<readonly EnvelopeResult[]>;
  readonly isRunning: () => boolean;
  /** There is room for what waits in the outbox: polling now finds work. */
  readonly onRoom: () => void;
  readonly faults: RepeatedFaults;
};

export class OutboxPump {
  readonly #runtime: Runtime;
  readonly #options: OutboxPumpOptions;
  readonly #dispatcher: EffectDispatcher;
  readonly #aheadCount: number;
  /** Effects that this process has taken and whose results are not yet committed. */
  readonly #taken = new Set<string>();
  /** Effects that a pause keeps from beginning; this process has claimed them. */
  readonly #paused = new Set<string>();
  /** Effects whose results come later; this process has claimed them, and does nothing for them. */
  readonly #postponed = new Set<string>();
  /** More waits in the outbox than was taken. */
  #isBehind = false;
  /** Effects that are out, or whose results are being committed. */
  #performing = 0;
  readonly #onPerformed: (() => void)[] = [];

  constructor(runtime: Runtime, options: OutboxPumpOptions) {
    this.#runtime = runtime;
    this.#options = options;
    this.#aheadCount = Math.max(AHEAD * options.concurrency, AHEAD_COUNT_MIN);
    this.#dispatcher = new EffectDispatcher(runtime, options.effects, {
      concurrency: options.concurrency,
      dateOf: () => runtime.clock.now(),
      onOutcome: (effect, outcome) => this.#ended(effect, outcome),
    });
  }

  /** How long a commit that is made now claims its effects; null: they are for whoever comes first (O1). */
  claimMs(): number | null {
    const isFull = this.#isBehind || this.#dispatcher.waitingCount >= WAITING_COUNT_MAX;
    return this.#options.isRunning() && !isFull ? EFFECT_LEASE_MS : null;
  }

  /** Begins the effects of a commit. `isClaimed`: this process has them. */
  committed({ effects, instances }: Decision, isClaimed: boolean): void {
    if (effects.length === 0) return;
    if (!isClaimed) {
      this.#isBehind = true;
      this.#lookForRoom();
      return;
    }
    const atMs = this.#runtime.clock.now();
    const committed = new Map<string, JustCommitted>();
    for (const { instance, birth } of instances) committed.set(instance.id, { instance, birth, atMs });
    for (const effect of effects) this.#begin(effect, committed.get(effect.instanceId));
  }

  /** Takes what has waited longest, if there is room for it (O2). Answers when to look again, in ms. */
  async take(): Promise<number> {
    const limit = this.#aheadCount - this.#dispatcher.waitingCount;
    if (limit <= 0) return POLLED_EVERY_MS;
    const { store, owner } = this.#runtime;
    const stored = await store.claimEffects({ owner, leaseMs: EFFECT_LEASE_MS, limit });
    this.#isBehind = stored.length >= limit;
    for (const effect of stored.map(decodeEffect)) this.#begin(effect);
    return this.#isBehind && this.#hasRoom ? 0 : POLLED_EVERY_MS;
  }

  /** Prolongs the claims on what is taken, and gives back what will not begin soon: others may be idle. */
  async prolong(): Promise<number> {
    const surplus = this.#dispatcher.takeBack(this.#aheadCount).map(({ id }) => id);
    for (const id of surplus) this.#taken.delete(id);
    if (surplus.length > 0) this.#isBehind = true;
    this.#performing -= surplus.length;
    if (this.#performing === 0) for (const resolve of this.#onPerformed.splice(0)) resolve();
    const { store, owner } = this.#runtime;
    const effectIds = [...this.#taken];
    if (effectIds.length > 0) await store.extendClaims({ owner, leaseMs: EFFECT_LEASE_MS, effectIds });
    if (surplus.length > 0) await store.releaseClaims({ owner, effectIds: surplus });
    return CLAIMS_PROLONGED_EVERY_MS;
  }

  /** Whoever comes first may begin what a pause has kept, once none holds. */
  async letGo(): Promise<void> {
    const effectIds = [...this.#paused];
    if (effectIds.length === 0 || this.#runtime.stops.of(0).pauses.length > 0) return;
    this.#paused.clear();
    await this.#runtime.store.releaseClaims({ owner: this.#runtime.owner, effectIds });
  }

  /** Commits a result that comes from outside, whoever dispatched the attempt. False: that is over already, so it changes nothing. */
  async complete(effect: Effect, result: EffectResult): Promise<boolean> {
    const [reported] = await this.#options.submit(await this.#dispatcher.resultOf(effect, result));
    if (this.#dispatcher.answered(effect)) {
      this.#postponed.delete(effect.id);
      this.#taken.delete(effect.id);
    }
    return reported?.outcome === "applied";
  }

  cancel(instanceId: string): void {
    this.#dispatcher.cancel(instanceId, "the instance was cancelled");
  }

  /** Begins nothing more. */
  close(): void {
    this.#dispatcher.close();
  }

  interruptAll(): void {
    this.#dispatcher.interruptAll("the engine stops");
  }

  get isPerforming(): boolean {
    return this.#performing > 0;
  }

  /** Resolves when no effect is performed here. */
  whenPerformed(): Promise<void> {
    if (this.#performing === 0) return Promise.resolve();
    return new Promise((resolve) => this.#onPerformed.push(resolve));
  }

  /** Gives back all that is taken still. */
  async giveBack(): Promise<void> {
    const effectIds = [...this.#taken];
    if (effectIds.length > 0) await this.#runtime.store.releaseClaims({ owner: this.#runtime.owner, effectIds });
  }

  get takenCount(): number {
    return this.#taken.size;
  }

  get #hasRoom(): boolean {
    return this.#dispatcher.waitingCount < this.#options.concurrency;
  }

  #lookForRoom(): void {
    if (this.#isBehind && this.#hasRoom && this.#options.isRunning()) this.#options.onRoom();
  }

  #begin(effect: Effect, committed?: JustCommitted): void {
    if (this.#taken.has(effect.id)) return;
    this.#taken.add(effect.id);
    this.#performing += 1;
    this.#dispatcher.dispatch(effect, committed ?? null);
  }

  #ended(effect: Effect, outcome: EffectOutcome): void {
    // A result that came without having been dispatched here, or after it was postponed.
    if (this.#postponed.delete(effect.id) || !this.#taken.has(effect.id)) {
      this.#taken.add(effect.id);
      this.#performing += 1;
    }
    if (outcome.kind === "completed") this.#report(effect, outcome.envelope);
    else this.#leave(effect, outcome);
  }

  /** The effect stays in the outbox. Once the process stops, what was left or paused is given back. */
  #leave(effect: Effect, outcome: Exclude<EffectOutcome, { readonly kind: "completed" }>): void {
    const isRunning = this.#options.isRunning();
    if (outcome.kind === "failed") this.#reportLeft(effect, outcome.error);
    if (outcome.kind === "paused" && isRunning) this.#paused.add(effect.id);
    if (outcome.kind === "postponed") this.#postponed.add(effect.id);
    this.#performed(effect, { isKept: outcome.kind === "postponed" || (outcome.kind !== "failed" && !isRunning) });
  }

  /** O3. Without an async function of its own: half of what an attempt that ends at once costs are promises. */
  #report(effect: Effect, envelope: Envelope): void {
    this.#options.submit(envelope).then(
      () => this.#performed(effect, { isKept: false }),
      (error: unknown) => this.#reportAgain(effect, envelope, error),
    );
  }

  async #reportAgain(effect: Effect, envelope: Envelope, first: unknown): Promise<void> {
    let error = first;
    for (let failures = 0; this.#options.isRunning(); failures += 1) {
      const what = `the result of effect ${effect.id} could not be written yet: ${messageOf(error)}`;
      this.#options.faults.report(`result ${effect.partition} ${errorCode(error)}`, what, error);
      await this.#runtime.pause(Math.min(REPORT_RETRY_MS * 2 ** failures, REPORT_RETRY_MS_MAX));
      try {
        await this.#options.submit(envelope);
        this.#performed(effect, { isKept: false });
        return;
      } catch (next) {
        error = next;
      }
    }
    this.#reportLeft(effect, error);
    this.#performed(effect, { isKept: false });
  }

  #reportLeft(effect: Effect, error: unknown): void {
    const what = `effect ${effect.id} stays in the outbox: ${messageOf(error)}`;
    this.#options.faults.report(`effect ${errorCode(error)}`, what, error);
  }

  /** `isKept`: this process holds it still, until it is given back. */
  #performed(effect: Effect, { isKept }: { isKept: boolean }): void {
    if (!isKept) this.#taken.delete(effect.id);
    this.#performing -= 1;
    if (this.#performing === 0) for (const resolve of this.#onPerformed.splice(0)) resolve();
    this.#lookForRoom();
  }
}
