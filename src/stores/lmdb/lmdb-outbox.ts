import { compareCodePoints } from "../../model/utf8.ts";
import type { ClaimedEffect, Outbox } from "../outbox.ts";
import { requireLease, requirePartition } from "../store-rules.ts";
import type { EffectRows } from "./effect-rows.ts";
import type { ReadRows, WriteRows } from "./rows.ts";

/** What the outbox needs of the store that it belongs to. */
export type OutboxRows = {
  readonly now: () => number;
  /** Throws while the namespace is not open. */
  readonly opened: () => { readonly effects: EffectRows; readonly partitions: number };
  readonly read: <T>(look: (rows: ReadRows) => T) => Promise<T>;
  /** Makes this process the writer, whose claims these are. */
  readonly beWriter: () => Promise<void>;
  readonly write: <T>(change: (rows: WriteRows) => T) => Promise<T>;
};

/** In the order in which `partitions` stand. */
type FirstRequest = {
  readonly owner: string;
  readonly leaseMs: number;
  readonly limit: number;
  readonly partitions: readonly number[];
};

export type LmdbOutbox = Outbox & { claimFirst(request: FirstRequest): Promise<ClaimedEffect[]> };

export function lmdbOutbox({ now, opened, read, beWriter, write: writeRows }: OutboxRows): LmdbOutbox {
  const write = async <T>(change: (rows: WriteRows) => T): Promise<T> => {
    await beWriter();
    return writeRows(change);
  };
  return {
    claimFirst: async (request) => {
      const { effects } = opened();
      requireLease(request.leaseMs, "claim");
      await beWriter();
      const nowMs = now();
      // Nothing to claim is the usual answer of a poll: it costs no transaction.
      const isFree = await read((rows) => effects.hasFree(rows, request.partitions, nowMs));
      if (!isFree || request.limit < 1) return [];
      return byId(await writeRows((rows) => effects.claim(rows, request, nowMs)));
    },
    free: async (request) => {
      const { effects, partitions } = opened();
      requirePartition(request.partition, partitions);
      return read((rows) => effects.freeOf(rows, request, now()));
    },
    claim: async (request) => {
      const { effects } = opened();
      requireLease(request.leaseMs, "claim");
      if (request.effectIds.length === 0) return [];
      return byId(await write((rows) => effects.claimThese(rows, request, now())));
    },
    giveBack: async (request) => {
      const { effects } = opened();
      if (request.effectIds.length > 0) await write((rows) => effects.giveBack(rows, request, now()));
    },
    setAside: async (request) => {
      const { effects } = opened();
      return request.effectIds.length === 0 ? [] : write((rows) => effects.setAside(rows, request, now()));
    },
    deadLetters: async ({ limit }) => {
      const { effects, partitions } = opened();
      const letters = await read((rows) => effects.deadLetters(rows, { limit, partitions }));
      return letters.sort((left, right) => left.setAsideAtMs - right.setAsideAtMs).slice(0, limit);
    },
    resume: async (effectIds) => {
      const { effects } = opened();
      return effectIds.length === 0 ? [] : write((rows) => effects.resume(rows, effectIds, now()));
    },
  };
}

function byId(claimed: ClaimedEffect[]): ClaimedEffect[] {
  return claimed.sort((left, right) => compareCodePoints(left.id, right.id));
}
