import { partitionOf } from "../../model/ids.ts";
import type { DimensionLock, DimensionLockHold, DimensionLockRequest } from "../../stores/dimension-lock.ts";

/** At most `count` within any `perMs`, spread or at once. */
export type Rate = { readonly count: number; readonly perMs: number };

/** When some are taken, all are looked at. */
const SLOT_COUNT_MAX = 1_000;

/**
 * How often the actions of policies may be begun, by all workers of the namespace that are told a rate for them. Who
 * begins one takes a slot of the policy's, by the store's clock, and keeps it for `perMs`, whatever becomes of the
 * attempt or of the process.
 */
export class RateLimits {
  readonly #lock: DimensionLock;
  readonly #slots: ReadonlyMap<string, DimensionLockRequest>;

  constructor(lock: DimensionLock, { rates, partitions }: { rates: ReadonlyMap<string, Rate>; partitions: number }) {
    this.#lock = lock;
    this.#slots = new Map([...rates].map(([policy, rate]) => [policy, slotsOf(policy, rate, partitions)]));
  }

  isLimited(policy: string): boolean {
    return this.#slots.has(policy);
  }

  /** A slot to begin one attempt of a limited policy; null: not yet. Released, it counts as unused. */
  async take(policy: string): Promise<DimensionLockHold | null> {
    return this.#lock.acquire(this.#slots.get(policy) as DimensionLockRequest);
  }
}

/** Of a rate with more slots, a part within the same part of the time: never more often than it says. */
function slotsOf(policy: string, { count, perMs }: Rate, partitions: number): DimensionLockRequest {
  const parts = Math.min(Math.ceil(count / SLOT_COUNT_MAX), perMs);
  const key = `rate ${policy}`;
  const [slots, leaseMs] = [Math.floor(count / parts), Math.ceil(perMs / parts)];
  return { key, partition: partitionOf(key, partitions), slots: Math.min(slots, SLOT_COUNT_MAX), leaseMs };
}
