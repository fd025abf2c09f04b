/**
 * The last hours in numbers, for the console: alerts in, actions out, why nothing was done, which groups are busy. Counted in memory since the
 * server started; decisions never read it.
 */
import { REASONS, type ReasonCode } from "../../model/reasons.ts";
import type { CommittedStep } from "../../runtime/committed-steps.ts";

const BUCKET_MS = 60_000;
const BUCKET_COUNT = 180;
const GROUP_COUNT_MAX = 1_000;
const GROUPS_SHOWN_COUNT = 12;

type Bucket = { startMs: number; alerts: number; executed: number; skipped: number; reasons: Map<ReasonCode, number> };
type Group = { readonly policy: string; instances: number; atMs: number };

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
    for (const { from, to, event, reason, group, policy, atMs } of steps) {
      if (to === "Processing" && event !== "lock.busy" && from !== "Processing") bucket.executed += 1;
      else if (from === null && (to === "Success" || to === "Failed")) bucket.executed += 1;
      if (to === "Skipped" && from !== "Skipped") {
        bucket.skipped += 1;
        bucket.reasons.set(reason, (bucket.reasons.get(reason) ?? 0) + 1);
      }
      if (group !== null) this.#touched(group, { policy, isNew: from === null, atMs });
    }
  }

  json(waiting: number): object {
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
      groups: shown.map(([id, { policy, instances, atMs }]) => ({
        id,
        policy,
        instances,
        at: new Date(atMs).toISOString(),
      })),
      reasons: this.#reasons(),
    };
  }

  #reasons(): object[] {
    const counts = new Map<ReasonCode, number>();
    for (const { reasons } of this.#buckets)
      for (const [reason, count] of reasons) counts.set(reason, (counts.get(reason) ?? 0) + count);
    return [...counts]
      .sort(([, a], [, b]) => b - a)
      .map(([reason, count]) => ({ reason, text: REASONS[reason], count }));
  }

  #touched(id: string, { policy, isNew, atMs }: { policy: string; isNew: boolean; atMs: number }): void {
    const group = this.#groups.get(id) ?? { policy, instances: 0, atMs };
    if (isNew) group.instances += 1;
    group.atMs = Math.max(group.atMs, atMs);
    this.#groups.delete(id);
    this.#groups.set(id, group);
    if (this.#groups.size <= GROUP_COUNT_MAX) return;
    const [oldest] = this.#groups.keys();
    if (oldest !== undefined) this.#groups.delete(oldest);
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
