/** The calls of a store that only look: what a server answers to commands, and nothing else. */
export const READ_CALLS = [
  "open",
  "load",
  "members",
  "list",
  "history",
  "touched",
  "oldest",
  "timers",
  "dueTimes",
  "listEffects",
  "unclaimedEffects",
  "strayInstances",
  "policies",
  "describe",
] as const;

export type ReadCall = (typeof READ_CALLS)[number];
