/**
 * When the first of a table's rows ends, so that looking for ended ones costs nothing while there are none. One process
 * writes a table.
 */
export class NextEnd {
  /** No row ends before this; what is not known is now. */
  #fromMs = Number.NEGATIVE_INFINITY;

  mayBeOver(nowMs: number): boolean {
    return this.#fromMs <= nowMs;
  }

  /** A look has found that the first one that is left ends then; null: none is left. */
  found(endMs: number | null): void {
    this.#fromMs = endMs ?? Number.POSITIVE_INFINITY;
  }

  added(endMs: number): void {
    if (endMs < this.#fromMs) this.#fromMs = endMs;
  }
}
