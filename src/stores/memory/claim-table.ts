import { compareCodePoints } from "../../model/utf8.ts";
import type { Commit, StoredEffect } from "../store.ts";
import { SortedList } from "./sorted-list.ts";

/** `claimedUntilMs` 0: nobody ever claimed it. */
type Claim = StoredEffect & { owner: string; claimedUntilMs: number };

/** The outbox: effects by id, and by when their claim runs out. */
export class ClaimTable {
  readonly #claims = new Map<string, Claim>();
  readonly #byEnd = new SortedList<Claim>(
    (left, right) => left.claimedUntilMs - right.claimedUntilMs || compareCodePoints(left.id, right.id),
  );

  put({ effects, effectLeaseMs, owner, settledEffectIds }: Commit, nowMs: number): void {
    const claimedUntilMs = effectLeaseMs > 0 ? nowMs + effectLeaseMs : 0;
    for (const { id, partition, value } of effects) {
      this.#take(id);
      this.#add({ id, partition, value, owner, claimedUntilMs });
    }
    for (const id of settledEffectIds) this.#take(id);
  }

  claim(
    { owner, leaseMs, limit, partition }: { owner: string; leaseMs: number; limit: number; partition?: number },
    nowMs: number,
  ): StoredEffect[] {
    const found: Claim[] = [];
    for (const claim of this.#byEnd.ascending()) {
      if (found.length >= limit || (leaseMs > 0 && claim.claimedUntilMs > nowMs)) break;
      if (partition === undefined || claim.partition === partition) found.push(claim);
    }
    if (leaseMs > 0) for (const claim of found) this.#prolong(claim, owner, nowMs + leaseMs);
    return found
      .sort((left, right) => compareCodePoints(left.id, right.id))
      .map(({ id, partition: at, value }) => ({ id, partition: at, value }));
  }

  extend(
    { owner, leaseMs, effectIds }: { owner: string; leaseMs: number; effectIds: readonly string[] },
    nowMs: number,
  ): string[] {
    const lost: string[] = [];
    for (const id of effectIds) {
      const claim = this.#claims.get(id);
      if (claim === undefined || claim.claimedUntilMs === 0 || claim.owner !== owner) lost.push(id);
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
