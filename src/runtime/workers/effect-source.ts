/**
 * Where a process finds what it runs: whatever has waited longest (longest-waiting.ts), what it chooses
 * (chosen-effects.ts), or nothing.
 */
import type { ClaimedEffect } from "../../stores/outbox.ts";

/** How long a claim on an effect lasts without being prolonged. */
export const EFFECT_LEASE_MS = 8_000;

/** So many wait here for their turn, and so many are out. */
export type Held = { readonly waiting: number; readonly out: number };
export type HeldByKind = { readonly actions: Held; readonly notices: Held };

/** How many more of each kind may be held here; 0 or less: none. */
export type Room = { readonly actions: number; readonly notices: number };

/** `isMore`: the outbox has more of it; null: that was not looked at. */
export type TakenEffects = { readonly effects: readonly ClaimedEffect[]; readonly isMore: boolean | null };

export interface EffectSource {
  /** Does this process begin the effects that it commits itself? Otherwise they are for whoever comes first. */
  readonly takesOwn: boolean;
  /** However many actions are held, the room for notices stays. */
  room(held: HeldByKind): Room;
  /** How many of each kind may wait here for their turn for long. */
  readonly aheadCount: number;
  readonly polledEveryMs: number;
  /** Claims what there is room for. */
  take(room: Room): Promise<TakenEffects>;
}

/** Of an engine that leaves all effects to workers. */
export const NO_EFFECTS: EffectSource = {
  takesOwn: false,
  polledEveryMs: 60_000,
  aheadCount: 0,
  room: () => ({ actions: 0, notices: 0 }),
  take: () => Promise.resolve({ effects: [], isMore: false }),
};
