/** At most `count` within any `perMs`, spread or at once. */
export type Rate = { readonly count: number; readonly perMs: number };

/**
 * How often this process may begin each policy's action. A window that slides: the times of the last `count` are
 * remembered.
 */
export class RateLimits {
  readonly #rates: ReadonlyMap<string, Rate>;
  readonly #taken = new Map<string, number[]>();

  constructor(rates: ReadonlyMap<string, Rate>) {
    this.#rates = rates;
  }

  /** False: not yet. */
  take(policy: string, nowMs: number): boolean {
    const rate = this.#rates.get(policy);
    if (rate === undefined) return true;
    const taken = (this.#taken.get(policy) ?? []).filter((atMs) => atMs > nowMs - rate.perMs);
    const isFree = taken.length < rate.count;
    if (isFree) taken.push(nowMs);
    this.#taken.set(policy, taken);
    return isFree;
  }

  /** What was taken last was not used. */
  giveBack(policy: string): void {
    this.#taken.get(policy)?.pop();
  }
}
