/**
 * Live time: the pumps that move what is due. Between them and the store nothing is kept that a crash could lose.
 *
 * Owns: when the store is polled, and what is under way in this process. Does not own: decisions (turn.ts), retries (the machine).
 * L1 a timer fires by its commit: firing it twice is harmless. L2 an effect that this process committed starts at once; one that a
 * crash left behind is found when its claim has run out. L3 a result is reported until the store takes it or the process stops; until
 * then the effect counts as taken, so it is neither begun again here nor given up to others.
 */
import type { Decision } from "../../instance/decide.ts";
import { decodeEffect, type Effect } from "../../instance/effect.ts";
import { timerChanges } from "../../instance/timer-changes.ts";
import { errorCode, messageOf } from "../../model/errors.ts";
import { SWEEP_INTERVAL_MS } from "../../model/limits.ts";
import type { TimerLane, TimerRow } from "../../stores/store.ts";
import type { Work } from "../commit/batch-read.ts";
import type { Mailboxes } from "../inbox/mailboxes.ts";
import { renewNamespace } from "../open-world.ts";
import type { World } from "../world.ts";
import type { EffectRunner, JustCommitted } from "./effect-runner.ts";
import { sweep } from "./retention.ts";
import { workOf } from "./timers.ts";

/** How long a claim on an effect lasts without being prolonged. */
export const EFFECT_LEASE_MS = 30_000;
export const CLAIMS_PROLONGED_EVERY_MS = 10_000;
const TIMERS_POLLED_EVERY_MS = 500;
const OUTBOX_POLLED_EVERY_MS = 500;
/** How long a store that has lost its data lacks what its namespace is known by. */
const NAMESPACE_RENEWED_EVERY_MS = 10_000;
const SWEPT_EVERY_MS_MIN = 60_000;
const SWEPT_EVERY_MS_MAX = 3_600_000;
/** After a fault of a pump. */
const PUMP_RETRY_MS = 500;
const PAGE_COUNT = 256;
const REPORT_RETRY_MS = 200;
/** What could not be read is tried again this often: somebody may have repaired it. */
const UNREADABLE_TRIED_EVERY_MS = SWEEP_INTERVAL_MS;

export type LiveOptions = { readonly retentionMs: number; readonly onFault: (what: string, error: unknown) => void };

export class Live {
  private readonly world: World;
  private readonly mailboxes: Mailboxes;
  private readonly runner: EffectRunner;
  private readonly options: LiveOptions;
  private readonly cancels = new Map<string, () => void>();
  private readonly underway = new Set<Promise<void>>();
  /** Effects that are run or reported: a number, because a storm has thousands. */
  private performing = 0;
  private onPerformed = () => {};
  /** Effects that this process has taken and not yet reported. */
  private readonly taken = new Set<string>();
  /** Instances and groups that cannot be read: their timers wait. */
  private readonly unreadable = new Set<string>();
  private timersDueAtMs = Number.POSITIVE_INFINITY;
  private isRunning = false;

  constructor(world: World, parts: { mailboxes: Mailboxes; runner: EffectRunner; options: LiveOptions }) {
    this.world = world;
    this.mailboxes = parts.mailboxes;
    this.runner = parts.runner;
    this.options = parts.options;
  }

  get started(): boolean {
    return this.isRunning;
  }

  start(): void {
    this.isRunning = true;
    this.timersDueAtMs = this.world.clock.now();
    this.repeat("timers", 0, () => this.fireTimers());
    this.repeat("outbox", 0, () => this.takeEffects());
    this.repeat("unreadable", UNREADABLE_TRIED_EVERY_MS, async () => this.forgetUnreadable());
    this.repeat("claims", CLAIMS_PROLONGED_EVERY_MS, () => this.prolongClaims());
    this.repeat("namespace", NAMESPACE_RENEWED_EVERY_MS, () => this.renew());
    this.repeat("retention", this.sweptEveryMs, () => this.forget());
  }

  /**
   * Stops polling, begins nothing more and waits until what is under way has been reported; after `drainMs` attempts are aborted, and
   * reported as failed. Attempts that had not begun go back to the outbox, for whoever comes first.
   */
  async stop(drainMs: number): Promise<void> {
    this.isRunning = false;
    for (const cancel of this.cancels.values()) cancel();
    this.cancels.clear();
    this.runner.close();
    const cancelAbort = this.world.clock.schedule(drainMs, () => this.runner.abortAll("the engine stops"));
    await this.whenDrained();
    cancelAbort();
    await this.giveBack();
  }

  /** Told of every commit: effects start, a nearer timer is scheduled, cancelled attempts are aborted. */
  committed(decision: Decision): void {
    for (const { instance, entry } of decision.entries) {
      if (entry.event.type === "cancel") this.runner.abort(instance, "the instance was cancelled");
    }
    if (!this.isRunning) return;
    this.beginAll(decision);
    this.expectTimers(decision);
  }

  private beginAll({ effects, instances }: Decision): void {
    if (effects.length === 0) return;
    const atMs = this.world.clock.now();
    const committed = new Map<string, JustCommitted>();
    for (const { instance, birth } of instances) committed.set(instance.id, { instance, birth, atMs });
    for (const effect of effects) this.begin(effect, committed.get(effect.instanceId));
  }

  private async giveBack(): Promise<void> {
    const effectIds = [...this.taken];
    if (effectIds.length === 0) return;
    try {
      await this.world.store.releaseClaims({ owner: this.world.owner, effectIds });
    } catch (error) {
      this.options.onFault(
        `the claims on ${effectIds.length} effects run out by themselves: ${messageOf(error)}`,
        error,
      );
    }
  }

  private async whenDrained(): Promise<void> {
    while (this.isBusy) await Promise.all([this.whenPerformed(), ...this.underway]);
    await this.mailboxes.idle();
    if (this.isBusy) await this.whenDrained();
  }

  private get isBusy(): boolean {
    return this.underway.size > 0 || this.performing > 0;
  }

  /** Resolves when no effect is performed here. */
  private whenPerformed(): Promise<void> {
    if (this.performing === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.onPerformed = resolve;
    });
  }

  /** Calls `work` after `delayMs`, and again after what it answers. A fault is told and does not end the pump. */
  private repeat(name: string, delayMs: number, work: () => Promise<number>): void {
    const run = () => {
      this.cancels.delete(name);
      const turn = work()
        .catch((error: unknown) => {
          this.options.onFault(`${name}: ${messageOf(error)}`, error);
          return PUMP_RETRY_MS;
        })
        .then((nextMs) => {
          if (this.isRunning) this.cancels.set(name, this.world.clock.schedule(nextMs, run));
        });
      this.track(turn);
    };
    this.cancels.set(name, this.world.clock.schedule(delayMs, run));
  }

  private track(promise: Promise<void>): void {
    const tracked = promise.finally(() => this.underway.delete(tracked));
    this.underway.add(tracked);
  }

  private expectTimers(decision: Decision): void {
    for (const changed of decision.instances) {
      for (const [, timer] of timerChanges(changed).armed) this.expectTimer(timer.dueAtMs);
    }
    for (const { timer } of decision.groupTimersArmed) this.expectTimer(timer.dueAtMs);
  }

  /** A timer that is due before the next poll brings the poll forward. */
  private expectTimer(dueAtMs: number): void {
    if (dueAtMs >= this.timersDueAtMs) return;
    this.timersDueAtMs = dueAtMs;
    const cancel = this.cancels.get("timers");
    if (cancel === undefined) return;
    cancel();
    this.repeat("timers", Math.max(dueAtMs - this.world.clock.now(), 0), () => this.fireTimers());
  }

  private async fireTimers(): Promise<number> {
    const fired = await Promise.all([this.fireLane("work"), this.fireLane("approval")]);
    const delayMs = Math.max(...fired) >= PAGE_COUNT ? 0 : TIMERS_POLLED_EVERY_MS;
    this.timersDueAtMs = this.world.clock.now() + delayMs;
    return delayMs;
  }

  private async fireLane(lane: TimerLane): Promise<number> {
    const nowMs = this.world.clock.now();
    const rows = await this.world.store.timers({ lane, untilMs: nowMs, limit: PAGE_COUNT + this.unreadable.size });
    const due = rows.filter((row) => !this.unreadable.has(row.owner));
    await Promise.all(due.map((row) => this.fire(row, nowMs)));
    return due.length;
  }

  private async fire(row: TimerRow, nowMs: number): Promise<void> {
    const due = await workOf(this.world, row, nowMs);
    if (due === null) {
      this.unreadable.add(row.owner);
      return;
    }
    try {
      await this.mailboxes.submit(due.address, [due.work]);
    } catch (error) {
      if (errorCode(error) === "BECALM_GROUP_UNREADABLE") this.unreadable.add(row.owner);
      // The row stays due, and the other rows of the page are not its business.
      this.options.onFault(`timer ${row.name} of ${row.owner} waits: ${messageOf(error)}`, error);
    }
  }

  private forgetUnreadable(): number {
    this.unreadable.clear();
    return UNREADABLE_TRIED_EVERY_MS;
  }

  private async takeEffects(): Promise<number> {
    // Who has a page of effects already takes no more: others may be idle.
    const limit = PAGE_COUNT - this.taken.size;
    if (limit <= 0) return OUTBOX_POLLED_EVERY_MS;
    const { owner } = this.world;
    const stored = await this.world.store.claimEffects({ owner, leaseMs: EFFECT_LEASE_MS, limit });
    for (const effect of stored.map(decodeEffect)) this.begin(effect);
    return stored.length >= limit ? 0 : OUTBOX_POLLED_EVERY_MS;
  }

  private begin(effect: Effect, committed?: JustCommitted): void {
    if (this.taken.has(effect.id)) return;
    this.taken.add(effect.id);
    this.performing += 1;
    void this.perform(effect, committed ?? null);
  }

  private async perform(effect: Effect, committed: JustCommitted | null): Promise<void> {
    try {
      const work = await this.runner.run(effect, () => this.world.clock.now(), committed);
      if (work === null && !this.isRunning) return;
      if (work !== null) await this.report(effect, work);
      this.taken.delete(effect.id);
    } catch (error) {
      this.taken.delete(effect.id);
      this.options.onFault(`effect ${effect.id} stays in the outbox: ${messageOf(error)}`, error);
    } finally {
      this.performing -= 1;
      if (this.performing === 0) this.onPerformed();
    }
  }

  private async report(effect: Effect, work: Work): Promise<void> {
    for (;;) {
      try {
        await this.mailboxes.submit({ partition: effect.partition, groupId: effect.groupId }, [work]);
        return;
      } catch (error) {
        if (!this.isRunning) throw error;
        this.options.onFault(`the result of effect ${effect.id} could not be written yet: ${messageOf(error)}`, error);
        await this.world.pause(REPORT_RETRY_MS);
      }
    }
  }

  private async prolongClaims(): Promise<number> {
    const effectIds = [...this.taken];
    if (effectIds.length > 0)
      await this.world.store.extendClaims({ owner: this.world.owner, leaseMs: EFFECT_LEASE_MS, effectIds });
    return CLAIMS_PROLONGED_EVERY_MS;
  }

  private async renew(): Promise<number> {
    await renewNamespace(this.world);
    return NAMESPACE_RENEWED_EVERY_MS;
  }

  private async forget(): Promise<number> {
    await sweep(this.world, this.options.retentionMs);
    return this.sweptEveryMs;
  }

  private get sweptEveryMs(): number {
    return Math.min(Math.max(this.options.retentionMs / 16, SWEPT_EVERY_MS_MIN), SWEPT_EVERY_MS_MAX);
  }
}
