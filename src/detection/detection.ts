/**
 * Detection made durable: rows of a source in, alerts with sequence numbers out, and a restart goes on where the last commit ended.
 *
 * Owns: the position in each source, the state of each strategy group, the version that both stand at.
 *
 * N1. State is changed only by a commit that was applied, or by loading what another process committed.
 * N2. Rows are cut into batches at multiples of BATCH_ROWS of their source, so two processes cut alike; and where they are cut changes
 *     neither alerts nor their order (detection-batch.ts), so a batch that is cut early for want of rows does no harm.
 * N3. After a conflict everything is loaded anew, and only the rows behind the stored position are decided again.
 */

import type { RecordRow } from "../formats/record-row.ts";
import { BecalmError } from "../model/errors.ts";
import type { DetectionAudit } from "./core/advance.ts";
import type { DetectedAlert } from "./core/detected-alert.ts";
import { applyChanges, emptyGroupState, type GroupState } from "./core/group-state.ts";
import { createRecordRouter, type RecordRouter } from "./core/router.ts";
import { addSeenRecords, groupStatesOf } from "./core/state-pieces.ts";
import { groupStrategies, type Strategy, type StrategyGroup } from "./core/strategy.ts";
import { type DetectionBatch, decideBatch, type RefusedRow } from "./detection-batch.ts";
import { batchCommit } from "./detection-commit.ts";
import type { DetectionStore } from "./detection-store.ts";
import { md5OfText } from "./records/record-identity.ts";
import {
  AT_START,
  addCounts,
  addReasons,
  type SourcePosition,
  sourcePiece,
  sourcePositionsOf,
} from "./source-position.ts";

/** Rows of one commit. A commit costs a round trip, and what is lost by a crash is decided again. */
export const BATCH_ROWS = 1_000;

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
};

/** What a process may watch. Each is told after its commit. */
export type DetectionListener = {
  /** Alerts that this process committed; `firstSeq` is the number of the first. */
  readonly onAlerts?: (alerts: readonly DetectedAlert[], firstSeq: number) => Promise<void> | void;
  readonly onAuditEvent?: (event: DetectionAudit, group: StrategyGroup) => void;
  readonly onRefused?: (source: string, row: RefusedRow) => void;
  readonly onProgress?: (source: string, rows: number) => void;
};

/** Rows as they come. An empty list says that no more are there for now: what has come is decided at once. */
export type RowSource = AsyncIterable<readonly RecordRow[]> | Iterable<readonly RecordRow[]>;

export class Detection {
  readonly groups: readonly StrategyGroup[];
  readonly #world: DetectionWorld;
  readonly #listener: DetectionListener;
  readonly #route: RecordRouter;
  #version = 0;
  #alertCount = 0;
  #states = new Map<string, GroupState>();
  #positions = new Map<string, SourcePosition>();

  constructor(world: DetectionWorld, strategies: readonly Strategy[], listener: DetectionListener = {}) {
    this.groups = groupStrategies(strategies);
    this.#world = world;
    this.#listener = listener;
    this.#route = createRecordRouter(this.groups);
  }

  /** Loads what the last commit left. Comes before everything else, and again after a conflict. */
  async load(): Promise<void> {
    const stored = await this.#world.store.load(this.groups.map(({ key }) => key));
    const states = groupStatesOf(stored.pieces);
    for (const { key } of this.groups) {
      const state = states.get(key) ?? emptyGroupState();
      addSeenRecords(state, stored.seen.get(key) ?? []);
      states.set(key, state);
    }
    this.#states = states;
    this.#positions = sourcePositionsOf(stored.pieces);
    this.#version = stored.version;
    this.#alertCount = stored.alertCount;
  }

  /** Number of alerts in the stream, as this process knows it. */
  get alertCount(): number {
    return this.#alertCount;
  }

  /** How far a source was read. */
  position(source: string): SourcePosition {
    return this.#positions.get(source) ?? AT_START;
  }

  /** Groups that had no record yet although the stream is not new. */
  newGroups(): StrategyGroup[] {
    if (this.#version === 0) return [];
    return this.groups.filter(({ key }) => this.#states.get(key)?.head.newestTime === null);
  }

  /**
   * Takes the rows of a source from its stored position on; the rows before are only counted. `isStopped` is asked between commits.
   * Throws BECALM_CONFLICT when the source begins otherwise than it did.
   */
  async take(source: string, rows: RowSource, isStopped: () => boolean = () => false): Promise<void> {
    let count = 0;
    let batch: RecordRow[] = [];
    for await (const some of rows) {
      for (const row of some) {
        count += 1;
        if (count === 1) this.#checkFirst(source, row);
        if (count > this.position(source).rows) batch.push(row);
        if (count % BATCH_ROWS !== 0) continue;
        await this.#takeBatch(source, { rows: batch, until: count });
        batch = [];
        if (isStopped()) return;
      }
      if (some.length === 0) {
        await this.#takeBatch(source, { rows: batch, until: count });
        batch = [];
      }
      if (isStopped()) break;
    }
    await this.#takeBatch(source, { rows: batch, until: count });
  }

  /** The end of all input: detects what still waits for the watermark. Twice is harmless. Counted to `source`. */
  async flush(source: string): Promise<void> {
    for (let conflicts = 0; ; conflicts += 1) {
      const batch = this.#decide([], true);
      if (batch.advances.length === 0 || (await this.#commit(source, { batch, rows: [] }))) return;
      await this.#recover(conflicts);
    }
  }

  /** `rows`: those up to row number `until` that were not taken yet. */
  async #takeBatch(source: string, { rows, until }: { rows: readonly RecordRow[]; until: number }): Promise<void> {
    for (let conflicts = 0; ; conflicts += 1) {
      const left = until - this.position(source).rows;
      if (left > rows.length) throw streamLost(source, { rows: this.position(source).rows, until });
      const untaken = left <= 0 ? [] : rows.slice(-left);
      if (untaken.length === 0) break;
      if (await this.#commit(source, { batch: this.#decide(untaken, false), rows: untaken })) break;
      await this.#recover(conflicts);
    }
    this.#listener.onProgress?.(source, until);
  }

  #decide(rows: readonly RecordRow[], flush: boolean): DetectionBatch {
    return decideBatch({ rows, groups: this.groups, route: this.#route, states: this.#states, flush });
  }

  /** False: another process has committed meanwhile. */
  async #commit(
    source: string,
    { batch, rows }: { batch: DetectionBatch; rows: readonly RecordRow[] },
  ): Promise<boolean> {
    const { store, now, commitId } = this.#world;
    const position = advanced(this.position(source), batch, rows);
    const outcome = await store.commit({
      ...batchCommit(batch, { put: [[sourcePiece(source), JSON.stringify(position)]], removed: [] }),
      commitId: commitId(),
      expectedVersion: this.#version,
      atMs: now(),
    });
    if (outcome === "conflict") return false;
    for (const { group, step } of batch.advances) applyChanges(this.#states.get(group.key) as GroupState, step.changes);
    this.#positions.set(source, position);
    this.#version += 1;
    const firstSeq = this.#alertCount + 1;
    this.#alertCount += batch.alerts.length;
    for (const { group, step } of batch.advances)
      for (const event of step.auditEvents) this.#listener.onAuditEvent?.(event, group);
    for (const row of batch.refused) this.#listener.onRefused?.(source, row);
    if (batch.alerts.length > 0) await this.#listener.onAlerts?.(batch.alerts, firstSeq);
    return true;
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
}

function streamLost(source: string, details: { rows: number; until: number }): BecalmError {
  return new BecalmError(
    "BECALM_CONFLICT",
    `The stored position in ${source} fell while it was read: somebody removed the stream. Run it again to start from what is stored.`,
    { details: { source, ...details } },
  );
}

function advanced(
  { rows: count, first, counts, reasons }: SourcePosition,
  batch: DetectionBatch,
  rows: readonly RecordRow[],
): SourcePosition {
  const found: Record<string, number> = {};
  for (const { reason } of batch.refused) found[reason] = (found[reason] ?? 0) + 1;
  return {
    rows: count + rows.length,
    first: count === 0 && rows[0] !== undefined ? digestOf(rows[0]) : first,
    counts: addCounts(counts, batch.counts),
    reasons: addReasons(reasons, found),
  };
}

function digestOf(row: RecordRow): string {
  if ("rejected" in row) return md5OfText(`${row.reason} ${row.text}`);
  if (typeof row.record !== "object" || row.record === null) return md5OfText(String(row.record));
  // Only names and scalars: what nests may nest deeper than a recursion goes, and a bigint has no form in JSON.
  const cells = Object.entries(row.record).map(([name, value]) => {
    if (typeof value === "bigint") return [name, String(value)];
    return [name, typeof value === "object" ? "" : value];
  });
  return md5OfText(JSON.stringify(cells));
}
