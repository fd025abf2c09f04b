/**
 * What outlives what. `none`: the process only. `async`: a killed server loses what it has not saved; `everysec`: at
 * most about a second; `always`: nothing that was answered. `replicated`: answered only when so many replicas have it.
 * `unknown`: nobody may ask.
 */
export type DurabilityProfile = "none" | "async" | "everysec" | "always" | "replicated" | "unknown";

/** One check. `advice`: what to do about it; absent: all is well. */
export type Finding = { readonly what: string; readonly is: string; readonly advice?: string };

export type StoreDescription = {
  readonly durability: DurabilityProfile;
  readonly findings: readonly Finding[];
};

/** The time of a server, or of what a store is opened on: claims and leases run out by it. */
export type StoreClock = { readonly where: string; readonly nowMs: number };

/**
 * A commit that was answered `applied` or `duplicate` and is gone: its server lost its last writes, or another took its
 * place that had not got them.
 */
export type LostCommit = {
  readonly commitId: string;
  readonly partition: number;
  /** When it was answered. */
  readonly atMs: number;
  readonly instanceIds: readonly string[];
};

/** `clocks`: none, if the store is on this machine and has no clock of its own. */
export type StorePulse = { readonly clocks: readonly StoreClock[]; readonly lost: readonly LostCommit[] };
