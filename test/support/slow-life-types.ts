/** What the slow model of whole lives is given, and what it keeps. Its alerts have a name and a host; they fire until they resolve. */
import type { ConvergenceRule } from "../../src/model/convergence-rule.ts";
import type { InstanceState } from "../../src/model/instance-types.ts";

export type LifeLimits = { readonly actions: number; readonly failures: number; readonly perMs: number };

export type LifePolicy = {
  readonly name: string;
  /** Names of the alerts that it takes. */
  readonly alerts: readonly string[];
  readonly rule: ConvergenceRule | null;
  readonly retry: { readonly limit: number; readonly delayMs: number; readonly backoff: number };
  readonly approvalMs: number;
  readonly quorum: number;
  readonly onResolved: "skip" | "keep";
  readonly verifyMs: number | null;
  readonly afterSilence: "decide" | "skip";
  readonly again: { readonly afterMs: number; readonly limit: number } | null;
  readonly isObserving: boolean;
  readonly limits: LifeLimits | null;
};

/** v2: it fires for as long as its lease; v4: until it resolves. */
export type LifeForm = "v2" | "v4";
export type LifeLabels = { readonly alertname: string; readonly host: string };

/** `host` missing: of every host. */
export type LifeSilence = {
  readonly alertname: string;
  readonly host?: string;
  readonly fromMs: number;
  toMs: number;
};

export type LifeTimer = {
  readonly name: "retry" | "wait" | "approval" | "verify" | "reconsider" | "silence";
  readonly dueAtMs: number;
};

/** One instance. */
export type Life = {
  readonly policy: LifePolicy;
  readonly labels: LifeLabels;
  /** The engine's: timers that are due at one time fire in the order of their ids. */
  id: string;
  isFiring: boolean;
  /** Until when the last recorded receipt said that it fires; null: until somebody says that it has resolved. */
  leaseEndMs: number | null;
  state: InstanceState;
  isVerifying: boolean;
  /** A pause holds it. */
  isPaused: boolean;
  reason: string;
  readonly path: InstanceState[];
  attempts: number;
  /** Attempts of the round that a decision, a grant or a person's word began. */
  roundAttempts: number;
  /** Attempts since it was decided last, by whom its peers see. */
  attemptsHere: number;
  lastResult: { readonly isSuccess: boolean; readonly atMs: number } | null;
  timer: LifeTimer | null;
  silencedBy: LifeSilence | null;
  decidedAgain: number;
  grants: string[];
  /** When it began to wait or was held, among all. */
  arrival: number;
  group: LifeGroup | null;
};

export type LifeGroup = {
  readonly key: string;
  readonly rule: ConvergenceRule;
  readonly endAtMs: number;
  readonly opener: Life;
  readonly members: Set<Life>;
  /** Those that had an attempt in it; also those that have left it since. */
  readonly executed: Set<Life>;
  readonly skipped: Set<Life>;
  summaryDueAtMs: number | null;
  isClosed: boolean;
};

/** What is compared after every step. */
export type LifeRow = {
  readonly policy: string;
  readonly alert: string;
  readonly state: string;
  readonly reason: string;
  readonly attempts: number;
  readonly timer: string | null;
};

export function newLife(policy: LifePolicy, labels: LifeLabels): Life {
  return {
    policy,
    labels,
    id: "",
    isFiring: true,
    leaseEndMs: null,
    state: "Idle",
    isVerifying: false,
    isPaused: false,
    reason: "",
    path: [],
    attempts: 0,
    roundAttempts: 0,
    attemptsHere: 0,
    lastResult: null,
    timer: null,
    silencedBy: null,
    decidedAgain: 0,
    grants: [],
    arrival: 0,
    group: null,
  };
}

export function isSame(a: LifeLabels, b: LifeLabels): boolean {
  return a.alertname === b.alertname && a.host === b.host;
}

export function covers({ alertname, host }: LifeSilence, labels: LifeLabels): boolean {
  return alertname === labels.alertname && (host === undefined || host === labels.host);
}

export function compareTexts(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
