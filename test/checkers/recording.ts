/** What a run left behind: all that the checkers look at, whoever ran it (the simulation, or real processes). */
import type { Policy } from "../../src/policy/policy.ts";
import type { TimerRow } from "../../src/stores/store.ts";

export type Recording = {
  readonly instances: readonly StoredTrail[];
  /** Every version, by `name@version`. */
  readonly policies: ReadonlyMap<string, Policy>;
  readonly timers: readonly TimerRow[];
  readonly effects: readonly { readonly id: string; readonly instanceId: string; readonly attempt: number }[];
  readonly requests: readonly SentRequest[];
  readonly deliveries: readonly Delivery[];
  /**
   * Place of each commit among all, by instance id and version (`ID VERSION`): the whole part is the commit's, the fraction the instance's in it.
   * null: nobody saw the order.
   */
  readonly commitOrder: ReadonlyMap<string, number> | null;
  /** Emergency stops of everything: from the step after which nothing more can begin, to the one that lifts it; null: never. */
  readonly pauses: readonly { readonly fromOrder: number; readonly untilOrder: number | null }[];
  readonly faultLines: readonly { readonly atMs: number; readonly text: string }[];
  /** When the only engine looked for timers that are due, in order; null: there are several, or nobody saw it. */
  readonly looksForTimers: readonly { readonly atMs: number; readonly order: number }[] | null;
  /** What was still there after everything had been forgotten; null: the run was not that long. */
  readonly leftovers: readonly string[] | null;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  readonly promises: Promises;
};

export type StoredTrail = {
  readonly id: string;
  readonly version: number;
  /** Head and body of the checkpoint. */
  readonly value: string;
  readonly lines: readonly string[];
};

/** One call of a sender. */
export type SentRequest = {
  readonly atMs: number;
  /** null: no answer came (the process died). */
  readonly answeredAtMs: number | null;
  /** Position of the answer among all steps; null: no answer, or nobody counted. */
  readonly answeredOrder: number | null;
  /** Fingerprints that it said were resolved. */
  readonly resolved: readonly string[];
  readonly taken: readonly { readonly id: string; readonly outcome: string }[];
  /** `isUnknown`: the store may have carried it out although it answered with an error. */
  readonly refused: readonly { readonly fingerprint: string; readonly code: string; readonly isUnknown: boolean }[];
  /** The whole call failed. */
  readonly error: string | null;
};

/** One attempt as its target heard of it. */
export type Delivery = {
  readonly atMs: number;
  readonly order: number | null;
  readonly instance: string;
  readonly attempt: number;
  readonly key: string;
  readonly process: string;
};

/** What this run must keep, beyond what every run must. */
export type Promises = {
  /** How late a timer may be taken; null: whatever comes. */
  readonly lateMsMax: number | null;
  /** Clocks of the processes differ by at most so much. */
  readonly skewMsMax: number;
  /** Nobody died or stood still, so no attempt was delivered a second time. */
  readonly isDeliveredOnce: boolean;
  /** A call is answered within this. */
  readonly answeredWithinMs: number;
  /** Lines about faults, for each second of the run. */
  readonly faultLinesPerSecondMax: number;
  /** The run ended with time for everything to come to rest. */
  readonly isAtRest: boolean;
  /** Less than that, and the run shows nothing. */
  readonly atLeast: { readonly instances: number; readonly attempts: number };
};

export type Violation = { readonly checker: string; readonly what: string };
