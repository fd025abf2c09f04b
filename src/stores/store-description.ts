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
