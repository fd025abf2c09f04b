/** What candidate policies would have done with what a store has recorded lately, beside what was done. */
import { compose } from "../../compose.ts";
import type { PolicySet } from "../../policy/policy.ts";
import { InstanceReader } from "../../runtime/instance-reader.ts";
import { type Change, Comparison, compareChanges, type DiffSummary, type SideTotals } from "../../simulate/diff.ts";
import { Recording } from "../../simulate/recording.ts";
import { recordStored } from "../../simulate/stored-recording.ts";
import type { Store } from "../../stores/store.ts";
import { playTimeline } from "../../what-if.ts";
import type { Turns } from "./turns.ts";

/** Histories that are read for one answer. */
const READ_COUNT_MAX = 20_000;

export type DifferenceRequest = {
  readonly set: PolicySet;
  readonly fromMs: number;
  readonly nowMs: number;
  /** Changes that are answered, those that matter first. */
  readonly limit: number;
  readonly turns: Turns;
};

export type RecentDifference = {
  readonly since: string;
  /** There were more histories: only the newest were tried. */
  readonly isCut: boolean;
  /** Instances that could not be read. */
  readonly unreadable: number;
  /** What people sent that no instance takes under the candidate. */
  readonly refused: number;
  readonly summary: DiffSummary;
  readonly changes: readonly Change[];
  /** Changes that are not shown. */
  readonly more: number;
};

export async function recentDifference(store: Store, request: DifferenceRequest): Promise<RecentDifference> {
  const { set, fromMs, nowMs, limit, turns } = request;
  const reader = new InstanceReader(await compose({ store }));
  const recording = new Recording(fromMs);
  let unreadable = 0;
  const read = await recordStored(reader, recording, {
    fromMs: fromMs - longestWindowMs(set),
    nowMs,
    limit: READ_COUNT_MAX,
    onRead: () => turns.next(),
    onUnreadable: () => {
      unreadable += 1;
    },
  });
  const timeline = recording.timeline(nowMs);
  const comparison = new Comparison();
  for (const row of recording.rows) comparison.addWas(row);
  const changes: Change[] = [];
  const summary = await playTimeline({
    timeline,
    rules: { set },
    partitions: reader.runtime.partitions,
    reportFromMs: fromMs,
    between: () => turns.next(),
    onRow: async (row) => {
      const change = comparison.compare(row);
      if (change !== null) changes.push(change);
      await turns.next();
    },
  });
  changes.push(...comparison.gone());
  const { instances, changed } = comparison;
  const sides = { was: totalsOf(recording.totals()), now: totalsOf(summary) };
  return {
    since: new Date(fromMs).toISOString(),
    isCut: read >= READ_COUNT_MAX,
    unreadable,
    refused: summary.refused,
    summary: { alerts: timeline.alerts, instances, changed, ...sides },
    changes: changes.sort(compareChanges).slice(0, limit),
    more: Math.max(changes.length - limit, 0),
  };
}

function totalsOf({ executed, skipped, waiting, groups, summaries }: SideTotals): SideTotals {
  return { executed, skipped, waiting, groups, summaries };
}

function longestWindowMs({ policies }: PolicySet): number {
  return Math.max(0, ...policies.map(({ converge }) => converge?.maxWindowMs ?? converge?.windowMs ?? 0));
}
