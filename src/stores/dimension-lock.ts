/**
 * A counting lock. For a forming group it is a damper on wasted work, never the safety (the compare-and-set of the commit
 * is); for a worker's rate its slots are what may begin within a time.
 */
export interface DimensionLock {
  /**
   * Takes one of `slots` slots for `leaseMs`, or answers null when all are taken (it does not wait).
   * `partition`: where what is decided under the lock lies; a key always comes with the same one.
   * Every holder has its own slot, so a late release or a killed holder never frees or leaks another's.
   */
  acquire(request: DimensionLockRequest): Promise<DimensionLockHold | null>;
}

export type DimensionLockRequest = { key: string; partition: number; slots: number; leaseMs: number };

export interface DimensionLockHold {
  /** Gives the slot back; a hold that has run out already is not an error. */
  release(): Promise<void>;
}
