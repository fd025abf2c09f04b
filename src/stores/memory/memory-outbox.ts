import type { ClaimedEffect, DeadLetter, FreeEffect, FreePosition, Outbox } from "../outbox.ts";
import type { ClaimRequest, ExtendRequest, StoredEffect } from "../store.ts";
import { requireLease, requirePartition } from "../store-rules.ts";
import type { ClaimTable } from "./claim-table.ts";

type Opened = { readonly nowMs: number; readonly partitions: number };

/** All that may be asked of the outbox of a namespace in memory. */
export class MemoryOutbox implements Outbox {
  readonly #claims: ClaimTable;
  readonly #opened: () => Opened;

  /** `opened`: throws while the namespace is not open. */
  constructor(claims: ClaimTable, opened: () => Opened) {
    this.#claims = claims;
    this.#opened = opened;
  }

  async claimFirst(request: ClaimRequest): Promise<ClaimedEffect[]> {
    const { nowMs } = this.#openedAt(request.partition);
    requireLease(request.leaseMs, "claim");
    return this.#claims.claim(request, nowMs);
  }

  async list(request: { limit: number; partition?: number }): Promise<StoredEffect[]> {
    this.#openedAt(request.partition);
    return this.#claims.list(request);
  }

  async extend(request: ExtendRequest): Promise<string[]> {
    const { nowMs } = this.#opened();
    requireLease(request.leaseMs, "claim");
    return this.#claims.extend(request, nowMs);
  }

  async free(request: { partition: number; after: FreePosition | null; limit: number }): Promise<FreeEffect[]> {
    return this.#claims.free(request, this.#openedAt(request.partition).nowMs);
  }

  async claim(request: ExtendRequest): Promise<ClaimedEffect[]> {
    const { nowMs } = this.#opened();
    requireLease(request.leaseMs, "claim");
    return this.#claims.claimThese(request, nowMs);
  }

  async giveBack(request: { owner: string; effectIds: readonly string[]; delayMs: number }): Promise<void> {
    this.#claims.giveBack(request, this.#opened().nowMs);
  }

  async setAside(request: { owner: string; effectIds: readonly string[] }): Promise<string[]> {
    return this.#claims.setAside(request, this.#opened().nowMs);
  }

  async deadLetters(request: { limit: number }): Promise<DeadLetter[]> {
    this.#opened();
    return this.#claims.deadLetters(request);
  }

  async resume(effectIds: readonly string[]): Promise<string[]> {
    return this.#claims.resume(effectIds, this.#opened().nowMs);
  }

  #openedAt(partition: number | undefined): Opened {
    const opened = this.#opened();
    if (partition !== undefined) requirePartition(partition, opened.partitions);
    return opened;
  }
}
