/**
 * The figures by which a rule is judged, from the histories of its instances: of those that were skipped for a peer,
 * how many alerts resolved, and how soon; of those that were executed, how many helped; how long people took to answer.
 * Pure, and one row a policy version, for that is a rule.
 *
 * "Skipped for a peer" is what another instance stands for: had the rule been wrong about that, the alert would go on
 * firing.
 */
import type { AuditEntry, History } from "../instance/audit-types.ts";
import type { Instance } from "../instance/checkpoint.ts";
import { isAtRest } from "../instance/open-index.ts";
import { topLevel } from "../instance/step.ts";
import type { EpisodeEnd } from "../model/instance-types.ts";
import type { ReasonCode } from "../model/reasons.ts";
import type { Policy } from "../policy/policy.ts";
import { policyKey } from "../policy/policy-versions.ts";

/**
 * `instance` null: its checkpoint cannot be read. `end`: of its alert; null: it fires still, or nobody knows when it
 * ended.
 */
export type Judged = {
  readonly history: History;
  readonly instance: Instance | null;
  readonly end: { readonly reason: EpisodeEnd; readonly atMs: number } | null;
};

const FOR_A_PEER: readonly ReasonCode[] = [
  "peer_succeeded",
  "peer_in_progress",
  "peer_settled_in_window",
  "limit_reached",
  "collected",
  "parent_open",
  "already_triggered",
];

/** Milliseconds; null: there is nothing to measure. */
export type Spread = {
  readonly count: number;
  readonly p50: number | null;
  readonly p90: number | null;
  readonly max: number | null;
};

export type OutcomeFigures = {
  readonly instances: number;
  readonly executed: {
    readonly count: number;
    readonly succeeded: number;
    /** Successes after which the alert resolved in time. */
    readonly verified: number;
    readonly failed: number;
    /** Those with an attempt whose alert did not resolve in time. */
    readonly notResolved: number;
    /** Those with more than one attempt. */
    readonly retried: number;
    readonly attempts: number;
    readonly underWay: number;
  };
  readonly skipped: {
    readonly count: number;
    readonly reasons: Readonly<Partial<Record<ReasonCode, number>>>;
    readonly forPeer: {
      readonly count: number;
      readonly resolved: number;
      /** From the decision to the resolve. */
      readonly resolvedAfterMs: Spread;
      /** Its lease ran out, or a later activity shows that the end was missed. */
      readonly lost: number;
      /** It fires still, or the record is of a later activity. */
      readonly unknown: number;
    };
  };
  readonly approvals: {
    readonly asked: number;
    readonly granted: number;
    readonly denied: number;
    readonly timedOut: number;
    /** Its alert resolved, or somebody cancelled it. */
    readonly ended: number;
    readonly waiting: number;
    /** Until a person answered. */
    readonly answeredAfterMs: Spread;
  };
};

export type OutcomeRow = { readonly policy: Policy; readonly figures: OutcomeFigures };

export class OutcomeReport {
  unreadable = 0;
  readonly #tallies = new Map<string, Tally>();

  get instances(): number {
    return [...this.#tallies.values()].reduce((sum, { instances }) => sum + instances, 0);
  }

  add({ history, instance, end }: Judged): void {
    if (history.birth.kind !== "action") return;
    if (instance === null) {
      this.unreadable += 1;
      return;
    }
    const key = policyKey(history.policy);
    const tally = this.#tallies.get(key) ?? new Tally(history.policy);
    this.#tallies.set(key, tally);
    tally.add(history, instance, end);
  }

  /** By policy; of its versions the one with most instances first. */
  rows(): OutcomeRow[] {
    return [...this.#tallies.values()]
      .toSorted((a, b) => compareNames(a.policy.name, b.policy.name) || b.instances - a.instances)
      .map((tally) => ({ policy: tally.policy, figures: tally.figures() }));
  }
}

class Tally {
  readonly policy: Policy;
  instances = 0;
  readonly #executed = {
    count: 0,
    succeeded: 0,
    verified: 0,
    failed: 0,
    notResolved: 0,
    retried: 0,
    attempts: 0,
    underWay: 0,
  };
  readonly #reasons: Partial<Record<ReasonCode, number>> = {};
  readonly #forPeer = { count: 0, resolved: 0, lost: 0, unknown: 0 };
  readonly #approvals = { asked: 0, granted: 0, denied: 0, timedOut: 0, ended: 0, waiting: 0 };
  readonly #resolvedAfterMs: number[] = [];
  readonly #answeredAfterMs: number[] = [];
  #skipped = 0;

  constructor(policy: Policy) {
    this.policy = policy;
  }

  add(history: History, instance: Instance, end: Judged["end"]): void {
    this.instances += 1;
    if (instance.snapshot.context.attempt > 0) this.#addExecuted(history, instance);
    if (topLevel(instance.snapshot.state) === "Skipped") this.#addSkipped(instance, end);
    this.#addApprovals(history);
  }

  figures(): OutcomeFigures {
    return {
      instances: this.instances,
      executed: { ...this.#executed },
      skipped: {
        count: this.#skipped,
        reasons: { ...this.#reasons },
        forPeer: { ...this.#forPeer, resolvedAfterMs: spreadOf(this.#resolvedAfterMs) },
      },
      approvals: { ...this.#approvals, answeredAfterMs: spreadOf(this.#answeredAfterMs) },
    };
  }

  #addExecuted({ entries }: History, instance: Instance): void {
    const { attempt, outcome } = instance.snapshot.context;
    const executed = this.#executed;
    executed.count += 1;
    executed.attempts += attempt;
    if (attempt > 1) executed.retried += 1;
    if (entries.some(({ reason }) => reason === "verified")) executed.verified += 1;
    if (entries.some(({ reason }) => reason === "not_resolved")) executed.notResolved += 1;
    if (topLevel(instance.snapshot.state) === "Success") executed.succeeded += 1;
    else if (!isAtRest(instance)) executed.underWay += 1;
    else if (outcome === "succeeded") executed.succeeded += 1;
    else executed.failed += 1;
  }

  #addSkipped({ reason, atMs }: Instance, end: Judged["end"]): void {
    this.#skipped += 1;
    if (reason === null) return;
    this.#reasons[reason] = (this.#reasons[reason] ?? 0) + 1;
    if (!FOR_A_PEER.includes(reason)) return;
    const forPeer = this.#forPeer;
    forPeer.count += 1;
    if (end === null) forPeer.unknown += 1;
    else if (end.reason !== "alert_resolved") forPeer.lost += 1;
    else {
      forPeer.resolved += 1;
      this.#resolvedAfterMs.push(Math.max(end.atMs - atMs, 0));
    }
  }

  /** Each time that it came to wait for a person. */
  #addApprovals({ entries }: History): void {
    let sinceMs: number | null = null;
    for (const entry of entries) {
      if (sinceMs !== null && !staysWaiting(entry)) {
        this.#answer(entry, sinceMs);
        sinceMs = null;
      }
      if (sinceMs === null && entry.path.at(-1) === "Waiting") {
        sinceMs = entry.atMs;
        this.#approvals.asked += 1;
      }
    }
    if (sinceMs !== null) this.#approvals.waiting += 1;
  }

  #answer({ event, atMs }: AuditEntry, sinceMs: number): void {
    const approvals = this.#approvals;
    if (event.type === "approval.granted") approvals.granted += 1;
    else if (event.type === "approval.denied") approvals.denied += 1;
    else if (event.type === "timer.elapsed") approvals.timedOut += 1;
    else approvals.ended += 1;
    if (event.type === "approval.granted" || event.type === "approval.denied")
      this.#answeredAfterMs.push(Math.max(atMs - sinceMs, 0));
  }
}

/** A grant of one person of several leaves it waiting. */
function staysWaiting({ path }: AuditEntry): boolean {
  return path.every((state) => state === "Waiting");
}

/** By nearest rank. */
function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (part: number) => sorted[Math.max(Math.ceil(part * sorted.length) - 1, 0)] ?? null;
  return { count: sorted.length, p50: at(0.5), p90: at(0.9), max: sorted.at(-1) ?? null };
}

function compareNames(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
