/**
 * The detection store of one process: tests and runs that nobody will go on with. Everything is gone with the process.
 *
 * D1: a method decides and writes without awaiting in between, so a commit is atomic.
 * D2: a commit is validated completely before the first write.
 * D3: a commit costs as much as what it changes.
 */
import { type CheckpointKeys, type KeyConfig, registerKeysWithConfig } from "../../detection/core/checkpoint-keys.ts";
import { checkpointPiece } from "../../detection/core/state-pieces.ts";
import type {
  CheckResultRow,
  CheckResultsAdded,
  DetectionCommit,
  DetectionCommitOutcome,
  DetectionStore,
  GroupTaking,
  SeenRecord,
  SequencedText,
  SequencePage,
  SeriesLevel,
  StoredDetection,
} from "../../detection/detection-store.ts";
import { requireSequencePage, requireTime, requireValidDetectionCommit } from "../detection-rules.ts";
import { requireKnownOptions } from "../known-options.ts";
import { ExpiringMap } from "./expiring-map.ts";

export type MemoryDetectionStoreOptions = {
  /** The clock of the keys' lives, in epoch ms. Default: the system's. */
  now?: () => number;
  /** Lives of the keys other than those of the table. */
  keys?: KeyConfig;
};

/** A detection stream that lives in this process. `close` keeps it. */
export function memoryDetectionStore(options: MemoryDetectionStoreOptions = {}): DetectionStore {
  requireKnownOptions("memoryDetectionStore", options, ["now", "keys"]);
  return new MemoryDetectionStore(options);
}

class MemoryDetectionStore implements DetectionStore {
  readonly #keys: CheckpointKeys;
  #version = 0;
  #lastCommitId: string | null = null;
  readonly #pieces = new Map<string, string>();
  readonly #alerts = new SequencedList();
  readonly #auditEvents = new SequencedList();
  readonly #groupCheckpoints: ExpiringMap<number>;
  readonly #runs: ExpiringMap<number>;
  /** By group: record id -> time. */
  readonly #seen: ExpiringMap<Map<string, number>>;
  /** By strategy: field -> time. */
  readonly #lastCheckpoints: ExpiringMap<Map<string, number>>;
  readonly #checkResults: ExpiringMap<CheckResultRow[]>;

  constructor({ now = Date.now, keys }: MemoryDetectionStoreOptions) {
    this.#keys = registerKeysWithConfig(keys);
    this.#groupCheckpoints = new ExpiringMap(now);
    this.#runs = new ExpiringMap(now);
    this.#seen = new ExpiringMap(now);
    this.#lastCheckpoints = new ExpiringMap(now);
    this.#checkResults = new ExpiringMap(now);
  }

  async load(groupKeys: readonly string[]): Promise<StoredDetection> {
    const seenOf = (key: string): SeenRecord[] => {
      const records = this.#seen.get(this.#keys.ACCESS_DUPLICATE.key({ strategyGroupKey: key }));
      return [...(records ?? [])].map(([recordId, time]) => [time, recordId]);
    };
    return {
      version: this.#version,
      alertCount: this.#alerts.lastSeq,
      pieces: new Map(this.#pieces),
      seen: new Map(groupKeys.map((key) => [key, seenOf(key)])),
    };
  }

  async commit(commit: DetectionCommit): Promise<DetectionCommitOutcome> {
    requireValidDetectionCommit(commit);
    if (commit.commitId === this.#lastCommitId) return "duplicate";
    if (commit.expectedVersion !== this.#version) return "conflict";
    this.#forget();
    this.#version += 1;
    this.#lastCommitId = commit.commitId;
    for (const [name, value] of commit.piecesPut) this.#pieces.set(name, value);
    for (const name of commit.piecesRemoved) this.#pieces.delete(name);
    this.#alerts.add(commit.alerts, commit.keepCount);
    this.#auditEvents.add(commit.auditEvents, commit.keepCount);
    for (const group of commit.groups) this.#takeGroup(group, commit.atMs);
    for (const { time, ...of } of commit.checkpoints) this.#raise(of, time);
    for (const added of commit.checkResults) this.#addResults(added);
    return "applied";
  }

  async alerts(page: SequencePage): Promise<SequencedText[]> {
    return this.#alerts.page(page);
  }

  async auditEvents(page: SequencePage): Promise<SequencedText[]> {
    return this.#auditEvents.page(page);
  }

  async getCheckpoint(of: SeriesLevel): Promise<number | null> {
    return this.#lastCheckpoints.get(this.#keys.LAST_CHECKPOINTS.key(of))?.get(this.#fieldOf(of)) ?? null;
  }

  async setCheckpoint(of: SeriesLevel, time: number): Promise<number> {
    requireTime(time, "time of a checkpoint");
    const standing = this.#raise(of, time);
    if (standing === time) this.#pieces.set(checkpointPiece(of), String(time));
    // Whoever is at work loads the stream again.
    if (this.#version > 0) this.#version += 1;
    return standing;
  }

  async groupCheckpoint(groupKey: string): Promise<number | null> {
    return this.#groupCheckpoints.get(this.#keys.STRATEGY_CHECKPOINT.key({ strategyGroupKey: groupKey })) ?? null;
  }

  async lastRunAtMs(groupKey: string): Promise<number | null> {
    return this.#runs.get(this.#keys.ACCESS_RUN_TIMESTAMP.key({ strategyGroupKey: groupKey })) ?? null;
  }

  async checkResults(of: SeriesLevel): Promise<CheckResultRow[]> {
    return this.#checkResults.get(this.#keys.CHECK_RESULT.key(of))?.slice() ?? [];
  }

  async close(): Promise<void> {}

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #takeGroup({ key, newestTime, seenAdded, seenForgottenBefore, seenTtlMs }: GroupTaking, atMs: number): void {
    const { STRATEGY_CHECKPOINT, ACCESS_RUN_TIMESTAMP, ACCESS_DUPLICATE } = this.#keys;
    const parameters = { strategyGroupKey: key };
    const checkpointKey = STRATEGY_CHECKPOINT.key(parameters);
    const stored = this.#groupCheckpoints.get(checkpointKey) ?? newestTime;
    if (newestTime !== null && stored !== null)
      this.#groupCheckpoints.set(checkpointKey, Math.max(stored, newestTime), STRATEGY_CHECKPOINT.ttlMs);
    this.#runs.set(ACCESS_RUN_TIMESTAMP.key(parameters), atMs, ACCESS_RUN_TIMESTAMP.ttlMs);
    const seenKey = ACCESS_DUPLICATE.key(parameters);
    const records = this.#seen.get(seenKey) ?? new Map<string, number>();
    for (const [time, recordId] of seenAdded) records.set(recordId, time);
    if (seenForgottenBefore !== null) {
      for (const [recordId, time] of records) if (time < seenForgottenBefore) records.delete(recordId);
    }
    this.#seen.set(seenKey, records, seenTtlMs);
  }

  /** A checkpoint never moves backwards; a write that changes nothing still renews its life. */
  #raise(of: SeriesLevel, time: number): number {
    const { LAST_CHECKPOINTS } = this.#keys;
    const key = LAST_CHECKPOINTS.key(of);
    const field = this.#fieldOf(of);
    const times = this.#lastCheckpoints.get(key) ?? new Map<string, number>();
    const standing = Math.max(times.get(field) ?? time, time);
    times.set(field, standing);
    this.#lastCheckpoints.set(key, times, LAST_CHECKPOINTS.ttlMs);
    return standing;
  }

  #addResults({ of, rows, keepCount }: CheckResultsAdded): void {
    const { CHECK_RESULT } = this.#keys;
    const key = CHECK_RESULT.key(of);
    const stored = this.#checkResults.get(key) ?? [];
    const newest = stored.at(-1)?.time ?? Number.NEGATIVE_INFINITY;
    for (const row of rows) if (!stored.some((one) => one.time === row.time && one.text === row.text)) stored.push(row);
    if (rows.some(({ time }) => time <= newest)) stored.sort((a, b) => a.time - b.time);
    stored.splice(0, Math.max(stored.length - keepCount, 0));
    this.#checkResults.set(key, stored, CHECK_RESULT.ttlMs);
  }

  #fieldOf(of: SeriesLevel): string {
    return this.#keys.LAST_CHECKPOINTS.field(of);
  }

  #forget(): void {
    for (const map of [this.#seen, this.#lastCheckpoints, this.#checkResults, this.#groupCheckpoints, this.#runs])
      map.forget();
  }
}

/** Texts numbered from 1, of which the oldest may be gone. */
class SequencedList {
  readonly #texts: string[] = [];
  #goneCount = 0;

  get lastSeq(): number {
    return this.#goneCount + this.#texts.length;
  }

  add(texts: readonly string[], keepCount: number | undefined): void {
    for (const text of texts) this.#texts.push(text);
    if (keepCount === undefined || this.#texts.length <= keepCount) return;
    this.#goneCount += this.#texts.splice(0, this.#texts.length - keepCount).length;
  }

  page(page: SequencePage): SequencedText[] {
    requireSequencePage(page);
    const first = Math.max(page.fromSeq - 1 - this.#goneCount, 0);
    const end = Math.max(page.fromSeq - 1 + page.limit - this.#goneCount, 0);
    return this.#texts.slice(first, end).map((value, index) => ({ seq: this.#goneCount + first + index + 1, value }));
  }
}
