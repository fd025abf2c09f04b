import type { DimensionLock, DimensionLockHold } from "../dimension-lock.ts";

type Slot = { readonly untilMs: number };

/** A counting lock inside one process. `now`: the clock of its leases, in epoch ms. */
export function memoryDimensionLock(now: () => number): DimensionLock {
  const slotsOf = new Map<string, Set<Slot>>();

  function release(key: string, slot: Slot): void {
    const taken = slotsOf.get(key);
    if (taken?.delete(slot) && taken.size === 0) slotsOf.delete(key);
  }

  return {
    async acquire({ key, slots, leaseMs }): Promise<DimensionLockHold | null> {
      const nowMs = now();
      const taken = slotsOf.get(key) ?? new Set();
      for (const slot of taken) if (slot.untilMs <= nowMs) taken.delete(slot);
      if (taken.size >= slots) return null;
      const slot = { untilMs: nowMs + leaseMs };
      slotsOf.set(key, taken.add(slot));
      return { release: async () => release(key, slot) };
    },
  };
}
