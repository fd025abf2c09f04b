/**
 * The last hours in numbers, for the console: alerts in, actions out, why nothing was done, which groups are busy.
 * Counted in memory since the server started; decisions never read it.
 */

import type { CommittedStep } from "../../committed-steps.ts";
import { REASONS, type ReasonCode } from "../../model/reasons.ts";

const BUCKET_MS = 60_000;
const BUCKET_COUNT = 180;
const GROUP_COUNT_MAX = 1_000;
const GROUPS_SHOWN_COUNT = 12;

type Bucket = { startMs: number; alerts: number; executed: number; skipped: number; reasons: Map<ReasonCode, number> };
type Group = {
  readonly policy: string;
  newestId: string;
  instances: number;
  executed: number;
  skipped: number;
  atMs: number;
};

export type RestoredGroup = Group & { readonly id: string };

/** One of the groups that are shown. `newestId`: of its instances. */
export type StormGroup = Omit<Group, "atMs"> & { readonly id: string; readonly at: string };

type Counts = { readonly alerts: number; readonly executed: number; readonly skipped: number };

export type Storm = {
  readonly since: string;
  readonly bucketMs: number;
  readonly buckets: readonly (Counts & { readonly at: string })[];
  readonly totals: Counts;
  readonly waiting: number;
  readonly groups: readonly StormGroup[];
  readonly reasons: readonly { readonly reason: ReasonCode; readonly text: object; readonly count: number }[];
};

export class StormView {
  readonly #sinceMs: number;
  readonly #now: () => number;
  readonly #buckets: Bucket[] = [];
  /** The most recently touched group is the last. */
  readonly #groups = new Map<string, Group>();

  constructor(now: () => number) {
    this.#now = now;
    this.#sinceMs = now();
  }

  received(count: number): void {
    this.#current().alerts += count;
  }

  stepped(steps: readonly CommittedStep[]): void {
    const bucket = this.#current();
    for (const step of steps) {
      const { from, to, event, reason, group } = step;
      const isBegun = to === "Processing" && event !== "lock.busy" && from !== "Processing";
      const hasRun = isBegun || (from === null && (to === "Success" || to === "Failed"));
      // A request or a summary that the engine sends by itself is no action.
      const isExecuted = hasRun && step.snapshot().kind === "action";
      const isSkipped = to === "Skipped" && from !== "Skipped";
      if (isExecuted) bucket.executed += 1;
      if (isSkipped) {
        bucket.skipped += 1;
        bucket.reasons.set(reason, (bucket.reasons.get(reason) ?? 0) + 1);
      }
      if (group === null) continue;
      const touched = this.#touched(group, step);
      if (isExecuted) touched.executed += 1;
      if (isSkipped) touched.skipped += 1;
    }
  }

  /**
   * Groups that the store knows from before the start, the one that was touched last at the end. Of a group that was
   * touched meanwhile the store knows the numbers better.
   */
  restore(groups: readonly RestoredGroup[]): void {
    const touched = [...this.#groups];
    this.#groups.clear();
    for (const { id, ...group } of groups.slice(-GROUP_COUNT_MAX)) this.#groups.set(id, group);
    for (const [id, group] of touched) {
      const stored = this.#groups.get(id);
      for (const number of ["instances", "executed", "skipped"] as const)
        group[number] = Math.max(group[number], stored?.[number] ?? 0);
      this.#groups.delete(id);
      this.#groups.set(id, group);
    }
    this.#bound();
  }

  json(waiting: number): Storm {
    const nowMs = this.#current().startMs;
    const count = Math.min(BUCKET_COUNT, Math.floor((nowMs - floor(this.#sinceMs)) / BUCKET_MS) + 1);
    const known = new Map(this.#buckets.map((bucket) => [bucket.startMs, bucket]));
    const buckets = Array.from({ length: Math.max(count, 30) }, (_, index) => {
      const startMs = nowMs - (Math.max(count, 30) - 1 - index) * BUCKET_MS;
      const { alerts = 0, executed = 0, skipped = 0 } = known.get(startMs) ?? {};
      return { at: new Date(startMs).toISOString(), alerts, executed, skipped };
    });
    const sum = (field: "alerts" | "executed" | "skipped") => this.#buckets.reduce((all, one) => all + one[field], 0);
    const shown = [...this.#groups].slice(-GROUPS_SHOWN_COUNT).toReversed();
    return {
      since: new Date(Math.max(this.#sinceMs, nowMs - (BUCKET_COUNT - 1) * BUCKET_MS)).toISOString(),
      bucketMs: BUCKET_MS,
      buckets,
      totals: { alerts: sum("alerts"), executed: sum("executed"), skipped: sum("skipped") },
      waiting,
      groups: shown.map(([id, { atMs, ...group }]) => ({ id, ...group, at: new Date(atMs).toISOString() })),
      reasons: this.#reasons(),
    };
  }

  #reasons(): Storm["reasons"] {
    const counts = new Map<ReasonCode, number>();
    for (const { reasons } of this.#buckets)
      for (const [reason, count] of reasons) counts.set(reason, (counts.get(reason) ?? 0) + count);
    return [...counts]
      .sort(([, a], [, b]) => b - a)
      .map(([reason, count]) => ({ reason, text: REASONS[reason], count }));
  }

  #touched(groupId: string, { policy, id, from, atMs }: CommittedStep): Group {
    const group = this.#groups.get(groupId) ?? {
      policy,
      newestId: id,
      instances: 0,
      executed: 0,
      skipped: 0,
      atMs,
    };
    if (from === null) {
      group.instances += 1;
      group.newestId = id;
    }
    group.atMs = Math.max(group.atMs, atMs);
    this.#groups.delete(groupId);
    this.#groups.set(groupId, group);
    this.#bound();
    return group;
  }

  #bound(): void {
    for (const oldest of this.#groups.keys()) {
      if (this.#groups.size <= GROUP_COUNT_MAX) return;
      this.#groups.delete(oldest);
    }
  }

  #current(): Bucket {
    const startMs = floor(this.#now());
    const last = this.#buckets.at(-1);
    if (last !== undefined && last.startMs >= startMs) return last;
    const bucket: Bucket = { startMs, alerts: 0, executed: 0, skipped: 0, reasons: new Map() };
    this.#buckets.push(bucket);
    while ((this.#buckets[0]?.startMs ?? startMs) <= startMs - BUCKET_COUNT * BUCKET_MS) this.#buckets.shift();
    return bucket;
  }
}

function floor(atMs: number): number {
  return Math.floor(atMs / BUCKET_MS) * BUCKET_MS;
}
