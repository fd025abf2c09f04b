/**
 * Virtual time: what `becalm run` does with the lines of a file. Sequential and deterministic: nothing of a line starts before the line
 * before it is settled, and nothing depends on how long anything really takes.
 *
 * V1 a line at time T: first the timers due before T, each with its effects; then its alerts; then the effects that are outstanding.
 * V2 an effect takes no virtual time: its result is dated as the effect. Results are applied in the order of emission.
 * V3 an effect that a crash left behind waits for its own line: its time, turn and order say which that is (instance/effect.ts).
 * Groups do not see each other, so different groups of one line may be committed at once without anybody noticing.
 */

import { compareEffects, decodeEffect, type Effect } from "../instance/effect.ts";
import type { Alert } from "../model/alert.ts";
import { compareCodePoints } from "../model/utf8.ts";
import type { Work } from "../runtime/commit/batch-read.ts";
import { type Address, mailboxKey } from "../runtime/commit/conflicts.ts";
import { takeTurn, type WorkResult } from "../runtime/commit/turn.ts";
import { type Intake, intakesOf } from "../runtime/inbox/intake.ts";
import { batchesOf } from "../runtime/inbox/mailboxes.ts";
import type { EffectRunner } from "../runtime/workers/effect-runner.ts";
import { workOf } from "../runtime/workers/timers.ts";
import type { World } from "../runtime/world.ts";
import type { TimerRow } from "../stores/store.ts";

/** Turn of timers and of what people send: after every line of the same time. */
export const LAST_TURN = Number.MAX_SAFE_INTEGER;

/** Groups whose batches are committed at once. */
const GROUPS_AT_ONCE = 64;

export type LineOutcome = {
  readonly intakes: readonly Intake[];
  readonly created: number;
  readonly duplicates: number;
  readonly unmatched: number;
};

type Addressed = { readonly address: Address; readonly work: Work };
type Position = { readonly atMs: number; readonly turn: number };

export class VirtualRun {
  private readonly world: World;
  private readonly runner: EffectRunner;
  private readonly concurrency: number;
  private pending: Effect[] = [];
  private readonly quarantinedOwners = new Set<string>();
  private last: Position = { atMs: 0, turn: 0 };
  private highestMs: number;

  constructor(world: World, runner: EffectRunner, options: { concurrency: number; highestTimeMs: number }) {
    this.world = world;
    this.runner = runner;
    this.concurrency = options.concurrency;
    this.highestMs = options.highestTimeMs;
  }

  /** Told of every commit: what it emitted is outstanding from now on. */
  emitted(effects: readonly Effect[]): void {
    this.pending.push(...effects);
  }

  /** Finds what an earlier run left in the outbox: all of it, for a line may have tens of thousands of alerts. */
  async recover(): Promise<number> {
    const stored = await this.world.store.listEffects({ limit: Number.MAX_SAFE_INTEGER });
    this.pending = stored.map(decodeEffect);
    return this.pending.length;
  }

  /** Takes one line. `atMs` is never below that of the line before. */
  async line(alerts: readonly Alert[], atMs: number): Promise<LineOutcome> {
    const position = { atMs, turn: atMs === this.last.atMs ? this.last.turn + 1 : 0 };
    this.last = position;
    await this.runUntil(position);
    await this.advance(atMs);
    const { intakes, unmatched, unreadable } = await intakesOf(this.world, alerts, { atMs });
    for (const error of unreadable.values()) throw error;
    const works = intakes.flatMap(({ address, work }) => (work === null ? [] : [{ address, work }]));
    const results = await this.apply(works, position.turn);
    await this.settle((effect) => comparePositions(effect, position) <= 0);
    const count = (outcome: WorkResult["outcome"]) => results.filter((result) => result.outcome === outcome).length;
    return {
      intakes,
      unmatched: unmatched.length,
      created: count("created"),
      duplicates: count("duplicate") + intakes.length - works.length,
    };
  }

  /** After the last line: time runs on until only approvals are pending. `isStopped`, asked before each timer, leaves the rest to the next run. */
  async finish({ isStopped = () => false }: { isStopped?: () => boolean } = {}): Promise<void> {
    await this.settle(() => true);
    while (!isStopped()) {
      const row = await this.earliest(Number.MAX_SAFE_INTEGER);
      if (row === null || !(await this.hasWork())) break;
      await this.fire(row);
    }
    // A store that has lost its data says so.
    await this.world.store.advanceTime(this.highestMs);
  }

  /** Runs everything that is outstanding, at its own time: what `--run` means after an approval. */
  async settleAll(): Promise<void> {
    await this.settle(() => true);
  }

  /** Commits works of any groups, dated as they say: what a person or a program sends. */
  async send(works: readonly Addressed[]): Promise<WorkResult[]> {
    return this.apply(works, LAST_TURN);
  }

  private async runUntil(position: Position): Promise<void> {
    await this.settle((effect) => comparePositions(effect, position) < 0);
    for (;;) {
      const row = await this.earliest(position.atMs - 1);
      if (row === null) return;
      await this.fire(row);
    }
  }

  private async fire(row: TimerRow): Promise<void> {
    const due = await workOf(this.world, row, row.dueAtMs);
    if (due === null) {
      this.quarantinedOwners.add(row.owner);
      return;
    }
    await this.advance(row.dueAtMs);
    await this.apply([due], LAST_TURN);
    await this.settle((effect) => comparePositions(effect, { atMs: row.dueAtMs, turn: LAST_TURN }) <= 0);
  }

  /** The timer that fires next: by due time, owner id, name. */
  private async earliest(untilMs: number): Promise<TimerRow | null> {
    const limit = this.quarantinedOwners.size + 1;
    const lanes = await Promise.all(
      (["work", "approval"] as const).map((lane) => this.world.store.timers({ lane, untilMs, limit })),
    );
    const rows = lanes.flat().filter((row) => !this.quarantinedOwners.has(row.owner));
    return rows.reduce<TimerRow | null>(
      (first, row) => (first === null || compareRows(row, first) < 0 ? row : first),
      null,
    );
  }

  private async hasWork(): Promise<boolean> {
    const rows = await this.world.store.timers({
      lane: "work",
      untilMs: Number.MAX_SAFE_INTEGER,
      limit: this.quarantinedOwners.size + 1,
    });
    return rows.some((row) => !this.quarantinedOwners.has(row.owner));
  }

  private async advance(atMs: number): Promise<void> {
    if (atMs <= this.highestMs) return;
    this.highestMs = atMs;
    await this.world.store.advanceTime(atMs);
  }

  /** Runs outstanding effects that `isDue` lets through, a round after the other, until none is left. */
  private async settle(isDue: (effect: Effect) => boolean): Promise<void> {
    for (;;) {
      const round = this.takeRound(isDue);
      if (round.length === 0) return;
      for (let from = 0; from < round.length; from += this.concurrency)
        await this.perform(round.slice(from, from + this.concurrency));
    }
  }

  /** Takes the first round out of what is outstanding, in the order of emission. What its results emit comes after all of it (compareEffects). */
  private takeRound(isDue: (effect: Effect) => boolean): Effect[] {
    const due = this.pending.filter(isDue).sort(compareEffects);
    const first = due[0];
    if (first === undefined) return [];
    const round = due.filter((effect) => isSameRound(effect, first));
    const taken = new Set(round);
    this.pending = this.pending.filter((effect) => !taken.has(effect));
    return round;
  }

  /** Runs effects of one round beside each other, and applies their results in the order of emission. */
  private async perform(effects: readonly Effect[]): Promise<void> {
    const reports = await Promise.all(effects.map((effect) => this.runner.run(effect, () => effect.atMs)));
    const works = effects.flatMap(({ partition, groupId }, index): Addressed[] => {
      const work = reports[index];
      return work == null ? [] : [{ address: { partition, groupId }, work }];
    });
    await this.apply(works, effects[0]?.turn ?? 0);
  }

  /** Commits works, in order within each group, groups beside each other. Results stand in the order of the works. */
  private async apply(works: readonly Addressed[], turn: number): Promise<WorkResult[]> {
    const results = new Map<Work, WorkResult>();
    const groups = new Map<string, Addressed[]>();
    for (const work of works) {
      const key = mailboxKey(work.address);
      const group = groups.get(key);
      if (group === undefined) groups.set(key, [work]);
      else group.push(work);
    }
    const next = groups.values();
    const worker = async () => {
      for (const group of next) await this.applyGroup(group, { turn, results });
    };
    await Promise.all(Array.from({ length: Math.min(GROUPS_AT_ONCE, groups.size) }, worker));
    return works.map(({ work }) => results.get(work) as WorkResult);
  }

  private async applyGroup(
    group: readonly Addressed[],
    { turn, results }: { turn: number; results: Map<Work, WorkResult> },
  ): Promise<void> {
    for (const batch of batchesOf(group)) {
      const address = batch[0]?.address as Address;
      const taken = await takeTurn(this.world, { address, works: batch.map(({ work }) => work) }, { turn });
      for (const [index, { work }] of batch.entries()) results.set(work, taken[index] as WorkResult);
    }
  }
}

function comparePositions(effect: Position, position: Position): number {
  return effect.atMs - position.atMs || effect.turn - position.turn;
}

/** Effects of one round were emitted before any result of the round was applied. */
function isSameRound(a: Effect, b: Effect): boolean {
  return a.atMs === b.atMs && a.turn === b.turn && a.order.length === b.order.length;
}

function compareRows(a: TimerRow, b: TimerRow): number {
  return (
    a.dueAtMs - b.dueAtMs || compareCodePoints(a.owner, b.owner) || compareCodePoints(a.name, b.name) || a.arm - b.arm
  );
}
