/**
 * What candidate policies would have done with what a namespace has recorded lately, beside what was done. Only reads;
 * it works in short turns.
 */
import type { PolicySet } from "./policy/policy.ts";
import type { InstanceReader } from "./runtime/instance-reader.ts";
import { type Change, Comparison, compareChanges, type DiffSummary, type SideTotals } from "./simulate/diff.ts";
import { type PolicyTotals, TotalsByPolicy } from "./simulate/policy-totals.ts";
import { Recording } from "./simulate/recording.ts";
import { countStored, recordStored } from "./simulate/stored-recording.ts";
import type { UnmatchedAlerts } from "./simulate/unmatched-alerts.ts";
import { playTimeline } from "./what-if.ts";

export type DifferenceRequest = {
  readonly set: PolicySet;
  readonly fromMs: number;
  readonly nowMs: number;
  /** Histories that are read, the newest. */
  readonly readCountMax: number;
  /** Changes that are answered, those that matter first. */
  readonly limit: number;
  /** Called again and again: it waits when others should have a turn, and throws when nobody waits for the rest. */
  readonly between: () => Promise<void> | void;
  /** Alerts that made no instance. */
  readonly unmatched?: UnmatchedAlerts;
};

export type RecordedDifference = {
  readonly since: string;
  /** There were more histories: only the newest were tried. */
  readonly isCut: boolean;
  /** Instances that were left out for that. */
  readonly leftOut: number;
  /** Instances that could not be read. */
  readonly unreadable: number;
  /** What people sent that no instance takes under the candidate. */
  readonly refused: number;
  readonly summary: DiffSummary;
  readonly policies: readonly PolicyTotals[];
  readonly changes: readonly Change[];
  /** Changes that are not shown. */
  readonly more: number;
};

export async function recordedDifference(
  reader: InstanceReader,
  request: DifferenceRequest,
): Promise<RecordedDifference> {
  const { fromMs, limit } = request;
  const { recording, ...read } = await recorded(reader, request);
  const { summary, refused, policies, changes } = await compared(reader, recording, request);
  return {
    since: new Date(fromMs).toISOString(),
    ...read,
    refused,
    summary,
    policies,
    changes: changes.sort(compareChanges).slice(0, limit),
    more: Math.max(changes.length - limit, 0),
  };
}

async function recorded(
  reader: InstanceReader,
  { set, fromMs, nowMs, readCountMax, between, unmatched }: DifferenceRequest,
): Promise<Pick<RecordedDifference, "isCut" | "leftOut" | "unreadable"> & { readonly recording: Recording }> {
  const recording = new Recording(fromMs, nowMs);
  const readFromMs = fromMs - longestWindowMs(set);
  let unreadable = 0;
  const read = await recordStored(reader, recording, {
    fromMs: readFromMs,
    nowMs,
    limit: readCountMax,
    onRead: between,
    onUnreadable: () => {
      unreadable += 1;
    },
  });
  if (unmatched !== undefined) recording.addUnmatched(unmatched, fromMs);
  const isCut = read >= readCountMax;
  const leftOut = isCut ? Math.max((await countStored(reader, { fromMs, between })) - read, 0) : 0;
  return { recording, isCut, leftOut, unreadable };
}

type Compared = Pick<RecordedDifference, "refused" | "summary" | "policies"> & { readonly changes: Change[] };

async function compared(
  reader: InstanceReader,
  recording: Recording,
  { set, fromMs, nowMs, between }: DifferenceRequest,
): Promise<Compared> {
  const timeline = recording.timeline(nowMs);
  const comparison = new Comparison();
  const totals = new TotalsByPolicy();
  for (const row of recording.rows) {
    comparison.addWas(row);
    totals.addWas(row.policy, row.attempts > 0);
  }
  const changes: Change[] = [];
  const { refused, ...now } = await playTimeline({
    timeline,
    rules: { set },
    partitions: reader.runtime.partitions,
    reportFromMs: fromMs,
    between,
    onRow: async (row) => {
      totals.addNow(row.policy, row.attempts > 0);
      const change = comparison.compare(row);
      if (change !== null) changes.push(change);
      await between();
    },
  });
  changes.push(...comparison.gone());
  for (const change of changes) totals.addChange(change);
  const { instances, changed } = comparison;
  const sides = { was: totalsOf(recording.totals()), now: totalsOf(now) };
  const summary = { alerts: timeline.alerts, instances, changed, ...sides };
  return { refused, summary, policies: totals.list(), changes };
}

function totalsOf({ executed, skipped, waiting, groups, summaries }: SideTotals): SideTotals {
  return { executed, skipped, waiting, groups, summaries };
}

function longestWindowMs({ policies }: PolicySet): number {
  return Math.max(0, ...policies.map(({ converge }) => converge?.maxWindowMs ?? converge?.windowMs ?? 0));
}
