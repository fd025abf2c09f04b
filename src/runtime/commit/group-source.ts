import type { Group } from "../../convergence/group.ts";
import type { Tally } from "../../convergence/tally.ts";
import type { Instance } from "../../instance/checkpoint.ts";
import type { Decision } from "../../instance/decide.ts";
import type { Received } from "../../instance/receive.ts";
import type { BecalmError } from "../../model/errors.ts";
import type { Commit } from "../../stores/store.ts";
import type { Batch, Envelope } from "./batch.ts";

/** What a batch is decided on. */
export type Snapshot = {
  readonly batch: Batch;
  /**
   * What its commands are, now that the episodes of its receipts are known. Those of unreadable instances are left out.
   */
  readonly received: Received;
  readonly group: Group | null;
  readonly instances: ReadonlyMap<string, Instance>;
  readonly waiters: readonly string[];
  readonly hasMoreWaiters: boolean;
  readonly quarantined: ReadonlyMap<string, BecalmError>;
  /** What was counted beside the group, of the summaries that the batch sends. */
  readonly tallies: ReadonlyMap<string, Tally>;
};

/** What must hold of the snapshot when the decision is committed. The batch passes it on unread. */
export type Precondition = {
  readonly groupVersion: number;
  /** A commit that must have been applied; null: none. */
  readonly afterCommitId: string | null;
  /** Only a commit can tell whether the snapshot was true. */
  readonly isGuess: boolean;
};

export type BatchRead = { readonly snapshot: Snapshot; readonly precondition: Precondition };

/**
 * Where batches find what they are decided on. Losing a precondition is an ordinary conflict: the source hears of it,
 * and reads.
 */
export interface GroupSource {
  /** What this process knows already; null: it must be read. */
  guess(batch: Batch): BatchRead | null;
  /** `turn`: only in virtual time, of its line among those of the same time; null: live. */
  read(batch: Batch, turn: number | null): Promise<BatchRead>;
  /** The decision about to be committed: what the group will be once it is. */
  committing(decision: Decision, commit: Commit, batch: Batch): void;
  /** The commit was refused, or (not `isRefused`) it is unknown what became of it. */
  lost(read: BatchRead, how: { isRefused: boolean }): void;
  /** Can these be decided while the batch before them is still being committed? */
  isAhead(envelopes: readonly Envelope[]): boolean;
}
