/** A batch as the one commit that makes it durable. */
import { duplicateTtlMs } from "./core/checkpoint-keys.ts";
import { shownValue } from "./core/detected-alert.ts";
import type { CheckResults } from "./core/series-work.ts";
import { type PieceWrites, pieceWrites } from "./core/state-pieces.ts";
import { STRATEGY_ITEM_ID } from "./core/strategy.ts";
import type { StrategyGroup } from "./core/strategy-group.ts";
import type { DetectionBatch, GroupAdvance } from "./detection-batch.ts";
import type { CheckResultsAdded, DetectionCommit, GroupTaking, SeriesLevel } from "./detection-store.ts";

/** Check results kept of each series and level, when its trigger's window is not longer. */
export const CHECK_RESULTS_KEPT_MIN = 60;

type BatchCommit = Omit<DetectionCommit, "commitId" | "expectedVersion" | "atMs">;

/** `pieces` are added to those of the batch's groups. */
export function batchCommit({ advances, alerts }: DetectionBatch, pieces: PieceWrites): BatchCommit {
  const piecesPut = [...pieces.put];
  const piecesRemoved = [...pieces.removed];
  for (const { group, state, step } of advances) {
    const writes = pieceWrites(group.key, state, step.changes);
    for (const piece of writes.put) piecesPut.push(piece);
    for (const name of writes.removed) piecesRemoved.push(name);
  }
  return {
    // The format is written with the first record of each group.
    piecesPut: [...new Map(piecesPut)],
    piecesRemoved,
    alerts: alerts.map((alert) => JSON.stringify(alert)),
    auditEvents: advances.flatMap(({ group, step }) =>
      step.auditEvents.map((event) =>
        JSON.stringify({ ...event, strategies: group.strategies.map(({ name }) => name) }),
      ),
    ),
    groups: advances.map(groupTaking),
    checkpoints: advances.flatMap(({ step }) =>
      step.lastCheckpoints.map((one) => ({
        strategyId: one.strategy,
        itemId: STRATEGY_ITEM_ID,
        dimensionsMd5: one.dimensionsMd5,
        level: one.severity,
        time: one.time,
      })),
    ),
    checkResults: advances.flatMap(({ group, step }) => resultLists(group, step.checkResults)),
  };
}

export function seriesLevel(of: { strategy: string; dimensionsMd5: string; severity: string }): SeriesLevel {
  return {
    strategyId: of.strategy,
    itemId: STRATEGY_ITEM_ID,
    dimensionsMd5: of.dimensionsMd5,
    level: of.severity,
  };
}

function groupTaking({ group, step }: GroupAdvance): GroupTaking {
  const { head, seenAdded, seenForgottenBefore } = step.changes;
  return {
    key: group.key,
    newestTime: head.newestTime,
    seenAdded: seenAdded.map(([time, md5]) => [time, `${md5}.${time}`]),
    seenForgottenBefore,
    seenTtlMs: duplicateTtlMs(group.intervalSeconds),
  };
}

function resultLists(group: StrategyGroup, results: readonly CheckResults[]): CheckResultsAdded[] {
  const windows = new Map<string, number>();
  for (const { name, levels } of group.strategies)
    for (const { severity, trigger } of levels) windows.set(`${name}\n${severity}`, trigger.window);
  return results.map((of) => {
    const keepCount = Math.max(windows.get(`${of.strategy}\n${of.severity}`) ?? 0, CHECK_RESULTS_KEPT_MIN);
    return { of: seriesLevel(of), rows: resultRows(group, of, keepCount), keepCount };
  });
}

/** The newest ones, in the order of time: older ones would be dropped by the same commit. */
function resultRows({ query }: StrategyGroup, { rows }: CheckResults, keepCount: number) {
  const isInOrder = rows.every(({ time }, index) => index === 0 || time >= (rows[index - 1] as { time: number }).time);
  const ordered = isInOrder ? rows : rows.toSorted((a, b) => a.time - b.time);
  return ordered.slice(-keepCount).map(({ time, value, isAnomalous }) => ({
    time,
    text: `${shownValue(query, value)}|${isAnomalous ? "anomalous" : "normal"}`,
  }));
}
