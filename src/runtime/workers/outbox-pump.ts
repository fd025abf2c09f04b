/**
 * The effects that this process has for itself: those of its own commits, and those that it takes from the outbox.
 *
 * Owns: what is taken, how much of it may wait for its turn here, and that claims are prolonged and given back. Does
 * not own: when the outbox is polled (live-driver.ts), who runs an attempt (effect-dispatcher.ts), retries (the
 * machine).
 * O1 an effect that this process commits begins at once, unless many wait for their turn already, or others wait in the
 * outbox: then it is left there, for whoever comes first. O2 from the outbox comes what the source gives
 * (effect-source.ts), and no more than can soon be begun. Actions and notices have slots and room of their own, so that
 * a notice is sent also while actions that hang have taken theirs, and the other way round.
 * O3 a result is reported until the store takes it or the process stops; until then the effect counts as taken, so it
 * is neither begun again here nor given up to others. O4 an attempt whose instance moved on in another process is
 * aborted within about a second.
 */
import type { EffectResult, OpenEffectPort } from "../../effects/effect-port.ts";
import type { Decision } from "../../instance/decide.ts";
import { decodeEffect, type Effect, isNotice } from "../../instance/effect.ts";
import { errorCode, messageOf } from "../../model/errors.ts";
import type { ClaimedEffect } from "../../stores/outbox.ts";
import type { Envelope, EnvelopeResult } from "../commit/batch.ts";
import type { Runtime } from "../runtime.ts";
import { type Expected, requireArgument } from "../validate-options.ts";
import type { Earlier, JustCommitted } from "./attempt.ts";
import { overAmong } from "./attempt-state.ts";
import { EffectDispatcher, type EffectOutcome } from "./effect-dispatcher.ts";
import { EFFECT_LEASE_MS, type EffectSource, type Room } from "./effect-source.ts";
import type { RepeatedFaults } from "./repeated-faults.ts";

export const CLAIMS_PROLONGED_EVERY_MS = 2_500;
/** How long an attempt may go on that was cancelled in another process. */
export const ATTEMPTS_LOOKED_AT_EVERY_MS = 1_000;
/**
 * Commits claim their effects as long as fewer than this wait for their turn here: quick attempts end before that many
 * wait.
 */
const WAITING_COUNT_MAX = 256;
const REPORT_RETRY_MS = 200;
const REPORT_RETRY_MS_MAX = 5_000;
/** When what could not be begun here is looked at again, by whoever comes first. */
const NOTICE_AGAIN_AFTER_MS = 1_000;
const SUSPECT_AGAIN_AFTER_MS = 1_000;
const LEFT_AGAIN_AFTER_MS = EFFECT_LEASE_MS;
/**
 * What was delivered so often without a result may be what ends its processes: only one of those runs in a process at
 * once.
 */
const SUSPECT_DELIVERIES = 3;
/** Beyond this it is set aside. */
const DELIVERIES_MAX = 10;

const hasKeys = (value: unknown, kinds: Readonly<Record<string, string>>) =>
  typeof value === "object" &&
  value !== null &&
  Object.entries(kinds).every(([key, kind]) => typeof (value as Record<string, unknown>)[key] === kind);
const EFFECT: Expected = {
  what: "an effect, as it was handed out",
  holds: (value) => hasKeys(value, { id: "string", instanceId: "string", partition: "number", attempt: "number" }),
};
const RESULT: Expected = { what: "a result second: { ok: true }", holds: (value) => hasKeys(value, { ok: "boolean" }) };

export type OutboxPumpOptions = {
  readonly effects: OpenEffectPort;
  /** Actions at once, and beside them notices. */
  readonly concurrency: number;
  readonly source: EffectSource;
  readonly submit: (envelope: Envelope) => Promise<readonly EnvelopeResult[]>;
  readonly isRunning: () => boolean;
  /** There is room for what waits in the outbox: polling now finds work. */
  readonly onRoom: () => void;
  readonly faults: RepeatedFaults;
};

/** What is known of an effect that begins here: what its commit left of its instance, and that it was begun before. */
type Known = { readonly committed?: JustCommitted | undefined; readonly earlier?: Earlier | null };

export class OutboxPump {
  readonly #runtime: Runtime;
  readonly #options: OutboxPumpOptions;
  readonly #dispatcher: EffectDispatcher;
  readonly #source: EffectSource;
  /** Effects that this process has taken and whose results are not yet committed. */
  readonly #taken = new Set<string>();
  /** Effects that a pause keeps from beginning, given back for later. */
  readonly #paused = new Set<string>();
  /** The one of those that were delivered often that this process runs now. */
  #suspect: string | null = null;
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
    this.#source = options.source;
    this.#dispatcher = new EffectDispatcher(runtime, options.effects, {
      concurrency: options.concurrency,
      dateOf: () => runtime.clock.now(),
      onOutcome: (effect, outcome) => this.#ended(effect, outcome),
      note: options.submit,
    });
  }

  /** How long a commit that is made now claims its effects; null: they are for whoever comes first (O1). */
  claimMs(): number | null {
    const { actions, notices } = this.#dispatcher.held;
    const isFull = this.#isBehind || Math.max(actions.waiting, notices.waiting) >= WAITING_COUNT_MAX;
    return this.#source.takesOwn && this.#options.isRunning() && !isFull ? EFFECT_LEASE_MS : null;
  }

  /** Begins the effects of a commit. `isClaimed`: this process has them. */
  committed({ effects, instances }: Decision, isClaimed: boolean): void {
    if (effects.length === 0) return;
    if (!isClaimed) {
      this.#isBehind = true;
      this.#lookForRoom(effects);
      return;
    }
    const atMs = this.#runtime.clock.now();
    const committed = new Map<string, JustCommitted>();
    for (const { instance, birth } of instances) committed.set(instance.id, { instance, birth, atMs });
    for (const effect of effects) this.#begin(effect, { committed: committed.get(effect.instanceId) });
  }

  /** Takes what the source has, if there is room for it (O2). Answers when to look again, in ms. */
  async take(): Promise<number> {
    const room = this.#room;
    const { polledEveryMs } = this.#source;
    if (Math.max(room.actions, room.notices) <= 0) return polledEveryMs;
    const { effects, isMore } = await this.#source.take(room);
    this.#isBehind = isMore ?? this.#isBehind;
    for (const effect of effects) this.#beginDelivered(effect);
    return this.#isBehind && this.#hasRoom ? 0 : polledEveryMs;
  }

  /** Prolongs the claims on what is taken, and gives back what will not begin soon: others may be idle. */
  async prolong(): Promise<number> {
    const surplus = this.#dispatcher.takeBack(this.#source.aheadCount).map(({ id }) => id);
    for (const id of surplus) this.#taken.delete(id);
    if (this.#suspect !== null && surplus.includes(this.#suspect)) this.#suspect = null;
    if (surplus.length > 0) this.#isBehind = true;
    this.#performing -= surplus.length;
    if (this.#performing === 0) for (const resolve of this.#onPerformed.splice(0)) resolve();
    const { store, owner } = this.#runtime;
    const effectIds = [...this.#taken];
    if (effectIds.length > 0) await store.extendClaims({ owner, leaseMs: EFFECT_LEASE_MS, effectIds });
    if (surplus.length > 0) await store.releaseClaims({ owner, effectIds: surplus });
    return CLAIMS_PROLONGED_EVERY_MS;
  }

  /** Whoever comes first may begin at once what a pause has kept, once none holds. */
  async letGo(): Promise<void> {
    const effectIds = [...this.#paused];
    if (effectIds.length === 0 || this.#runtime.stops.of(0).pauses.length > 0) return;
    this.#paused.clear();
    await this.#runtime.store.releaseClaims({ owner: this.#runtime.owner, effectIds });
  }

  /**
   * Aborts attempts that are over: cancelled in another process, or reported by it. Answers when to look again, in ms.
   */
  async endCancelled(): Promise<number> {
    for (const effect of await overAmong(this.#runtime, this.#dispatcher.outstanding))
      this.#dispatcher.cancelOne(effect, "the attempt is over: another process has cancelled or reported it");
    return ATTEMPTS_LOOKED_AT_EVERY_MS;
  }

  /**
   * Commits a result that comes from outside, whoever dispatched the attempt. False: that is over already, so it
   * changes nothing.
   */
  async complete(effect: Effect, result: EffectResult): Promise<boolean> {
    requireArgument("engine.complete", EFFECT, effect);
    requireArgument("engine.complete", RESULT, result);
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

  get outCount(): number {
    return this.#dispatcher.outCount;
  }

  get takenCount(): number {
    return this.#taken.size;
  }

  get #room(): Room {
    return this.#source.room(this.#dispatcher.held);
  }

  get #hasRoom(): boolean {
    return this.#room.actions > 0 && this.#dispatcher.held.actions.waiting < this.#options.concurrency;
  }

  /** `effects`: that have just ended here, or were left in the outbox. If actions hang, notices still go on. */
  #lookForRoom(effects: readonly Effect[]): void {
    if (!this.#isBehind || !this.#options.isRunning()) return;
    if (this.#hasRoom || (effects.some(isNotice) && this.#room.notices > 0)) this.#options.onRoom();
  }

  /**
   * What was delivered too often is set aside, and what was delivered often runs alone: its processes may have ended
   * because of it.
   */
  #beginDelivered(delivered: ClaimedEffect): void {
    const { id, deliveries } = delivered;
    if (this.#taken.has(id)) return;
    const effect = decodeEffect(delivered);
    if (deliveries > DELIVERIES_MAX) void this.#setAside(id, deliveries - 1);
    else if (isNotice(effect) && this.#isFullOfNotices) this.#giveBack(id, NOTICE_AGAIN_AFTER_MS);
    else if (deliveries >= SUSPECT_DELIVERIES && this.#suspect !== null) this.#giveBack(id, SUSPECT_AGAIN_AFTER_MS);
    else {
      if (deliveries >= SUSPECT_DELIVERIES) this.#suspect = id;
      const { heldBy } = delivered;
      this.#begin(effect, { earlier: deliveries > 1 ? { heldBy } : null });
    }
  }

  /** Of notices whose target hangs, no more are held here than soon begin: actions come by. */
  get #isFullOfNotices(): boolean {
    return this.#dispatcher.held.notices.waiting >= this.#source.aheadCount;
  }

  async #setAside(id: string, deliveries: number): Promise<void> {
    const { store, owner } = this.#runtime;
    const aside = await store.outbox.setAside({ owner, effectIds: [id] }).catch(() => []);
    if (aside.length === 0) return;
    const what = `effect ${id} was delivered ${deliveries} times and no result came, so it is set aside: \`becalm dead-letters\` shows and resumes it`;
    this.#options.faults.report(`set aside ${id}`, what, new Error(what));
  }

  /** Who cannot be told now finds it when the claim has run out. */
  #giveBack(id: string, delayMs: number): void {
    const { store, owner } = this.#runtime;
    void store.outbox.giveBack({ owner, effectIds: [id], delayMs }).catch(() => {});
  }

  #begin(effect: Effect, { committed, earlier = null }: Known): void {
    if (this.#taken.has(effect.id)) return;
    this.#taken.add(effect.id);
    this.#performing += 1;
    this.#dispatcher.dispatch(effect, committed ?? null, earlier);
  }

  #ended(effect: Effect, outcome: EffectOutcome): void {
    // A result that came without having been dispatched here, or after it was postponed.
    if (this.#postponed.delete(effect.id) || !this.#taken.has(effect.id)) {
      this.#taken.add(effect.id);
      this.#performing += 1;
    }
    if (outcome.kind === "completed") this.#report(effect, outcome.envelope);
    else if (outcome.kind === "interrupted") void this.#noteInterrupted(effect, outcome);
    else this.#leave(effect, outcome);
  }

  /** It is given back when that is written, or cannot be. */
  async #noteInterrupted(effect: Effect, outcome: EffectOutcome & { kind: "interrupted" }): Promise<void> {
    await this.#options.submit(outcome.envelope).catch((error: unknown) => {
      const what = `the audit does not say that effect ${effect.id} was interrupted: ${messageOf(error)}`;
      this.#options.faults.report(`note ${errorCode(error)}`, what, error);
    });
    this.#performed(effect, { isKept: true });
  }

  /** The effect stays in the outbox. Once the process stops, what was left or paused is given back. */
  #leave(effect: Effect, outcome: Exclude<EffectOutcome, { readonly kind: "completed" | "interrupted" }>): void {
    const isRunning = this.#options.isRunning();
    if (outcome.kind === "failed") this.#reportLeft(effect, outcome.error);
    if (outcome.kind === "postponed") this.#postponed.add(effect.id);
    else if (isRunning) this.#giveBack(effect.id, LEFT_AGAIN_AFTER_MS);
    if (outcome.kind === "paused" && isRunning) this.#paused.add(effect.id);
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
    if (this.#suspect === effect.id) this.#suspect = null;
    this.#performing -= 1;
    if (this.#performing === 0) for (const resolve of this.#onPerformed.splice(0)) resolve();
    this.#lookForRoom([effect]);
  }
}
