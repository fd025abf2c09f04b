/**
 * What a store, or a bundle, has recorded: as a timeline to try other rules on, and as the rows that it came to.
 * Histories are added in any order; what is older than the time to report from only prepares the rest.
 */
import type { History } from "../instance/audit-types.ts";
import type { Instance } from "../instance/checkpoint.ts";
import type { Policy } from "../policy/policy.ts";
import { policyKey } from "../policy/policy-versions.ts";
import type { OutcomeRow, SideTotals } from "./diff.ts";
import { instanceLine, isWaiting, summariesOf } from "./instance-rows.ts";
import { nameOfId, type RecordedEnd, type RecordedHistory, recordedHistory } from "./recorded-history.ts";
import { instanceAfter } from "./replay.ts";
import { type Timeline, TimelineBuilder } from "./timeline.ts";
import type { UnmatchedAlerts } from "./unmatched-alerts.ts";

/** `instance` null: its checkpoint cannot be read. `end`: of its episode, as its record has it. */
export type Recorded = {
  readonly history: History;
  readonly instance: Instance | null;
  readonly end: RecordedEnd | null;
};

export class Recording {
  /** Of the instances that are reported. */
  readonly rows: OutcomeRow[] = [];
  /** Every version that an instance was made under. */
  readonly versions = new Map<string, Policy>();
  /**
   * Histories that were undecided for a while because others held the lock of their group; played, they are decided at
   * once.
   */
  lockedCount = 0;
  readonly #builder = new TimelineBuilder();
  readonly #fromMs: number;
  readonly #untilMs: number;
  /** Of each group that opened, the id that its summary has, or would have. */
  readonly #summaries: string[] = [];
  /** Summaries that were sent. */
  readonly #sent = new Set<string>();
  #lastAtMs = 0;

  /**
   * `fromMs`: what begins earlier is not reported. `untilMs`: what happened later is left out, so that histories which
   * are read one after the other, while others go on, tell of one moment.
   */
  constructor(fromMs = 0, untilMs = Number.POSITIVE_INFINITY) {
    this.#fromMs = fromMs;
    this.#untilMs = untilMs;
  }

  add(recorded: Recorded): void {
    const { birth } = recorded.history;
    if (birth.createdAtMs <= this.#untilMs) this.#add(cutAt(recorded, this.#untilMs));
  }

  /** Alerts that made no instance, from `fromMs` on. */
  addUnmatched(unmatched: UnmatchedAlerts, fromMs: number): void {
    unmatched.addTo(this.#builder, { fromMs, untilMs: this.#untilMs });
  }

  #add({ history, instance, end }: Recorded): void {
    const { birth, policy, entries } = history;
    this.#lastAtMs = Math.max(this.#lastAtMs, birth.createdAtMs, entries.at(-1)?.atMs ?? 0);
    if (birth.notice?.kind === "summary") {
      this.#builder.addSummary(birth.notice.group, birth.createdAtMs);
      if ((instance?.snapshot.context.attempt ?? 0) > 0) this.#sent.add(history.instance);
    }
    const recorded = recordedHistory(history);
    if (recorded === null) return;
    this.versions.set(policyKey(policy), policy);
    if (entries.some(({ event }) => event.type === "lock.busy")) this.lockedCount += 1;
    this.#builder.add(recorded, end);
    if (birth.createdAtMs >= this.#fromMs) this.#report(recorded, instance, history);
  }

  #report({ id, name }: RecordedHistory, instance: Instance | null, history: History): void {
    this.#summaries.push(...summariesOf(history));
    this.rows.push({ ...instanceLine(instance, history), id: nameOfId(id) === name ? id : `${id.slice(0, 3)}${name}` });
  }

  /** `untilMs`: up to when it was recorded; default: its last step. */
  timeline(untilMs: number = this.#lastAtMs): Timeline {
    return this.#builder.build({ untilMs: Math.max(untilMs, this.#lastAtMs), fromMs: this.#fromMs });
  }

  totals(): SideTotals {
    const count = (is: (row: OutcomeRow) => boolean) => this.rows.filter(is).length;
    return {
      executed: count(({ attempts }) => attempts > 0),
      skipped: count(({ state }) => state === "Skipped"),
      waiting: count(({ state }) => isWaiting(state)),
      groups: this.#summaries.length,
      summaries: this.#summaries.filter((id) => this.#sent.has(id)).length,
    };
  }
}

/** As it was then. */
function cutAt({ history, instance, end }: Recorded, untilMs: number): Recorded {
  const known = end === null || end.atMs > untilMs ? null : end;
  const { entries } = history;
  if ((entries.at(-1)?.atMs ?? 0) <= untilMs) return { history, instance, end: known };
  const then = entries.filter(({ atMs }) => atMs <= untilMs);
  return {
    history: { ...history, entries: then },
    instance: instance === null ? null : instanceAfter(history, then.length),
    end: known,
  };
}
