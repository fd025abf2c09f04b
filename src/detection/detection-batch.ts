/** What a batch of rows leads to, before it is durable: pure but for the parsers' memory of hashes. */

import type { RecordRow } from "../formats/record-row.ts";
import { type Advance, AdvancingGroup } from "./core/advance.ts";
import { type DetectedAlert, labelText, type SeriesFacts } from "./core/detected-alert.ts";
import { emptyGroupState, type GroupState } from "./core/group-state.ts";
import type { RecordRouter } from "./core/router.ts";
import type { StrategyGroup } from "./core/strategy-group.ts";
import { NO_COUNTS, type SourceCounts } from "./source-position.ts";

/** A row that was refused, and why. `line`: where it begins in its source. */
export type RefusedRow = {
  readonly line: number;
  readonly reason: string;
  readonly text: string;
  /** The series of a record that came too late. */
  readonly series?: string;
};

export type GroupAdvance = { readonly group: StrategyGroup; readonly state: GroupState; readonly step: Advance };

export type DetectionBatch = {
  readonly advances: readonly GroupAdvance[];
  /** Of all groups, in the order of the rows that brought them about. */
  readonly alerts: readonly DetectedAlert[];
  readonly refused: readonly RefusedRow[];
  /** For each of them its place in the rows. */
  readonly refusedRows: readonly number[];
  readonly counts: SourceCounts;
};

export type BatchInput = {
  readonly rows: readonly RecordRow[];
  readonly groups: readonly StrategyGroup[];
  readonly route: RecordRouter;
  readonly states: ReadonlyMap<string, GroupState>;
  /** Detect what still waits, in every group that has records. */
  readonly flush: boolean;
  /** When the records are processed. */
  readonly accessTimeMs?: number;
  /** Epoch seconds that a live input has reached without records, by group key. */
  readonly clockTimes?: ReadonlyMap<string, number>;
};

/** A group that takes in events, with the places of their rows in the batch. */
type Taking = { readonly taking: AdvancingGroup; readonly rows: number[] };

export function decideBatch(input: BatchInput): DetectionBatch {
  const refusedByRow = new Map<number, RefusedRow>();
  const { groups, unmatched } = routeRows(input, refusedByRow);
  const advances: GroupAdvance[] = [];
  const placed: Placed[] = [];
  for (const [groupIndex, { taking, rows }] of [...groups.values()].entries()) {
    const { group, state } = taking;
    const flush = input.flush && taking.canFlush();
    const clockTime = input.clockTimes?.get(group.key) ?? null;
    if (taking.eventCount === 0 && !flush && clockTime === null) continue;
    const step = taking.end({ flush, clockTime });
    advances.push({ group, state, step });
    for (const { index, rejection, series } of step.rejections) {
      const row = rows[index] as number;
      const refused = refusedRow(input.rows[row] as RecordRow, rejection);
      if (!refusedByRow.has(row))
        refusedByRow.set(row, series === undefined ? refused : { ...refused, series: seriesText(series) });
    }
    placed.push(...placesOf(step, { groupIndex, rows }));
  }
  placed.sort(inRowOrder);
  const alerts = placed.map(({ alert }) => alert);
  const ordered = [...refusedByRow].sort(([a], [b]) => a - b);
  const refused = ordered.map(([, one]) => one);
  const refusedRows = ordered.map(([row]) => row);
  return { advances, alerts, refused, refusedRows, counts: countsOf({ advances, alerts, refused, unmatched }) };
}

/** Each event is taken in before the next row is read: few are alive at a time. */
function routeRows(
  { rows, groups, states, route, accessTimeMs }: BatchInput,
  refusedByRow: Map<number, RefusedRow>,
): { groups: Map<StrategyGroup, Taking>; unmatched: number } {
  const takings = new Map<StrategyGroup, Taking>();
  for (const group of groups) {
    const state = states.get(group.key) ?? emptyGroupState();
    takings.set(group, { taking: new AdvancingGroup(state, group), rows: [] });
  }
  const options = accessTimeMs === undefined ? {} : { accessTimeMs };
  let unmatched = 0;
  for (const [index, row] of rows.entries()) {
    if ("rejected" in row) {
      refusedByRow.set(index, refusedRow(row, row));
      continue;
    }
    const { events, rejection } = route(row.record, options);
    if (rejection !== null) refusedByRow.set(index, refusedRow(row, rejection));
    else if (events.length === 0) unmatched += 1;
    for (const { group, event } of events) {
      const own = takings.get(group) as Taking;
      own.taking.take(event);
      own.rows.push(index);
    }
  }
  return { groups: takings, unmatched };
}

function refusedRow({ line }: RecordRow, { reason, text }: { reason: string; text: string }): RefusedRow {
  return { line, reason, text };
}

function seriesText({ dimensions, dimensionFields }: SeriesFacts): string {
  return dimensionFields.map((field) => `${field}=${labelText(dimensions[field])}`).join(", ");
}

type Placed = { readonly row: number; readonly groupIndex: number; readonly alert: DetectedAlert };

/**
 * Each alert at the row that brought it about, so the order of alerts over all groups does not depend on how rows are
 * cut.
 */
function placesOf({ alerts, alertRows }: Advance, of: { groupIndex: number; rows: readonly number[] }): Placed[] {
  return alerts.map((alert, index) => ({
    row: of.rows[alertRows[index] as number] ?? Number.POSITIVE_INFINITY,
    groupIndex: of.groupIndex,
    alert,
  }));
}

/** At the end of the input all rows are equal: by group. */
function inRowOrder(a: Placed, b: Placed): number {
  return (a.row === b.row ? 0 : a.row - b.row) || a.groupIndex - b.groupIndex;
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
  for (const { alert, reason } of alerts) counts[reason === "resent" ? "resent" : alert.status] += 1;
  return counts;
}
