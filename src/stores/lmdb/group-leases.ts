type Holder = { readonly groupId: string; readonly partition: number; readonly owner: string };

/** Leases on groups, among those that share the writing process. */
export class GroupLeases {
  readonly #leases = new Map<string, { readonly owner: string; readonly untilMs: number }>();

  isFenced({ groupId, partition, owner }: Holder, nowMs: number): boolean {
    const key = `${partition} ${groupId}`;
    const lease = this.#leases.get(key);
    if (lease === undefined) return false;
    if (lease.untilMs > nowMs) return lease.owner !== owner;
    this.#leases.delete(key);
    return false;
  }

  take({ ttlMs, ...holder }: Holder & { ttlMs: number }, nowMs: number): boolean {
    if (this.isFenced(holder, nowMs)) return false;
    const { partition, groupId, owner } = holder;
    this.#leases.set(`${partition} ${groupId}`, { owner, untilMs: nowMs + ttlMs });
    return true;
  }
}
