/** What may happen in a schedule. A scenario is data: the seed chooses among what it allows. */
import type { ConvergenceFunction } from "../../src/model/convergence-rule.ts";
import type { Promises } from "../checkers/recording.ts";

export type Network = {
  /** A request, and a reply, takes up to so long. */
  readonly delayMsMax: number;
  /** How many take up to `stallMsMax` instead. */
  readonly stalls: number;
  readonly stallMsMax: number;
  /** Calls that fail before the store hears of them. */
  readonly failures: number;
  /** Calls that are carried out and answered with an error. */
  readonly lostReplies: number;
  /** Commits that are sent a second time because the first reply was lost. */
  readonly repeats: number;
  /** Beats that are answered with a part of those that live, or with others too: engines then take each other for dead, or the dead for alive. */
  readonly wrongMembers: number;
};

export type Scenario = {
  readonly name: string;
  /** How often it is chosen, beside the others. */
  readonly weight: number;
  readonly engines: number;
  readonly partitions: number;
  /** One of these; null: no rule. */
  readonly functions: readonly (ConvergenceFunction | null)[];
  readonly counts: readonly number[];
  readonly windowMs: number;
  readonly retryLimits: readonly number[];
  readonly retryDelayMs: number;
  readonly approvalMs: number;
  /** Further keys of the policy. */
  readonly policy: object;
  readonly requests: number;
  /** Between two requests one of these. */
  readonly gapsMs: readonly number[];
  readonly alertsPerRequestMax: number;
  readonly hosts: number;
  readonly names: number;
  /** Alerts say that they started so long ago, one of these; null: they do not say. */
  readonly startedAgoMs: readonly (number | null)[];
  /** Requests that say that an alert is resolved. */
  readonly resolves: number;
  readonly handler: { readonly delaysMs: readonly number[]; readonly failures: number };
  readonly network: Network;
  readonly skewMsMax: number;
  /** How many of these there are, at random times. */
  readonly crashes: number;
  readonly stops: number;
  readonly stopsMs: readonly number[];
  readonly answers: number;
  readonly pauses: number;
  /** Everything is forgotten at the end, and nothing may be left. */
  readonly isForgotten: boolean;
  readonly promises: Pick<Promises, "lateMsMax" | "isDeliveredOnce" | "atLeast">;
};

const CALM: Network = {
  delayMsMax: 0,
  stalls: 0,
  stallMsMax: 0,
  failures: 0,
  lostReplies: 0,
  repeats: 0,
  wrongMembers: 0,
};

const ALL: readonly (ConvergenceFunction | null)[] = [
  null,
  "skip_when_success",
  "approve_when_failed",
  "skip_when_proceed",
  "wait_when_proceed",
  "skip_when_exceed",
  "defense",
  "collect",
  "collect_alarm",
  "trigger",
  "relevance",
];

const BASE: Scenario = {
  name: "calm",
  weight: 1,
  engines: 1,
  partitions: 1,
  functions: ALL,
  counts: [1, 2, 3],
  windowMs: 4_000,
  retryLimits: [0, 1, 2],
  retryDelayMs: 700,
  approvalMs: 3_000,
  policy: {},
  requests: 6,
  gapsMs: [0, 100, 1_000, 1_000, 2_000, 4_000, 4_001],
  alertsPerRequestMax: 2,
  hosts: 2,
  names: 40,
  startedAgoMs: [0],
  resolves: 0,
  handler: { delaysMs: [0, 0, 300, 1_100], failures: 0.3 },
  network: CALM,
  skewMsMax: 0,
  crashes: 0,
  stops: 0,
  stopsMs: [],
  answers: 1,
  pauses: 0,
  isForgotten: false,
  promises: { lateMsMax: 500, isDeliveredOnce: true, atLeast: { instances: 1, attempts: 0 } },
};

const ROUGH = { lateMsMax: null, isDeliveredOnce: false, atLeast: { instances: 0, attempts: 0 } };

/** One engine, no faults: everything happens when it is due, and once. */
const calm: Scenario = BASE;

/** Retries that are due before anybody would look for them. */
const prompt: Scenario = { ...BASE, name: "prompt", retryDelayMs: 90, requests: 10 };

/** Alerts at the very edges of their windows. */
const edges: Scenario = {
  ...BASE,
  name: "edges",
  functions: ["skip_when_exceed", "defense", "collect", "collect_alarm", "trigger", "relevance"],
  counts: [3, 4],
  requests: 14,
  gapsMs: [0, 1_000, 1_000, 3_000, 4_000],
  alertsPerRequestMax: 2,
  hosts: 1,
  names: 1_000,
};

/** Several engines on the same groups. */
const racing: Scenario = {
  ...BASE,
  name: "racing",
  startedAgoMs: [0, 10_000, null],
  weight: 3,
  engines: 3,
  hosts: 1,
  names: 12,
  alertsPerRequestMax: 3,
  gapsMs: [0, 0, 0, 1, 50, 1_000, 4_000],
  network: { ...CALM, delayMsMax: 3 },
  skewMsMax: 20,
  answers: 2,
  promises: { ...BASE.promises, lateMsMax: null },
};

/** Attempts that outlast their claims: whoever lives keeps them. */
const slowAttempts: Scenario = {
  ...BASE,
  name: "slow attempts",
  engines: 2,
  requests: 3,
  handler: { delaysMs: [12_000, 21_000], failures: 0.3 },
  network: { ...CALM, delayMsMax: 3 },
  promises: { ...BASE.promises, lateMsMax: null },
};

/** Processes that die at any await, and come back. */
const crashing: Scenario = {
  ...BASE,
  name: "crashing",
  partitions: 2,
  weight: 3,
  engines: 2,
  network: { ...CALM, delayMsMax: 5, repeats: 0.05 },
  crashes: 2,
  resolves: 0.1,
  promises: ROUGH,
};

/** Processes that stand still for longer than their claims, and go on as if nothing had been. */
const stopped: Scenario = {
  ...BASE,
  name: "stopped",
  engines: 2,
  network: { ...CALM, delayMsMax: 5 },
  stops: 2,
  stopsMs: [500, 4_000, 12_000, 40_000],
  promises: ROUGH,
};

/** Processes that come back with a result while the next attempt of the same instance runs elsewhere. */
const returning: Scenario = {
  ...BASE,
  name: "returning",
  engines: 2,
  requests: 4,
  functions: [null, "relevance"],
  retryLimits: [3],
  handler: { delaysMs: [500, 1_500, 3_000], failures: 0.7 },
  network: { ...CALM, delayMsMax: 5 },
  stops: 3,
  stopsMs: [8_500, 9_500, 10_500, 12_000, 14_000],
  promises: ROUGH,
};

/** A store that often cannot be reached, and one engine, which keeps the results that it has. */
const storeAway: Scenario = {
  ...BASE,
  name: "store away",
  network: { ...CALM, delayMsMax: 5, failures: 0.15 },
  promises: { ...BASE.promises, lateMsMax: null, atLeast: { instances: 0, attempts: 0 } },
};

/** A network that loses, repeats and delays. */
const lossy: Scenario = {
  ...BASE,
  name: "lossy",
  weight: 2,
  engines: 2,
  network: {
    delayMsMax: 20,
    stalls: 0.02,
    stallMsMax: 6_000,
    failures: 0.02,
    lostReplies: 0.02,
    repeats: 0.1,
    wrongMembers: 0.05,
  },
  resolves: 0.1,
  promises: ROUGH,
};

/** All of it, with people who answer and stop everything. */
const everything: Scenario = {
  ...lossy,
  name: "everything",
  partitions: 2,
  weight: 2,
  engines: 3,
  crashes: 2,
  stops: 1,
  stopsMs: [500, 12_000],
  skewMsMax: 200,
  answers: 3,
  pauses: 1,
};

/** Decided again, verified, resolved: what moves an instance beside its attempts. */
const again: Scenario = {
  ...BASE,
  name: "decided again",
  engines: 2,
  functions: ["skip_when_success", "skip_when_exceed", "collect", "trigger", "wait_when_proceed"],
  policy: { again: { after: "5s", limit: 2 }, verify: { resolved_within: "6s" } },
  network: { ...CALM, delayMsMax: 3 },
  resolves: 0.25,
  crashes: 1,
  promises: ROUGH,
};

/** An emergency stop in the middle of a storm. */
const paused: Scenario = {
  ...BASE,
  name: "paused",
  partitions: 2,
  engines: 2,
  requests: 12,
  gapsMs: [0, 1, 3, 300, 700],
  network: { ...CALM, delayMsMax: 10 },
  pauses: 2,
  promises: ROUGH,
};

/** Engines know of each other wrongly: two own a partition, nobody does, or one that is long gone; and owners sleep. */
const wrongOwners: Scenario = {
  ...racing,
  name: "wrong owners",
  engines: 4,
  partitions: 4,
  requests: 20,
  gapsMs: [0, 0, 5, 400, 2_500],
  network: { ...CALM, delayMsMax: 20, stalls: 0.05, stallMsMax: 3_000, lostReplies: 0.01, wrongMembers: 0.5 },
  crashes: 2,
  stops: 2,
  stopsMs: [500, 4_000, 9_000],
  promises: ROUGH,
};

/** Everything comes to rest and is forgotten. */
const forgotten: Scenario = {
  ...BASE,
  name: "forgotten",
  engines: 2,
  network: { ...CALM, delayMsMax: 3 },
  crashes: 1,
  resolves: 0.1,
  isForgotten: true,
  promises: ROUGH,
};

/** Who waits for a person is kept for longer than the retention. */
const keptForAPerson: Scenario = {
  ...forgotten,
  name: "kept for a person",
  functions: ["defense", "approve_when_failed"],
  counts: [1],
  retryLimits: [0],
  approvalMs: 30 * 24 * 3_600_000,
  answers: 0,
  handler: { delaysMs: [0], failures: 0.7 },
};

export const SCENARIOS: readonly Scenario[] = [
  calm,
  prompt,
  edges,
  racing,
  slowAttempts,
  crashing,
  stopped,
  returning,
  storeAway,
  lossy,
  everything,
  again,
  paused,
  wrongOwners,
  forgotten,
  keptForAPerson,
];

export function scenarioNamed(name: string): Scenario {
  const found = SCENARIOS.find((scenario) => scenario.name === name);
  if (found !== undefined) return found;
  throw new Error(`Unknown scenario "${name}". Choose one of: ${SCENARIOS.map((one) => one.name).join(", ")}.`);
}

/** By seed, so that the seed alone repeats a schedule. */
export function scenarioOf(seed: number): Scenario {
  let place = seed % SCENARIOS.reduce((sum, { weight }) => sum + weight, 0);
  for (const scenario of SCENARIOS) {
    place -= scenario.weight;
    if (place < 0) return scenario;
  }
  return calm;
}
