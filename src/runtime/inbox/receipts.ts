import { RETENTION_REFRESH_DIVISOR } from "../../model/limits.ts";
import type { Store } from "../../stores/store.ts";

const REMEMBERED_COUNT_MAX = 100_000;

/**
 * Retention counts from the last receipt of an instance's alert. Writing every receipt would cost a write a re-sent
 * alert, so one is written at most once per retention / 8; what this process wrote it remembers.
 */
export class Receipts {
  readonly #store: Store;
  readonly #everyMs: number;
  readonly #written = new Map<string, number>();

  constructor(store: Store, retentionMs: number) {
    this.#store = store;
    this.#everyMs = retentionMs / RETENTION_REFRESH_DIVISOR;
  }

  /** An alert came again. Writes in the background: a receipt that is lost is written with the next one. */
  received(id: string, { atMs, lastStepAtMs }: { atMs: number; lastStepAtMs: number }): void {
    if (atMs - Math.max(lastStepAtMs, this.#written.get(id) ?? 0) < this.#everyMs) return;
    if (this.#written.size >= REMEMBERED_COUNT_MAX) this.#written.clear();
    this.#written.set(id, atMs);
    this.#store.touch(id, atMs).catch(() => this.#written.delete(id));
  }
}
