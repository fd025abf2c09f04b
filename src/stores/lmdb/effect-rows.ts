/**
 * The outbox. `f<effect>`: `<end of the claim> <partition> <length of the owner> <length of the id> `, then owner, id
 * and effect. The owner is followed by `~<deliveries>`, unless that is 0 without an owner, and 1 with one.
 * `q<partition><end of the claim><effect>`: the effect's id. While nobody has claimed it, the end is the time of its
 * commit: what has waited longest is taken first.
 *
 * A claim is held by the process that writes: when another one takes over (or the same one starts again), its claims
 * are free at once.
 */
import type { ClaimedEffect, DeadLetter, FreeEffect, FreePosition } from "../outbox.ts";
import { SET_ASIDE_MS } from "../outbox.ts";
import type { Commit, ExtendRequest, StoredEffect } from "../store.ts";
import { AFTER_ALL, numberOf, part, sortable, twoDigits } from "./row-keys.ts";
import { type ReadRows, takeRows, type WriteRows } from "./rows.ts";

const FREE = sortable(0);

const SET_ASIDE = sortable(SET_ASIDE_MS);

type Held = { readonly owner: string; readonly effectIds: readonly string[] };

type Claim = StoredEffect & { readonly owner: string; readonly until: string; readonly deliveries: number };

export class EffectRows {
  readonly #prefix: string;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  put(rows: WriteRows, commit: Commit, nowMs: number): void {
    const { effects, effectClaimMs, owner, settledEffectIds } = commit;
    const until = sortable(nowMs + (effectClaimMs ?? 0));
    for (const effect of effects) {
      this.#take(rows, effect.id);
      const isClaimed = effectClaimMs !== null;
      this.#add(rows, { ...effect, owner: isClaimed ? owner : "", until, deliveries: isClaimed ? 1 : 0 });
    }
    for (const id of settledEffectIds) this.#take(rows, id);
  }

  claim(
    rows: WriteRows,
    request: { owner: string; leaseMs: number; limit: number; partitions: readonly number[] },
    nowMs: number,
  ): ClaimedEffect[] {
    const claimed: ClaimedEffect[] = [];
    const end = sortable(nowMs);
    const until = sortable(nowMs + request.leaseMs);
    for (const partition of request.partitions) {
      const from = `${this.#prefix}q${twoDigits(partition)}`;
      const free = rows.ascending(from, `${from}${end}${AFTER_ALL}`);
      for (const { value: id } of takeRows(free, request.limit - claimed.length)) {
        claimed.push(this.#deliver(rows, this.#read(rows, id) as Claim, { owner: request.owner, until }));
      }
    }
    return claimed;
  }

  claimThese(rows: WriteRows, { owner, leaseMs, effectIds }: ExtendRequest, nowMs: number): ClaimedEffect[] {
    const [end, until] = [sortable(nowMs), sortable(nowMs + leaseMs)];
    const free = this.#known(rows, effectIds).filter((claim) => claim.until <= end);
    return free.map((claim) => this.#deliver(rows, claim, { owner, until }));
  }

  freeOf(
    rows: ReadRows,
    { partition, after, limit }: { partition: number; after: FreePosition | null; limit: number },
    nowMs: number,
  ): FreeEffect[] {
    const table = `${this.#prefix}q${twoDigits(partition)}`;
    const from = after === null ? table : `${table}${sortable(after.freeSinceMs)}${part(after.id)}${AFTER_ALL}`;
    const free = takeRows(rows.ascending(from, `${table}${sortable(nowMs)}${AFTER_ALL}`), limit);
    return free.flatMap(({ value }) => {
      const claim = this.#read(rows, value);
      if (claim === null) return [];
      return [{ ...toStored(claim), freeSinceMs: numberOf(claim.until), deliveries: claim.deliveries }];
    });
  }

  giveBack(rows: WriteRows, { owner, effectIds, delayMs }: Held & { readonly delayMs: number }, nowMs: number): void {
    for (const claim of this.#known(rows, effectIds)) {
      if (claim.owner !== owner) continue;
      const deliveries = Math.max(claim.deliveries - 1, 0);
      this.#replace(rows, claim, { owner: delayMs > 0 ? owner : "", until: sortable(nowMs + delayMs), deliveries });
    }
  }

  setAside(rows: WriteRows, { owner, effectIds }: Held, nowMs: number): string[] {
    const held = this.#known(rows, effectIds).filter((claim) => claim.owner === owner);
    for (const claim of held) this.#replace(rows, claim, { owner: "", until: sortable(SET_ASIDE_MS + nowMs) });
    return held.map(({ id }) => id);
  }

  deadLetters(rows: ReadRows, { limit, partitions }: { limit: number; partitions: number }): DeadLetter[] {
    const letters = Array.from({ length: partitions }, (_, partition) => {
      const table = `${this.#prefix}q${twoDigits(partition)}`;
      return takeRows(rows.ascending(`${table}${SET_ASIDE}`, `${table}${AFTER_ALL}`), limit);
    });
    return letters.flat().flatMap(({ value }) => {
      const claim = this.#read(rows, value);
      if (claim === null) return [];
      const setAsideAtMs = numberOf(claim.until) - SET_ASIDE_MS;
      return [{ ...toStored(claim), deliveries: claim.deliveries, setAsideAtMs }];
    });
  }

  resume(rows: WriteRows, effectIds: readonly string[], nowMs: number): string[] {
    const aside = this.#known(rows, effectIds).filter(({ until }) => until >= SET_ASIDE);
    for (const claim of aside) this.#replace(rows, claim, { owner: "", until: sortable(nowMs), deliveries: 0 });
    return aside.map(({ id }) => id);
  }

  /** All, claimed ones too, in the order of their ids. */
  list(rows: ReadRows, { limit, partition }: { limit: number; partition: number | undefined }): StoredEffect[] {
    const found: StoredEffect[] = [];
    if (limit < 1) return found;
    const from = `${this.#prefix}f`;
    for (const { value } of rows.ascending(from, `${from}${AFTER_ALL}`)) {
      const claim = parse(value);
      if (partition === undefined || claim.partition === partition) found.push(toStored(claim));
      if (found.length >= limit) break;
    }
    return found;
  }

  /** Gives the ids that `owner` has lost. */
  extend(rows: WriteRows, { owner, leaseMs, effectIds }: ExtendRequest, nowMs: number): string[] {
    const until = sortable(nowMs + leaseMs);
    return effectIds.filter((id) => {
      const claim = this.#read(rows, id);
      if (claim === null || claim.until === FREE || claim.owner !== owner) return true;
      this.#replace(rows, claim, { owner, until });
      return false;
    });
  }

  /** Ids of effects of a partition whose claim is missing. */
  unclaimed(rows: ReadRows, partition: number): string[] {
    const from = `${this.#prefix}f`;
    return Array.from(rows.ascending(from, `${from}${AFTER_ALL}`), ({ value }) => parse(value))
      .filter((claim) => claim.partition === partition && rows.get(this.#claimKey(claim)) === undefined)
      .map(({ id }) => id);
  }

  /** Is there anything that nobody holds? */
  hasFree(rows: ReadRows, partitions: readonly number[], nowMs: number): boolean {
    return partitions.some((partition) => {
      const from = `${this.#prefix}q${twoDigits(partition)}`;
      return takeRows(rows.ascending(from, `${from}${sortable(nowMs)}${AFTER_ALL}`), 1).length > 0;
    });
  }

  /** Is any effect claimed? */
  hasClaims(rows: ReadRows, partitions: number): boolean {
    return Array.from({ length: partitions }, (_, partition) => this.#claimed(rows, partition, 1)).flat().length > 0;
  }

  /** Frees what is claimed; it still says by whom. */
  free(rows: WriteRows, partitions: number): void {
    for (let partition = 0; partition < partitions; partition += 1)
      for (const id of this.#claimed(rows, partition, Infinity))
        this.#replace(rows, this.#read(rows, id) as Claim, { until: FREE });
  }

  #claimed(rows: ReadRows, partition: number, limit: number): string[] {
    const table = `${this.#prefix}q${twoDigits(partition)}`;
    const from = `${table}${FREE}${AFTER_ALL}`;
    const claimed: string[] = [];
    for (const { value: id } of rows.ascending(from, `${table}${AFTER_ALL}`)) {
      if (this.#read(rows, id)?.owner !== "") claimed.push(id);
      if (claimed.length >= limit) break;
    }
    return claimed;
  }

  #deliver(rows: WriteRows, claim: Claim, by: { owner: string; until: string }): ClaimedEffect {
    const deliveries = claim.deliveries + 1;
    this.#replace(rows, claim, { ...by, deliveries });
    const heldBy = deliveries > 1 && claim.owner !== "" ? { heldBy: claim.owner } : {};
    return { ...toStored(claim), deliveries, ...heldBy };
  }

  #known(rows: ReadRows, effectIds: readonly string[]): Claim[] {
    return effectIds.flatMap((id) => this.#read(rows, id) ?? []);
  }

  #replace(rows: WriteRows, claim: Claim, changed: Partial<Claim>): void {
    rows.remove(this.#claimKey(claim));
    this.#add(rows, { ...claim, ...changed });
  }

  #add(rows: WriteRows, claim: Claim): void {
    const { id, partition, value, owner, until, deliveries } = claim;
    const holder = deliveries === usualDeliveries(owner) ? owner : `${owner}~${deliveries}`;
    rows.put(this.#key(id), `${until} ${partition} ${holder.length} ${id.length} ${holder}${id}${value}`);
    rows.put(this.#claimKey(claim), id);
  }

  #take(rows: WriteRows, id: string): void {
    const claim = this.#read(rows, id);
    if (claim === null) return;
    rows.remove(this.#key(id));
    rows.remove(this.#claimKey(claim));
  }

  #read(rows: ReadRows, id: string): Claim | null {
    const text = rows.get(this.#key(id));
    return text === undefined ? null : parse(text);
  }

  #key(id: string): string {
    return `${this.#prefix}f${part(id)}`;
  }

  #claimKey({ partition, until, id }: Pick<Claim, "partition" | "until" | "id">): string {
    return `${this.#prefix}q${twoDigits(partition)}${until}${part(id)}`;
  }
}

function parse(text: string): Claim {
  const [until, partition, ownerLength, idLength] = text.split(" ", 4) as [string, string, string, string];
  const ownerAt = until.length + partition.length + ownerLength.length + idLength.length + 4;
  const idAt = ownerAt + Number(ownerLength);
  const valueAt = idAt + Number(idLength);
  const holder = text.slice(ownerAt, idAt);
  const counted = /^(.*)~(\d+)$/.exec(holder);
  const owner = counted?.[1] ?? holder;
  return {
    until,
    partition: Number(partition),
    owner,
    deliveries: counted === null ? usualDeliveries(owner) : Number(counted[2]),
    id: text.slice(idAt, valueAt),
    value: text.slice(valueAt),
  };
}

/** Whoever commits an effect may claim it at once. */
function usualDeliveries(owner: string): number {
  return owner === "" ? 0 : 1;
}

function toStored({ id, partition, value }: Claim): StoredEffect {
  return { id, partition, value };
}
