/**
 * The outbox. `f<effect>`: `<end of the claim> <partition> <length of the owner> <length of the id> `, then owner, id and effect.
 * `q<partition><end of the claim><effect>`: the effect's id. While nobody has claimed it, the end is the time of its commit: what has waited
 * longest is taken first.
 *
 * A claim is held by the process that writes: when another one takes over (or the same one starts again), its claims are free at once.
 */
import type { Commit, ExtendRequest, StoredEffect } from "../store.ts";
import { AFTER_ALL, part, sortable, twoDigits } from "./row-keys.ts";
import { type ReadRows, takeRows, type WriteRows } from "./rows.ts";

const FREE = sortable(0);

type Claim = StoredEffect & { readonly owner: string; readonly until: string };

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
      this.#add(rows, { ...effect, owner: effectClaimMs === null ? "" : owner, until });
    }
    for (const id of settledEffectIds) this.#take(rows, id);
  }

  claim(
    rows: WriteRows,
    request: { owner: string; leaseMs: number; limit: number; partitions: readonly number[] },
    nowMs: number,
  ): StoredEffect[] {
    const claimed: StoredEffect[] = [];
    const end = sortable(nowMs);
    const until = sortable(nowMs + request.leaseMs);
    for (const partition of request.partitions) {
      const from = `${this.#prefix}q${twoDigits(partition)}`;
      const free = rows.ascending(from, `${from}${end}${AFTER_ALL}`);
      for (const { value: id } of takeRows(free, request.limit - claimed.length)) {
        const claim = this.#read(rows, id) as Claim;
        this.#prolong(rows, claim, { owner: request.owner, until });
        claimed.push(toStored(claim));
      }
    }
    return claimed;
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
      this.#prolong(rows, claim, { owner, until });
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

  /** Frees what is claimed. */
  free(rows: WriteRows, partitions: number): void {
    for (let partition = 0; partition < partitions; partition += 1)
      for (const id of this.#claimed(rows, partition, Infinity))
        this.#prolong(rows, this.#read(rows, id) as Claim, { owner: "", until: FREE });
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

  #prolong(rows: WriteRows, claim: Claim, { owner, until }: { owner: string; until: string }): void {
    rows.remove(this.#claimKey(claim));
    this.#add(rows, { ...claim, owner, until });
  }

  #add(rows: WriteRows, claim: Claim): void {
    const { id, partition, value, owner, until } = claim;
    rows.put(this.#key(id), `${until} ${partition} ${owner.length} ${id.length} ${owner}${id}${value}`);
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
  return {
    until,
    partition: Number(partition),
    owner: text.slice(ownerAt, idAt),
    id: text.slice(idAt, valueAt),
    value: text.slice(valueAt),
  };
}

function toStored({ id, partition, value }: Claim): StoredEffect {
  return { id, partition, value };
}
