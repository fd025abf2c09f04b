/** How far each level of each series has looked, for people and programs. */
import { labelText } from "./core/detected-alert.ts";
import type { GroupState } from "./core/group-state.ts";
import { STRATEGY_ITEM_ID } from "./core/strategy.ts";
import type { StrategyGroup } from "./core/strategy-group.ts";
import type { SeriesLevel } from "./detection-store.ts";

export type LevelCheckpoint = SeriesLevel & {
  /** The series' dimensions, for people. */
  readonly series: string;
  /** The newest point of the series that was detected. */
  readonly lastTime: number | null;
  readonly openSince: number | null;
};

export function levelCheckpoints({ strategies }: StrategyGroup, { series }: GroupState): LevelCheckpoint[] {
  return [...series].flatMap(([dimensionsMd5, one]) =>
    strategies.flatMap(({ name, levels }) =>
      levels.map(({ severity }) => ({
        strategyId: name,
        itemId: STRATEGY_ITEM_ID,
        dimensionsMd5,
        level: severity,
        series: one.dimensionFields.map((field) => `${field}=${labelText(one.dimensions[field])}`).join(", "),
        lastTime: one.lastTime,
        openSince: one.strategies[name]?.levels[severity]?.open?.startsAt ?? null,
      })),
    ),
  );
}
