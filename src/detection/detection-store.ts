/**
 * The store of detection: a *stream* is what one or more processes make of records, in one order, under one version.
 *
 * Everything that a batch of records leads to (how far its source was read, the changed pieces of state, the alerts
 * under their sequence numbers, the checkpoints) becomes durable in one commit, or nothing of it does. So a process
 * that is killed at any moment leaves a position and exactly what belongs to it.
 *
 * Pieces, alerts and audit events are opaque texts (detection/core/state-pieces.ts). Keys and lives of the rest stand
 * in detection/core/checkpoint-keys.ts. All methods reject with BECALM_STORE_UNAVAILABLE when the server cannot be
 * reached, BECALM_STORE_FULL when it is out of memory, BECALM_STORE_FAILED otherwise, and with BECALM_ARGUMENT_INVALID,
 * before anything is written, when what they are given breaks a rule that stands here.
 */
export interface DetectionStore {
  /**
   * Everything that detection continues from, as one commit left it. `groupKeys`: the strategy groups whose duplicates
   * are wanted.
   */
  load(groupKeys: readonly string[]): Promise<StoredDetection>;

  /** The one write. */
  commit(commit: DetectionCommit): Promise<DetectionCommitOutcome>;

  /**
   * Alerts in the order of their sequence numbers, which count from 1 without a gap; the oldest may be gone
   * (`keepCount`).
   */
  alerts(page: SequencePage): Promise<SequencedText[]>;

  /** Audit events of detection (gaps, forgotten series), numbered in the same way. */
  auditEvents(page: SequencePage): Promise<SequencedText[]>;

  /** LAST_CHECKPOINTS: time (epoch seconds) of the newest point that a level has looked at; null: none is known. */
  getCheckpoint(of: SeriesLevel): Promise<number | null>;

  /**
   * Moves it forward: detection goes on behind it, also in a process that is at work (its next commit meets a conflict
   * and loads). A time that is not later than the stored one changes nothing. Gives the time that stands afterwards.
   */
  setCheckpoint(of: SeriesLevel, time: number): Promise<number>;

  /** STRATEGY_CHECKPOINT: time of the newest record that a strategy group has taken in; null: none is known. */
  groupCheckpoint(groupKey: string): Promise<number | null>;

  /**
   * ACCESS_RUN_TIMESTAMP: when records of a strategy group were last taken in, in epoch ms by the detecting process's
   * clock.
   */
  lastRunAtMs(groupKey: string): Promise<number | null>;

  /** CHECK_RESULT: what a level made of its newest points, oldest first. */
  checkResults(of: SeriesLevel): Promise<CheckResultRow[]>;

  close(): Promise<void>;
  /** Closes it, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

export type DetectionCommitOutcome = "applied" | "duplicate" | "conflict";

/** One level of one series. A strategy here has one item: its query (STRATEGY_ITEM_ID). */
export type SeriesLevel = {
  readonly strategyId: string;
  readonly itemId: string | number;
  /** md5 of the series' identity dimensions. */
  readonly dimensionsMd5: string;
  readonly level: string;
};

export type SequencePage = { readonly fromSeq: number; readonly limit: number };

export type SequencedText = { readonly seq: number; readonly value: string };

export type StoredDetection = {
  /** 0: nothing was committed yet. */
  readonly version: number;
  readonly alertCount: number;
  readonly pieces: ReadonlyMap<string, string>;
  /** ACCESS_DUPLICATE by strategy group: record ids with their times. Those whose life has run out are missing. */
  readonly seen: ReadonlyMap<string, readonly SeenRecord[]>;
};

export type SeenRecord = readonly [time: number, recordId: string];

/** `time`: epoch seconds of the data; `text`: what the level made of the point. One row a time. */
export type CheckResultRow = { readonly time: number; readonly text: string };

export type DetectionCommit = {
  /** Unique per commit. The same commit again, while no other came after it, answers `duplicate` and writes nothing. */
  readonly commitId: string;
  /** Compare-and-set: the stream's version, 0 for one that does not exist; it rises by one. Otherwise `conflict`. */
  readonly expectedVersion: number;
  /** The wall clock of the committing process: what ACCESS_RUN_TIMESTAMP keeps. */
  readonly atMs: number;
  readonly piecesPut: readonly (readonly [name: string, value: string])[];
  /** No name stands here that is also put. */
  readonly piecesRemoved: readonly string[];
  /** Appended; the first gets the number after the last stored one. */
  readonly alerts: readonly string[];
  readonly auditEvents: readonly string[];
  /** Retention: of alerts and of audit events at least so many of the newest are kept. Missing: all. */
  readonly keepCount?: number;
  /** Each strategy group that took records in; none twice. */
  readonly groups: readonly GroupTaking[];
  /** Newest points of levels; one that is not later than what is stored changes nothing. No level twice. */
  readonly checkpoints: readonly (SeriesLevel & { readonly time: number })[];
  /** No level twice. */
  readonly checkResults: readonly CheckResultsAdded[];
};

export type GroupTaking = {
  readonly key: string;
  /** STRATEGY_CHECKPOINT; it never falls. null: the group has no record yet. */
  readonly newestTime: number | null;
  readonly seenAdded: readonly SeenRecord[];
  /** Record ids before this time are forgotten; null: none. */
  readonly seenForgottenBefore: number | null;
  /** How long the record ids are kept after this commit. */
  readonly seenTtlMs: number;
};

export type CheckResultsAdded = {
  readonly of: SeriesLevel;
  readonly rows: readonly CheckResultRow[];
  /** Only so many of the newest rows are kept. */
  readonly keepCount: number;
};
