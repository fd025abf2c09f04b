/**
 * Detection made durable: rows of a source in, alerts with sequence numbers out, and a restart goes on where the last
 * commit ended.
 *
 * Owns: the position in each source, the state of each strategy group, the version that both stand at.
 *
 * N1. State is changed only by a commit that was applied, or by loading what another process committed.
 * N2. Rows are cut into batches at multiples of BATCH_ROWS of their source, so two processes cut alike; and where they
 * are cut changes
 *     neither alerts nor their order (detection-batch.ts), so a batch that is cut early for want of rows does no harm.
 * N3. After a conflict everything is loaded anew, and only the rows behind the stored position are decided again.
 */

import type { RecordRow } from "../formats/record-row.ts";
import { BecalmError } from "../model/errors.ts";
import type { DetectionAudit } from "./core/advance.ts";
import type { DetectedAlert } from "./core/detected-alert.ts";
import { applyChanges, emptyGroupState, type GroupState } from "./core/group-state.ts";
import { createRecordRouter, type RecordRouter } from "./core/router.ts";
import { addSeenRecords, groupStatesOf, type PieceWrites } from "./core/state-pieces.ts";
import type { Strategy } from "./core/strategy.ts";
import { applyEdits, type StrategyEdit } from "./core/strategy-edits.ts";
import { type Enrichment, groupStrategies, type StrategyGroup } from "./core/strategy-group.ts";
import { type BatchInput, type DetectionBatch, decideBatch, type RefusedRow } from "./detection-batch.ts";
import { batchCommit } from "./detection-commit.ts";
import type { DetectionStore } from "./detection-store.ts";
import { type LevelCheckpoint, levelCheckpoints } from "./level-checkpoints.ts";
import { SourceBatch, type SourceRows } from "./source-batch.ts";
import {
  AT_START,
  addCounts,
  NO_COUNTS,
  type SourceCounts,
  type SourcePosition,
  sourcePiece,
  sourcePositionsOf,
} from "./source-position.ts";
import { advancedPositions, digestOf } from "./source-progress.ts";

/** Rows of one commit. A commit costs a round trip, and what is lost by a crash is decided again. */
export const BATCH_ROWS = 2_000;

/** Alerts, and audit events, that a stream keeps if nobody says otherwise. */
export const KEEP_COUNT_DEFAULT = 50_000;

const BACKOFF_MS_MIN = 1;
const BACKOFF_MS_MAX = 500;
const CONFLICT_COUNT_MAX = 1_000;

/** What detection needs of its process. */
export type DetectionWorld = {
  readonly store: DetectionStore;
  readonly now: () => number;
  readonly commitId: () => string;
  readonly pause: (ms: number) => Promise<void>;
  readonly random: () => number;
  /** Alerts, and audit events, that the stream keeps. */
  readonly keepCount?: number;
  /** Labels that are added to those of a series' alerts. */
  readonly enrich?: Enrichment;
};

/** What a process may watch. Each is told after its commit. */
export type DetectionListener = {
  /** Alerts that this process committed; `firstSeq` is the number of the first. */
  readonly onAlerts?: (alerts: readonly DetectedAlert[], firstSeq: number) => Promise<void> | void;
  readonly onAuditEvent?: (event: DetectionAudit, group: StrategyGroup) => void;
  readonly onRefused?: (source: string, row: RefusedRow) => void;
  readonly onProgress?: (source: string, rows: number) => void;
};

export type { LevelCheckpoint } from "./level-checkpoints.ts";
export type { SourceRows } from "./source-batch.ts";

/** The number of the last alert that was reported. */
const TOLD_PIECE = "told";

const NO_PIECES: PieceWrites = { put: [], removed: [] };

/** Rows as they come. An empty list says that no more are there for now: what has come is decided at once. */
export type RowSource = AsyncIterable<readonly RecordRow[]> | Iterable<readonly RecordRow[]>;

export class Detection {
  readonly groups: readonly StrategyGroup[];
  readonly #world: DetectionWorld;
  readonly #listener: DetectionListener;
  readonly #route: RecordRouter;
  /** Written with the next commit. */
  #upgrade: PieceWrites = NO_PIECES;
  #version = 0;
  #alertCount = 0;
  #told = 0;
  #storedTold = 0;
  #states = new Map<string, GroupState>();
  #positions = new Map<string, SourcePosition>();
  /** When the clock of a group last went on by a record: epoch ms of this process. */
  readonly #clockMovedAtMs = new Map<string, number>();

  constructor(world: DetectionWorld, strategies: readonly Strategy[], listener: DetectionListener = {}) {
    this.groups = groupStrategies(strategies, world.enrich);
    this.#world = world;
    this.#listener = listener;
    this.#route = createRecordRouter(this.groups);
  }

  /** Loads what the last commit left. Comes before everything else, and again after a conflict. */
  async load(): Promise<void> {
    const stored = await this.#world.store.load(this.groups.map(({ key }) => key));
    const { states, skipUntil, upgrade } = groupStatesOf(stored.pieces);
    this.#states = new Map(states);
    this.#upgrade = upgrade;
    this.#positions = sourcePositionsOf(stored.pieces);
    this.#version = stored.version;
    this.#alertCount = stored.alertCount;
    this.#storedTold = Number(stored.pieces.get(TOLD_PIECE) ?? 0);
    this.#told = Math.max(this.#told, this.#storedTold);
    for (const { key } of this.groups) {
      const state = states.get(key) ?? emptyGroupState();
      addSeenRecords(state, stored.seen.get(key) ?? []);
      for (const [level, time] of skipUntil) state.skipUntil.set(level, time);
      this.#states.set(key, state);
    }
  }

  /** Number of alerts in the stream, as this process knows it. */
  get alertCount(): number {
    return this.#alertCount;
  }

  /** Number of the last alert that somebody reported, as stored. */
  get toldCount(): number {
    return this.#told;
  }

  /** Alerts up to this number have been reported; stored with the next commit. */
  told(seq: number): void {
    this.#told = Math.max(this.#told, seq);
  }

  /** How far a source was read. */
  position(source: string): SourcePosition {
    return this.#positions.get(source) ?? AT_START;
  }

  /** How many records came to each group. */
  received(): { readonly strategies: readonly string[]; readonly received: number }[] {
    return this.groups.map(({ key, strategies }) => ({
      strategies: strategies.map(({ name }) => name),
      received: (this.#states.get(key) as GroupState).head.counters.received,
    }));
  }

  /** How far each level of each series has looked. */
  checkpoints(): LevelCheckpoint[] {
    return this.groups.flatMap((group) => levelCheckpoints(group, this.#states.get(group.key) as GroupState));
  }

  /** Groups that had no record yet although the stream is not new. */
  newGroups(): StrategyGroup[] {
    if (this.#version === 0) return [];
    return this.groups.filter(({ key }) => this.#states.get(key)?.head.newestTime == null);
  }

  /**
   * Takes the rows of a source from its stored position on; the rows before are only counted. `isStopped` is asked
   * between commits. Throws BECALM_CONFLICT when the source begins otherwise than it did.
   */
  async take(source: string, rows: RowSource, isStopped: () => boolean = () => false): Promise<void> {
    const runs = async function* (): AsyncGenerator<SourceRows> {
      for await (const some of rows) yield { source, rows: some };
    };
    await this.takeMerged(runs(), isStopped);
  }

  /** The same for the rows of several sources in one order. An empty run: no more are there for now. */
  async takeMerged(runs: AsyncIterable<SourceRows>, isStopped: () => boolean = () => false): Promise<void> {
    const counts = new Map<string, number>();
    let count = 0;
    let batch = new SourceBatch();
    for await (const { source, rows } of runs) {
      for (const row of rows) {
        count += 1;
        const number = (counts.get(source) ?? 0) + 1;
        counts.set(source, number);
        if (number === 1) this.#checkFirst(source, row);
        if (number > this.position(source).rows) batch.add(source, number, row);
        if (count % BATCH_ROWS !== 0) continue;
        await this.#takeBatch(batch, counts);
        batch = new SourceBatch();
        if (isStopped()) return;
      }
      if (rows.length === 0) {
        await this.#takeBatch(batch, counts);
        batch = new SourceBatch();
      }
      if (isStopped()) break;
    }
    await this.#takeBatch(batch, counts);
  }

  /**
   * Takes rows that follow whatever was taken of a source, by this process or another one: their numbers come from the
   * commit. For those who send rows and keep no file of them; a row that was sent before is a duplicate by its record.
   * Gives what the rows were counted as.
   */
  async takeNext(source: string, rows: Iterable<RecordRow>): Promise<SourceCounts> {
    let counts = NO_COUNTS;
    for (const batch of SourceBatch.cut(source, rows, BATCH_ROWS)) {
      const decided = await this.#commitUntilApplied(source, () => this.#decide(batch.rows, {}), batch);
      if (decided !== null) counts = addCounts(counts, decided.counts);
    }
    return counts;
  }

  /** The end of all input: detects what still waits. Twice is harmless. Counted to `source`. */
  async flush(source: string): Promise<void> {
    await this.#commitUntilApplied(source, () => {
      const batch = this.#decide([], { flush: true });
      return batch.advances.length === 0 ? null : batch;
    });
  }

  /**
   * The clock of a live input that is silent: time goes on from the newest record, as this process's clock does. Only
   * groups that heard a record in this process, and whose data are about as old as the clock says, unless `isForced`.
   */
  async tick(source: string, isForced = false): Promise<void> {
    await this.#commitUntilApplied(source, () => {
      const batch = this.#decide([], { clockTimes: this.#liveTimes(isForced) });
      return batch.advances.some(({ step }) => step.changes.series.length > 0) ? batch : null;
    });
  }

  /** What edits of the strategy file did to open alerts, durable before anything else. Counted to `source`. */
  async applyEdits(source: string): Promise<readonly StrategyEdit[]> {
    let edits: readonly StrategyEdit[] = [];
    await this.#commitUntilApplied(source, () => {
      const applied = this.#version === 0 ? null : applyEdits(this.#states, this.groups);
      if (applied === null) return null;
      edits = applied.edits;
      this.#states = new Map(applied.states);
      this.#upgrade = { put: applied.pieces.put, removed: applied.pieces.removed };
      const counts = { ...NO_COUNTS, resolved: applied.alerts.length };
      return { advances: [], alerts: applied.alerts, refused: [], refusedRows: [], counts };
    });
    return edits;
  }

  /** Stores what was reported, if it is not stored yet. */
  async storeTold(source: string): Promise<void> {
    // After a conflict it may be stored by the other process.
    const isStored = () => this.#told <= this.#storedTold || this.#version === 0;
    await this.#commitUntilApplied(source, () => (isStored() ? null : NOTHING_DECIDED));
  }

  async #commitUntilApplied(
    source: string,
    decide: () => DetectionBatch | null,
    rows = new SourceBatch(),
  ): Promise<DetectionBatch | null> {
    for (let conflicts = 0; ; conflicts += 1) {
      const batch = decide();
      if (batch === null || (await this.#commit(batch, rows, source))) return batch;
      await this.#recover(conflicts);
    }
  }

  #liveTimes(isForced: boolean): Map<string, number> {
    const nowMs = this.#world.now();
    const times = new Map<string, number>();
    for (const group of this.groups) {
      const { clockTime } = (this.#states.get(group.key) as GroupState).head;
      const movedAtMs = this.#clockMovedAtMs.get(group.key);
      if (clockTime === null || movedAtMs === undefined) continue;
      const isLive = Math.abs(movedAtMs / 1_000 - clockTime) <= group.lateSecondsMax;
      if (isLive || isForced) times.set(group.key, Math.floor(clockTime + (nowMs - movedAtMs) / 1_000));
    }
    return times;
  }

  async #takeBatch(batch: SourceBatch, counts: ReadonlyMap<string, number>): Promise<void> {
    for (let conflicts = 0; ; conflicts += 1) {
      for (const [source, { number }] of batch.firsts()) {
        const { rows } = this.position(source);
        if (rows < number - 1) throw streamLost(source, { rows, until: number });
      }
      const untaken = batch.behind((source) => this.position(source).rows);
      if (untaken.rows.length === 0) break;
      const source = untaken.sources.at(-1) as string;
      if (await this.#commit(this.#decide(untaken.rows, {}), untaken, source)) break;
      await this.#recover(conflicts);
    }
    for (const [source, count] of counts) this.#listener.onProgress?.(source, count);
  }

  #decide(rows: readonly RecordRow[], how: Pick<BatchInput, "clockTimes"> & { flush?: boolean }): DetectionBatch {
    const { flush = false, ...clock } = how;
    const accessTimeMs = this.#world.now();
    return decideBatch({
      rows,
      groups: this.groups,
      route: this.#route,
      states: this.#states,
      flush,
      accessTimeMs,
      ...clock,
    });
  }

  /** False: another process has committed meanwhile. What belongs to no single row is counted to `source`. */
  async #commit(batch: DetectionBatch, rows: SourceBatch, source: string): Promise<boolean> {
    const { store, now, commitId } = this.#world;
    const positions = advancedPositions((one) => this.position(one), { batch, rows, source });
    const put: [string, string][] = [...positions].map(([one, position]) => [
      sourcePiece(one),
      JSON.stringify(position),
    ]);
    if (this.#told > this.#storedTold) put.push([TOLD_PIECE, String(this.#told)]);
    const outcome = await store.commit({
      ...batchCommit(batch, { put: [...this.#upgrade.put, ...put], removed: this.#upgrade.removed }),
      commitId: commitId(),
      expectedVersion: this.#version,
      atMs: now(),
      keepCount: this.#world.keepCount ?? KEEP_COUNT_DEFAULT,
    });
    if (outcome === "conflict") return false;
    this.#storedTold = this.#told;
    for (const { group, step } of batch.advances) {
      const state = this.#states.get(group.key) as GroupState;
      if (step.changes.head.clockTime !== state.head.clockTime && rows.rows.length > 0)
        this.#clockMovedAtMs.set(group.key, now());
      applyChanges(state, step.changes);
    }
    for (const [one, position] of positions) this.#positions.set(one, position);
    this.#upgrade = NO_PIECES;
    this.#version += 1;
    await this.#report(batch, rows, source);
    return true;
  }

  async #report(batch: DetectionBatch, rows: SourceBatch, source: string): Promise<void> {
    const firstSeq = this.#alertCount + 1;
    this.#alertCount += batch.alerts.length;
    for (const { group, step } of batch.advances)
      for (const event of step.auditEvents) this.#listener.onAuditEvent?.(event, group);
    for (const [index, row] of batch.refused.entries())
      this.#listener.onRefused?.(rows.sources[batch.refusedRows[index] as number] ?? source, row);
    if (batch.alerts.length > 0) await this.#listener.onAlerts?.(batch.alerts, firstSeq);
  }

  /** The other process made progress, so giving way for a moment ends; the longer it goes on, the longer the moment. */
  async #recover(conflicts: number): Promise<void> {
    if (conflicts >= CONFLICT_COUNT_MAX) {
      throw new BecalmError(
        "BECALM_CONFLICT",
        `Other processes won ${conflicts} times in a row on this stream; nothing of this batch was written. Run it again when they are done.`,
      );
    }
    const longestMs = Math.min(BACKOFF_MS_MIN * 2 ** Math.min(conflicts + 2, 16), BACKOFF_MS_MAX);
    await this.#world.pause(BACKOFF_MS_MIN + this.#world.random() * longestMs);
    await this.load();
  }

  #checkFirst(source: string, row: RecordRow): void {
    const { rows, first } = this.position(source);
    if (rows === 0 || first === digestOf(row)) return;
    throw new BecalmError(
      "BECALM_CONFLICT",
      `The source ${source} begins otherwise than when its first ${rows} rows were taken. Give the new records another source name, or another stream.`,
      { details: { source, rows } },
    );
  }

  /**
   * A source that is given sorted: its rows as a whole. Throws BECALM_CONFLICT when some of it were taken and it has
   * other rows now: sorted, the new ones are not behind the others.
   */
  noteSorted(source: string, rowCount: number): void {
    const position = this.position(source);
    if (position.rows > 0 && position.sortedRows !== rowCount) {
      throw new BecalmError(
        "BECALM_CONFLICT",
        `The source ${source} is not in the order of time, and has ${rowCount} rows now instead of ${position.sortedRows ?? position.rows}. Give the new records as a source of their own.`,
        { details: { source, rows: position.rows } },
      );
    }
    if (position.sortedRows !== rowCount) this.#positions.set(source, { ...position, sortedRows: rowCount });
  }
}

const NOTHING_DECIDED: DetectionBatch = { advances: [], alerts: [], refused: [], refusedRows: [], counts: NO_COUNTS };

function streamLost(source: string, details: { rows: number; until: number }): BecalmError {
  return new BecalmError(
    "BECALM_CONFLICT",
    `The stored position in ${source} fell while it was read: somebody removed the stream. Run it again to start from what is stored.`,
    { details: { source, ...details } },
  );
}
