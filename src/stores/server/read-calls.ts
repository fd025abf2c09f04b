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

/** The same of the processes that share its namespace. */
export const PROCESS_READ_CALLS = ["processes.living", "processes.waiting", "processes.enrolled"] as const;

export type ProcessReadCall = (typeof PROCESS_READ_CALLS)[number];
