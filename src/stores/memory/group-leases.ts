type Lease = { readonly owner: string; readonly untilMs: number };

/** No key of a group: those begin with the number of a partition. */
const RUN_LEASE = "run";

/** Leases on groups and on the run, among those that share the writing process. */
export class GroupLeases {
  readonly #leases = new Map<string, Lease>();

  isFenced(
    { groupId, partition, owner }: { groupId: string; partition: number; owner: string },
    nowMs: number,
  ): boolean {
    return this.#isHeld(`${partition} ${groupId}`, owner, nowMs);
  }

  take(
    { groupId, partition, ...lease }: { groupId: string; partition: number; owner: string; ttlMs: number },
    nowMs: number,
  ): boolean {
    return this.#take(`${partition} ${groupId}`, lease, nowMs);
  }

  /** Of somebody else nothing is ended. */
  end({ groupId, partition, owner }: { groupId: string; partition: number; owner: string }, nowMs: number): void {
    const key = `${partition} ${groupId}`;
    if (!this.#isHeld(key, owner, nowMs)) this.#leases.delete(key);
  }

  takeRun(lease: { owner: string; ttlMs: number }, nowMs: number): boolean {
    return this.#take(RUN_LEASE, lease, nowMs);
  }

  #take(key: string, { owner, ttlMs }: { owner: string; ttlMs: number }, nowMs: number): boolean {
    if (this.#isHeld(key, owner, nowMs)) return false;
    this.#leases.set(key, { owner, untilMs: nowMs + ttlMs });
    return true;
  }

  /** By somebody else. */
  #isHeld(key: string, owner: string, nowMs: number): boolean {
    const lease = this.#leases.get(key);
    if (lease === undefined) return false;
    if (lease.untilMs > nowMs) return lease.owner !== owner;
    this.#leases.delete(key);
    return false;
  }
}
