/** Where a process finds what it runs: whatever has waited longest, what it chooses (chosen-effects.ts), or nothing. */
import type { ClaimedEffect } from "../../stores/outbox.ts";
import type { Runtime } from "../runtime.ts";

/** How long a claim on an effect lasts without being prolonged. */
export const EFFECT_LEASE_MS = 8_000;

/** So many times what runs at once may wait here for long; what is beyond that is given back. */
const AHEAD = 2;
const AHEAD_COUNT_MIN = 64;

/** `isMore`: the outbox has more of it. */
export type TakenEffects = { readonly effects: readonly ClaimedEffect[]; readonly isMore: boolean };

export interface EffectSource {
  /** Does this process begin the effects that it commits itself? Otherwise they are for whoever comes first. */
  readonly takesOwn: boolean;
  /** How many more it may hold, of which so many wait for their turn, and so many are out. */
  room(held: { readonly waiting: number; readonly out: number }): number;
  /** How many may wait here for their turn for long. */
  readonly aheadCount: number;
  readonly polledEveryMs: number;
  /** Claims at most `limit`. */
  take(limit: number): Promise<TakenEffects>;
}

/** An engine's: the oldest first, wherever it came from. */
export class LongestWaiting implements EffectSource {
  readonly takesOwn = true;
  readonly polledEveryMs = 500;
  readonly aheadCount: number;
  readonly #runtime: Runtime;

  constructor(runtime: Runtime, concurrency: number) {
    this.#runtime = runtime;
    this.aheadCount = Math.max(AHEAD * concurrency, AHEAD_COUNT_MIN);
  }

  room({ waiting }: { readonly waiting: number }): number {
    return this.aheadCount - waiting;
  }

  async take(limit: number): Promise<TakenEffects> {
    const { store, owner } = this.#runtime;
    const effects = await store.claimEffects({ owner, leaseMs: EFFECT_LEASE_MS, limit });
    return { effects, isMore: effects.length >= limit };
  }
}

/** Of an engine that leaves all effects to workers. */
export const NO_EFFECTS: EffectSource = {
  takesOwn: false,
  polledEveryMs: 60_000,
  aheadCount: 0,
  room: () => 0,
  take: () => Promise.resolve({ effects: [], isMore: false }),
};
