/**
 * Virtual time: what `becalm run` does with the lines of a file. Sequential and deterministic: nothing of a line starts
 * before the line before it is settled, and nothing depends on how long anything really takes.
 *
 * V1 a line at time T: first the timers due before T, each with its effects; then its alerts; then the effects that are
 * outstanding.
 * V2 an effect takes no virtual time: its result is dated as the effect. Results are applied in the order of emission.
 * V3 an effect that a crash left behind waits for its own line: its time, turn and order say which that is
 * (instance/effect.ts). Groups do not see each other, so different groups of one line may be committed at once without
 * anybody noticing.
 */

import type { OpenEffectPort } from "../effects/effect-port.ts";
import type { Decision } from "../instance/decide.ts";
import { compareEffects, decodeEffect, type Effect } from "../instance/effect.ts";
import { LEASE_TIMER } from "../instance/lease-timer.ts";
import type { Receipt } from "../model/receipt.ts";
import type { Envelope, EnvelopeResult } from "../runtime/commit/batch.ts";
import { type RoutedAlert, routeAlerts } from "../runtime/inbox/routed-alerts.ts";
import type { BatchRuntime, CommitListener, Driver, Runtime } from "../runtime/runtime.ts";
import { brakesOf } from "../runtime/stops/brake-duties.ts";
import { hasBrakes } from "../runtime/stops/brakes.ts";
import { PauseService } from "../runtime/stops/pause-service.ts";
import { EffectDispatcher, type EffectOutcome } from "../runtime/workers/effect-dispatcher.ts";
import { compareRows, envelopeOf } from "../runtime/workers/timers.ts";
import type { TimerRow } from "../stores/store.ts";
import { commitByGroup } from "./commit-groups.ts";
import { repeatedReceipts } from "./repeated-receipts.ts";

/** Turn of timers and of what people send: after every line of the same time. */
export const LAST_TURN = Number.MAX_SAFE_INTEGER;

/** Timers that are looked through at once for those that are not leases. */
const TIMER_PAGE_COUNT = 256;

export type LineOutcome = {
  /** Instances that the line's alerts made or belong to, in order. */
  readonly ids: readonly string[];
  readonly created: number;
  readonly duplicates: number;
  readonly unmatched: number;
  /** Alerts that came as late words. */
  readonly late: number;
};

const NO_RESULTS: ReadonlyMap<number, EnvelopeResult> = new Map();

type Position = { readonly atMs: number; readonly turn: number };

export type VirtualOptions = {
  readonly effects: OpenEffectPort;
  /** Attempts at once. */
  readonly concurrency: number;
  readonly onCommit: readonly CommitListener[];
  /**
   * The store is in this process, so looking costs nothing: receipts that change nothing are passed over by their
   * records.
   */
  readonly isInMemory?: boolean;
};

export class VirtualRun implements Driver {
  readonly #runtime: BatchRuntime;
  readonly #dispatcher: EffectDispatcher;
  readonly #concurrency: number;
  readonly #isInMemory: boolean;
  /** Effects that are committed and have not been dispatched. */
  #outstanding: Effect[] = [];
  /** Who waits for the outcome of an effect. */
  readonly #waiting = new Map<string, (outcome: EffectOutcome) => void>();
  readonly #quarantinedOwners = new Set<string>();
  #last: Position = { atMs: 0, turn: 0 };
  #highestMs: number;
  /** Attempts that a pause, or a brake in their own step, kept from beginning. */
  #kept: Effect[] = [];
  readonly #pauses: PauseService;
  /** A pause may hold somebody about whom nobody was asked. */
  #mayHold = true;
  /** Up to here all leases of the lane of people's timers were passed over. */
  #passedMs = 0;

  constructor(runtime: Runtime, { effects, concurrency, onCommit, isInMemory = false }: VirtualOptions) {
    this.#runtime = {
      ...runtime,
      onCommit: [(decision) => this.committed(decision), ...onCommit],
      // One run at a time works on a namespace, so there is nobody to keep the effects from.
      effectClaimMs: () => null,
      followBrakes: brakesOf(runtime),
    };
    this.#dispatcher = new EffectDispatcher(runtime, effects, {
      concurrency,
      dateOf: ({ atMs }) => atMs,
      onOutcome: ({ id }, outcome) => this.#waiting.get(id)?.(outcome),
    });
    this.#pauses = new PauseService(runtime, { submit: (envelopes) => this.submit(envelopes) }, () => this.#highestMs);
    this.#concurrency = concurrency;
    this.#isInMemory = isInMemory;
    this.#highestMs = runtime.highestTimeMs ?? 0;
  }

  /** What a commit emitted is outstanding from now on. */
  committed({ effects, entries }: Decision): void {
    this.#outstanding.push(...effects);
    this.#mayHold ||= entries.some(({ after }) => after.snapshot.context.paused);
  }

  /** Commits commands of any groups, dated as they say: what a person or a program sends. */
  submit(envelopes: readonly Envelope[]): Promise<readonly EnvelopeResult[]> {
    return this.#commit(envelopes, LAST_TURN);
  }

  /** Finds what an earlier run left in the outbox: all of it, for a line may have tens of thousands of alerts. */
  async recover(): Promise<number> {
    const stored = await this.#runtime.store.listEffects({ limit: Number.MAX_SAFE_INTEGER });
    this.#outstanding = stored.map(decodeEffect);
    return this.#outstanding.length;
  }

  /** Takes one line. `atMs` is never below that of the line before. */
  async line(receipts: readonly Receipt[], atMs: number): Promise<LineOutcome> {
    const position = { atMs, turn: atMs === this.#last.atMs ? this.#last.turn + 1 : 0 };
    this.#last = position;
    await this.#runUntil(position);
    await this.#advance(atMs);
    const { turn } = position;
    const { routed, unmatched, unreadable } = await routeAlerts(this.#runtime, receipts, { atMs, turn });
    for (const error of unreadable.values()) throw error;
    const results = await this.#commitRouted(routed, turn);
    // A run that goes on without one of its alerts would say something else than an engine does.
    for (const result of results)
      if (result.outcome === "quarantined" && result.error.code === "BECALM_FINGERPRINT_TAKEN") throw result.error;
    await this.#settle((effect) => comparePositions(effect, position) <= 0);
    const late = new Set<number>();
    for (const [index, { outcome }] of results.entries())
      if (outcome === "late_word") late.add((routed[index] as RoutedAlert).alert);
    const count = (outcome: EnvelopeResult["outcome"]) => results.filter((result) => result.outcome === outcome).length;
    return {
      ids: results.flatMap((result) => result.instance?.id ?? result.id ?? []),
      unmatched: unmatched.length,
      created: count("created"),
      duplicates: count("duplicate"),
      late: late.size,
    };
  }

  /** How far time has come. */
  get nowMs(): number {
    return this.#highestMs;
  }

  /** Fires what is due until then, and at it. */
  async advanceTo(atMs: number): Promise<void> {
    await this.#runUntil({ atMs: atMs + 1, turn: 0 });
    if (atMs > this.#last.atMs) this.#last = { atMs, turn: 0 };
    await this.#advance(atMs);
  }

  /** An episode of an earlier version of a policy may have ended with an alert before it in the line. */
  async #commitRouted(routed: readonly RoutedAlert[], turn: number): Promise<readonly EnvelopeResult[]> {
    // Under a brake it matters which group's batch is first, which repeated receipts say too.
    const isPassing = this.#isInMemory && !hasBrakes(this.#runtime.inForce);
    const repeated = isPassing ? await repeatedReceipts(this.#runtime, routed, turn) : NO_RESULTS;
    const envelopes = routed.filter((_, at) => !repeated.has(at)).map(({ envelope }) => envelope);
    const committed = (await this.#commit(envelopes, turn)).values();
    const results = routed.map((_, at) => repeated.get(at) ?? (committed.next().value as EnvelopeResult));
    for (const [index, { fallback }] of routed.entries()) {
      if (fallback === null || results[index]?.outcome !== "elsewhere") continue;
      const [result] = await this.#commit([fallback], turn);
      results[index] = result as EnvelopeResult;
    }
    return results;
  }

  /**
   * After the last line: time runs on until only approvals are pending. `isStopped`, asked before each timer, leaves
   * the rest to the next run.
   */
  async finish({ isStopped = () => false }: { isStopped?: () => boolean } = {}): Promise<void> {
    await this.#settle(() => true);
    while (!isStopped()) {
      const row = await this.#earliestOfWork();
      if (row === null) break;
      await this.#fire(row);
    }
    // A store that has lost its data says so.
    await this.#runtime.store.advanceTime(this.#highestMs);
  }

  /** Runs everything that is outstanding, at its own time: what `--run` means after an approval. */
  async settleAll(): Promise<void> {
    await this.#settle(() => true);
  }

  async #runUntil(position: Position): Promise<void> {
    await this.#settle((effect) => comparePositions(effect, position) < 0);
    for (;;) {
      const row = await this.#earliest(position.atMs - 1);
      if (row === null) return;
      await this.#fire(row);
    }
  }

  async #fire(row: TimerRow): Promise<void> {
    const due = await envelopeOf(this.#runtime, row, { atMs: row.dueAtMs });
    if (due === null) {
      this.#quarantinedOwners.add(row.owner);
      return;
    }
    await this.#advance(row.dueAtMs);
    await this.#commit([due], LAST_TURN);
    await this.#settle((effect) => comparePositions(effect, { atMs: row.dueAtMs, turn: LAST_TURN }) <= 0);
  }

  /** The timer that fires next: by due time, owner id, name. */
  async #earliest(untilMs: number): Promise<TimerRow | null> {
    const limit = this.#quarantinedOwners.size + 1;
    const lanes = await Promise.all(
      (["work", "approval"] as const).map((lane) => this.#runtime.store.timers({ lane, untilMs, limit })),
    );
    const rows = lanes.flat().filter((row) => !this.#quarantinedOwners.has(row.owner));
    return rows.reduce<TimerRow | null>(
      (first, row) => (first === null || compareRows(row, first) < 0 ? row : first),
      null,
    );
  }

  /**
   * After the last line: the next timer of the work, or one of people's that is due before it. null: none of the work
   * is left. No lease runs out then: that a file ends says nothing of its alerts.
   */
  async #earliestOfWork(): Promise<TimerRow | null> {
    const quarantined = this.#quarantinedOwners;
    const limit = quarantined.size + 1;
    const work = await this.#runtime.store.timers({ lane: "work", untilMs: Number.MAX_SAFE_INTEGER, limit });
    const next = work.find((row) => !quarantined.has(row.owner));
    if (next === undefined) return null;
    for (let pageCount = TIMER_PAGE_COUNT; ; ) {
      const page = { fromMs: this.#passedMs, untilMs: next.dueAtMs, limit: pageCount };
      const rows = await this.#runtime.store.timers({ lane: "approval", ...page });
      const due = rows.find((row) => row.name !== LEASE_TIMER && !quarantined.has(row.owner));
      if (due !== undefined) return compareRows(due, next) < 0 ? due : next;
      if (rows.length < pageCount) break;
      const lastMs = rows.at(-1)?.dueAtMs ?? next.dueAtMs;
      if (lastMs === this.#passedMs) pageCount *= 2;
      this.#passedMs = lastMs;
    }
    this.#passedMs = next.dueAtMs;
    return next;
  }

  async #advance(atMs: number): Promise<void> {
    if (atMs <= this.#highestMs) return;
    this.#highestMs = atMs;
    await this.#runtime.store.advanceTime(atMs);
  }

  /**
   * Runs outstanding effects that `isDue` lets through, a round after the other, until none is left; at last the request
   * about what a pause has come to hold.
   */
  async #settle(isDue: (effect: Effect) => boolean): Promise<void> {
    this.#letGo();
    for (;;) {
      const round = this.#takeRound(isDue);
      if (round.length === 0 && !this.#mayHold) return;
      if (round.length === 0) {
        this.#mayHold = false;
        await this.#pauses.askWhenHeld();
      }
      for (let from = 0; from < round.length; from += this.#concurrency)
        await this.#perform(round.slice(from, from + this.#concurrency));
    }
  }

  /** Once no pause holds, what it kept begins: now, for its own time is over. */
  #letGo(): void {
    if (this.#kept.length === 0 || this.#runtime.stops.of(0).pauses.length > 0) return;
    this.#outstanding.push(...this.#kept.splice(0).map((effect) => ({ ...effect, atMs: this.#highestMs })));
  }

  /**
   * Takes the first round out of what is outstanding, in the order of emission. What its results emit comes after all
   * of it (compareEffects).
   */
  #takeRound(isDue: (effect: Effect) => boolean): Effect[] {
    const due = this.#outstanding.filter(isDue).sort(compareEffects);
    const first = due[0];
    if (first === undefined) return [];
    const round = due.filter((effect) => isSameRound(effect, first));
    const taken = new Set(round);
    this.#outstanding = this.#outstanding.filter((effect) => !taken.has(effect));
    return round;
  }

  /** Runs effects of one round beside each other, and commits their results in the order of emission. */
  async #perform(effects: readonly Effect[]): Promise<void> {
    const outcomes = await Promise.all(effects.map((effect) => this.#run(effect)));
    const envelopes = outcomes.flatMap((outcome, index) => {
      if (outcome.kind === "failed") throw outcome.error;
      if (outcome.kind === "paused") this.#kept.push(effects[index] as Effect);
      return outcome.kind === "completed" ? [outcome.envelope] : [];
    });
    await this.#commit(envelopes, effects[0]?.turn ?? 0);
  }

  async #run(effect: Effect): Promise<EffectOutcome> {
    const outcome = new Promise<EffectOutcome>((resolve) => this.#waiting.set(effect.id, resolve));
    this.#dispatcher.dispatch(effect);
    return outcome.finally(() => this.#waiting.delete(effect.id));
  }

  #commit(envelopes: readonly Envelope[], ordinal: number): Promise<EnvelopeResult[]> {
    return commitByGroup(this.#runtime, envelopes, ordinal);
  }
}

function comparePositions(effect: Position, position: Position): number {
  return effect.atMs - position.atMs || effect.turn - position.turn;
}

/** Effects of one round were emitted before any result of the round was applied. */
function isSameRound(a: Effect, b: Effect): boolean {
  return a.atMs === b.atMs && a.turn === b.turn && a.order.length === b.order.length;
}
