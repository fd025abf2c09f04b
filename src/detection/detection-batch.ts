/** What a batch of rows leads to, before it is durable: pure but for the parsers' memory of hashes. */

import type { RecordRow } from "../formats/record-row.ts";
import { type Advance, advance } from "./core/advance.ts";
import type { DetectedAlert } from "./core/detected-alert.ts";
import { emptyGroupState, type GroupState, watermarkOf } from "./core/group-state.ts";
import type { RecordRouter } from "./core/router.ts";
import type { StrategyGroup } from "./core/strategy.ts";
import type { StateEvent } from "./records/record-types.ts";
import { NO_COUNTS, type SourceCounts } from "./source-position.ts";

/** A row that was refused, and why. `line`: where it begins in its source. */
export type RefusedRow = { readonly line: number; readonly reason: string; readonly text: string };

export type GroupAdvance = { readonly group: StrategyGroup; readonly state: GroupState; readonly step: Advance };

export type DetectionBatch = {
  readonly advances: readonly GroupAdvance[];
  /** Of all groups, in the order of the rows that brought them about. */
  readonly alerts: readonly DetectedAlert[];
  readonly refused: readonly RefusedRow[];
  readonly counts: SourceCounts;
};

export type BatchInput = {
  readonly rows: readonly RecordRow[];
  readonly groups: readonly StrategyGroup[];
  readonly route: RecordRouter;
  readonly states: ReadonlyMap<string, GroupState>;
  /** Detect what still waits, in every group that has records. */
  readonly flush: boolean;
};

/** Events of one group with the places of their rows in the batch. */
type Events = { readonly events: StateEvent[]; readonly rows: number[] };

export function decideBatch(input: BatchInput): DetectionBatch {
  const refusedByRow = new Map<number, RefusedRow>();
  const { eventsByGroup, unmatched } = routeRows(input, refusedByRow);
  const advances: GroupAdvance[] = [];
  const placed: Placed[] = [];
  for (const [groupIndex, group] of input.groups.entries()) {
    const { events, rows } = eventsByGroup.get(group.key) ?? { events: [], rows: [] };
    const state = input.states.get(group.key) ?? emptyGroupState();
    const wantsFlush = input.flush && (events.length > 0 || hasUnflushed(state));
    if (events.length === 0 && !wantsFlush) continue;
    const step = advance(state, group, wantsFlush ? { events, flush: true } : { events });
    advances.push({ group, state, step });
    for (const { index, rejection } of step.rejections) {
      const row = rows[index] as number;
      if (!refusedByRow.has(row)) refusedByRow.set(row, refusedRow(input.rows[row] as RecordRow, rejection));
    }
    placed.push(...placesOf(step, { state, group, groupIndex, events, rows }));
  }
  placed.sort((a, b) => a.row - b.row || a.groupIndex - b.groupIndex);
  const alerts = placed.map(({ alert }) => alert);
  const refused = [...refusedByRow].sort(([a], [b]) => a - b).map(([, one]) => one);
  return { advances, alerts, refused, counts: countsOf({ advances, alerts, refused, unmatched }) };
}

function routeRows(
  { rows, groups, route }: BatchInput,
  refusedByRow: Map<number, RefusedRow>,
): { eventsByGroup: Map<string, Events>; unmatched: number } {
  const eventsByGroup = new Map<string, Events>(groups.map(({ key }) => [key, { events: [], rows: [] }]));
  let unmatched = 0;
  for (const [index, row] of rows.entries()) {
    if ("rejected" in row) {
      refusedByRow.set(index, refusedRow(row, row));
      continue;
    }
    const { events, rejection } = route(row.record);
    if (rejection !== null) refusedByRow.set(index, refusedRow(row, rejection));
    else if (events.length === 0) unmatched += 1;
    for (const { group, event } of events) {
      const own = eventsByGroup.get(group.key) as Events;
      own.events.push(event);
      own.rows.push(index);
    }
  }
  return { eventsByGroup, unmatched };
}

function refusedRow({ line }: RecordRow, { reason, text }: { reason: string; text: string }): RefusedRow {
  return { line, reason, text };
}

function hasUnflushed({ head }: GroupState): boolean {
  return head.newestTime !== null && head.flushedUntil !== head.newestTime + 1;
}

type Placed = { readonly row: number; readonly groupIndex: number; readonly alert: DetectedAlert };

type Placing = Events & { readonly state: GroupState; readonly group: StrategyGroup; readonly groupIndex: number };

/**
 * Each alert at the row whose time moved the group's watermark past it. So the order of alerts over all groups does not depend on how
 * rows are cut into batches. A group's own alerts are in time order, and its watermark never falls: both are walked once.
 */
function placesOf({ alerts }: Advance, { state, group, groupIndex, events, rows }: Placing): Placed[] {
  let newest = state.head.newestTime ?? Number.NEGATIVE_INFINITY;
  let next = 0;
  return alerts.map((alert) => {
    while (next < events.length) {
      const reached = Math.max(newest, (events[next] as StateEvent).time);
      if (watermarkOf(reached, state.head.flushedUntil, group.intervalSeconds) > alert.time) break;
      newest = reached;
      next += 1;
    }
    return { row: rows[next] ?? Number.POSITIVE_INFINITY, groupIndex, alert };
  });
}

type Counted = Pick<DetectionBatch, "advances" | "alerts" | "refused"> & { readonly unmatched: number };

function countsOf({ advances, alerts, refused, unmatched }: Counted): SourceCounts {
  const counts = { ...NO_COUNTS, rejected: refused.length, unmatched };
  for (const { state, step } of advances) {
    const before = state.head.counters;
    const after = step.changes.head.counters;
    for (const name of ["accepted", "duplicates", "late", "withoutValue", "gaps"] as const)
      counts[name] += after[name] - before[name];
  }
  for (const { alert } of alerts) counts[alert.status] += 1;
  return counts;
}
