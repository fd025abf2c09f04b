type Entry<Value> = { readonly value: Value; readonly untilMs: number };

/** Values that are gone when their life has run out. The one that was written last stands last. */
export class ExpiringMap<Value> {
  readonly #entries = new Map<string, Entry<Value>>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  get(key: string): Value | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined || entry.untilMs > this.#now()) return entry?.value;
    this.#entries.delete(key);
    return undefined;
  }

  /** Lives `ttlMs` from now. */
  set(key: string, value: Value, ttlMs: number): void {
    this.#entries.delete(key);
    this.#entries.set(key, { value, untilMs: this.#now() + ttlMs });
  }

  /** Drops what has run out, from the oldest write on; each entry is dropped once. */
  forget(): void {
    const nowMs = this.#now();
    for (const [key, { untilMs }] of this.#entries) {
      if (untilMs > nowMs) return;
      this.#entries.delete(key);
    }
  }
}
