import { compareCodePoints } from "../../model/utf8.ts";
import type { ClaimRequest, Commit, ExtendRequest, StoredEffect } from "../store.ts";
import { LateSortedList } from "./late-sorted-list.ts";

/** `owner` "": nobody ever claimed it. */
type Claim = StoredEffect & { owner: string; claimedUntilMs: number };

/** The outbox: effects by id, and by when their claim runs out. */
export class ClaimTable {
  readonly #claims = new Map<string, Claim>();
  readonly #byEnd = new LateSortedList<Claim>(
    (left, right) => left.claimedUntilMs - right.claimedUntilMs || compareCodePoints(left.id, right.id),
    ({ id }) => id,
  );

  put({ effects, effectClaimMs, owner, settledEffectIds }: Commit, nowMs: number): void {
    // What nobody has claimed is free from now on: it comes behind what has waited longer.
    const claimedUntilMs = nowMs + (effectClaimMs ?? 0);
    const holder = effectClaimMs === null ? "" : owner;
    for (const { id, partition, value } of effects) {
      this.#take(id);
      this.#add({ id, partition, value, owner: holder, claimedUntilMs });
    }
    for (const id of settledEffectIds) this.#take(id);
  }

  claim({ owner, leaseMs, limit, partition }: ClaimRequest, nowMs: number): StoredEffect[] {
    const free = this.#first({ limit, partition }, (claim) => claim.claimedUntilMs <= nowMs);
    for (const claim of free) this.#prolong(claim, owner, nowMs + leaseMs);
    return toStored(free);
  }

  /** Whoever holds them. */
  list({ limit, partition }: { limit: number; partition?: number }): StoredEffect[] {
    return toStored(this.#first({ limit, partition }, () => true));
  }

  /** The first whose claims end, as long as `isWanted`. */
  #first(
    { limit, partition }: { limit: number; partition: number | undefined },
    isWanted: (claim: Claim) => boolean,
  ): Claim[] {
    const found: Claim[] = [];
    for (const claim of this.#byEnd.ascending()) {
      if (found.length >= limit || !isWanted(claim)) break;
      if (partition === undefined || claim.partition === partition) found.push(claim);
    }
    return found;
  }

  /** Gives the ids that `owner` does not hold. */
  extend({ owner, leaseMs, effectIds }: ExtendRequest, nowMs: number): string[] {
    const lost: string[] = [];
    for (const id of effectIds) {
      const claim = this.#claims.get(id);
      if (claim === undefined || claim.owner !== owner) lost.push(id);
      else this.#prolong(claim, owner, nowMs + leaseMs);
    }
    return lost;
  }

  #prolong(claim: Claim, owner: string, claimedUntilMs: number): void {
    this.#take(claim.id);
    this.#add({ ...claim, owner, claimedUntilMs });
  }

  #add(claim: Claim): void {
    this.#claims.set(claim.id, claim);
    this.#byEnd.add(claim);
  }

  #take(id: string): void {
    const claim = this.#claims.get(id);
    if (claim === undefined) return;
    this.#claims.delete(id);
    this.#byEnd.remove(claim);
  }
}

function toStored(claims: Claim[]): StoredEffect[] {
  return claims
    .sort((left, right) => compareCodePoints(left.id, right.id))
    .map(({ id, partition, value }) => ({ id, partition, value }));
}
