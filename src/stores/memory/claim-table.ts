import { compareCodePoints } from "../../model/utf8.ts";
import type { ClaimedEffect, DeadLetter, FreeEffect, FreePosition } from "../outbox.ts";
import { SET_ASIDE_MS } from "../outbox.ts";
import type { ClaimRequest, Commit, ExtendRequest, StoredEffect } from "../store.ts";
import { LateSortedList } from "./late-sorted-list.ts";

/** `owner` "": nobody holds it. `deliveries`: claims that were not given back. */
type Claim = StoredEffect & { owner: string; claimedUntilMs: number; deliveries: number };

type GiveBack = { readonly owner: string; readonly effectIds: readonly string[]; readonly delayMs: number };

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
      this.#add({ id, partition, value, owner: holder, claimedUntilMs, deliveries: holder === "" ? 0 : 1 });
    }
    for (const id of settledEffectIds) this.#take(id);
  }

  claim({ owner, leaseMs, limit, partition }: ClaimRequest, nowMs: number): ClaimedEffect[] {
    const free = this.#first({ limit, partition }, (claim) => claim.claimedUntilMs <= nowMs);
    return this.#deliver(free, { owner, untilMs: nowMs + leaseMs });
  }

  claimThese({ owner, leaseMs, effectIds }: ExtendRequest, nowMs: number): ClaimedEffect[] {
    const free = this.#known(effectIds).filter((claim) => claim.claimedUntilMs <= nowMs);
    return this.#deliver(free, { owner, untilMs: nowMs + leaseMs });
  }

  free(
    { partition, after, limit }: { partition: number; after: FreePosition | null; limit: number },
    nowMs: number,
  ): FreeEffect[] {
    const from = after === null ? undefined : ({ id: after.id, claimedUntilMs: after.freeSinceMs } as Claim);
    const found: FreeEffect[] = [];
    for (const claim of this.#byEnd.ascending(from)) {
      if (found.length >= limit || claim.claimedUntilMs > nowMs) break;
      const { id, value, claimedUntilMs: freeSinceMs, deliveries } = claim;
      if (claim.partition === partition) found.push({ id, partition, value, freeSinceMs, deliveries });
    }
    return found;
  }

  giveBack({ owner, effectIds, delayMs }: GiveBack, nowMs: number): void {
    for (const claim of this.#known(effectIds)) {
      if (claim.owner !== owner) continue;
      const deliveries = Math.max(claim.deliveries - 1, 0);
      this.#replace(claim, { owner: delayMs > 0 ? owner : "", claimedUntilMs: nowMs + delayMs, deliveries });
    }
  }

  setAside({ owner, effectIds }: { owner: string; effectIds: readonly string[] }, nowMs: number): string[] {
    const held = this.#known(effectIds).filter((claim) => claim.owner === owner);
    for (const claim of held) this.#replace(claim, { owner: "", claimedUntilMs: SET_ASIDE_MS + nowMs });
    return held.map(({ id }) => id);
  }

  deadLetters({ limit }: { limit: number }): DeadLetter[] {
    const letters: DeadLetter[] = [];
    for (const claim of this.#byEnd.ascending({ id: "", claimedUntilMs: SET_ASIDE_MS } as Claim)) {
      if (letters.length >= limit) break;
      const { id, partition, value, deliveries, claimedUntilMs } = claim;
      letters.push({ id, partition, value, deliveries, setAsideAtMs: claimedUntilMs - SET_ASIDE_MS });
    }
    return letters;
  }

  resume(effectIds: readonly string[], nowMs: number): string[] {
    const aside = this.#known(effectIds).filter((claim) => claim.claimedUntilMs >= SET_ASIDE_MS);
    for (const claim of aside) this.#replace(claim, { owner: "", claimedUntilMs: nowMs, deliveries: 0 });
    return aside.map(({ id }) => id);
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
      else this.#replace(claim, { owner, claimedUntilMs: nowMs + leaseMs });
    }
    return lost;
  }

  #deliver(free: readonly Claim[], { owner, untilMs }: { owner: string; untilMs: number }): ClaimedEffect[] {
    const delivered = free.map((claim) => {
      const deliveries = claim.deliveries + 1;
      const { id, partition, value, owner: last } = claim;
      this.#replace(claim, { owner, claimedUntilMs: untilMs, deliveries });
      const heldBy = deliveries > 1 && last !== "" ? { heldBy: last } : {};
      return { id, partition, value, deliveries, ...heldBy };
    });
    return delivered.sort((left, right) => compareCodePoints(left.id, right.id));
  }

  #known(effectIds: readonly string[]): Claim[] {
    return effectIds.flatMap((id) => this.#claims.get(id) ?? []);
  }

  #replace(claim: Claim, changed: Partial<Claim>): void {
    this.#take(claim.id);
    this.#add({ ...claim, ...changed });
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
