/**
 * The outbox as those see it who choose what they run: workers, and whoever looks after what could not be delivered.
 * What a process takes as it comes, `Store.claimEffects` gives.
 *
 * A delivery is a claim that was not given back. What was delivered too often without a result is set aside: nobody is
 * given it until it is resumed.
 */

/** `value` is an effect as instance/effect.ts wrote it. */
export type StoredEffect = { id: string; partition: number; value: string };

/** The position of an effect in the order in which effects become free; ties by id. */
export type FreePosition = { readonly freeSinceMs: number; readonly id: string };

/** `deliveries`: so far. */
export type FreeEffect = StoredEffect & { readonly freeSinceMs: number; readonly deliveries: number };

/** `deliveries`: this one included. `heldBy`: of one that was delivered before, who held it last, if that is known. */
export type ClaimedEffect = StoredEffect & { readonly deliveries: number; readonly heldBy?: string };

/** `setAsideAtMs`: by the store's clock. */
export type DeadLetter = StoredEffect & { readonly setAsideAtMs: number; readonly deliveries: number };

export interface Outbox {
  /**
   * Effects of a partition that nobody holds, in the order in which they became free, strictly after `after`; at most
   * `limit`. Claims nothing.
   */
  free(request: { partition: number; after: FreePosition | null; limit: number }): Promise<FreeEffect[]>;

  /** Claims those of `effectIds` that nobody holds. `leaseMs`: at least 1. */
  claim(request: { owner: string; leaseMs: number; effectIds: readonly string[] }): Promise<ClaimedEffect[]>;

  /**
   * Gives back claims of `owner`, as deliveries that never were; they are free after `delayMs`, or once it gives them
   * back at once. Claims of others stay.
   */
  giveBack(request: { owner: string; effectIds: readonly string[]; delayMs: number }): Promise<void>;

  /** Sets aside what `owner` has claimed. Gives the ids that were. */
  setAside(request: { owner: string; effectIds: readonly string[] }): Promise<string[]>;

  /** What is set aside, what has lain longest first; at most `limit`. */
  deadLetters(request: { limit: number }): Promise<DeadLetter[]>;

  /** Lets what is set aside be delivered once more, as if it never had been. Gives the ids that were set aside. */
  resume(effectIds: readonly string[]): Promise<string[]>;
}

/**
 * The claim of what is set aside ends at this number and the time of its setting aside: no clock shows it, and it is
 * exact.
 */
export const SET_ASIDE_MS = 8_000_000_000_000_000;

/** `leaseMs`: at least 1. */
export type ClaimRequest = { owner: string; leaseMs: number; limit: number; partition?: number };

/** `leaseMs`: at least 1. */
export type ExtendRequest = { owner: string; leaseMs: number; effectIds: readonly string[] };
