/** Strategies that read the same records in the same way, put together. */
import { canonicalJson } from "../../model/canonical-json.ts";
import { md5Of, md5OfText } from "../records/record-identity.ts";
import { changeCountOf } from "./condition.ts";
import { alertLabels, type SeriesFacts } from "./detected-alert.ts";
import {
  LATENESS_INTERVAL_COUNT_DEFAULT,
  lateSecondsMax,
  RECENT_COUNT_MAX,
  SERIES_KEEP_SECONDS_MIN,
} from "./detection-limits.ts";
import type { Level, NoData, Strategy, StrategyQuery } from "./strategy.ts";

/** Strategies that read the same records in the same way: they share identity, duplicates, order and clock. */
export type StrategyGroup = {
  /** md5 over query, interval and lateness. */
  readonly key: string;
  readonly query: StrategyQuery;
  readonly intervalSeconds: number;
  readonly latenessSeconds: number;
  /** How late a point may come and still be put in its place. */
  readonly lateSecondsMax: number;
  /** Points of a series that are remembered; twice as many at most. */
  readonly recentCount: number;
  /** Points before a point that conditions look at. */
  readonly changeCount: number;
  /** In file order. */
  readonly strategies: readonly Strategy[];
  /** How long a series without data stays in the state. */
  readonly keepSeconds: number;
  /** Series that must be there: md5 -> dimensions. */
  readonly expected: ReadonlyMap<string, Readonly<Record<string, string>>>;
  /** The labels of an alert. */
  readonly labelsOf: (strategy: Strategy, series: SeriesFacts, source: Level | NoData) => Record<string, string>;
};

/** Labels that a program or a file adds to those of a series' alerts. */
export type Enrichment = (series: SeriesFacts) => Readonly<Record<string, string>>;

/** Puts strategies with the same query, interval and lateness together, in order of first appearance. */
export function groupStrategies(strategies: readonly Strategy[], enrich: Enrichment = () => ({})): StrategyGroup[] {
  const byKey = new Map<string, Strategy[]>();
  for (const strategy of strategies) {
    const key = groupKeyOf(strategy);
    byKey.set(key, [...(byKey.get(key) ?? []), strategy]);
  }
  return [...byKey].map(([key, members]) => groupOf(key, members, enrich));
}

/** A lateness of one interval, the default, is not part of the key. */
function groupKeyOf({ query, intervalSeconds, latenessSeconds }: Strategy): string {
  const isDefault = latenessSeconds === LATENESS_INTERVAL_COUNT_DEFAULT * intervalSeconds;
  return md5OfText(canonicalJson({ query, intervalSeconds, ...(isDefault ? {} : { latenessSeconds }) }));
}

function groupOf(key: string, strategies: readonly Strategy[], enrich: Enrichment): StrategyGroup {
  const { query, intervalSeconds, latenessSeconds } = strategies[0] as Strategy;
  const windows = strategies.flatMap(({ levels }) => levels.map(({ trigger }) => trigger.window));
  const lateSeconds = Math.max(lateSecondsMax(intervalSeconds), latenessSeconds);
  const fields = [...new Set(query.dimensions)];
  const conditions = strategies.flatMap(({ levels }) =>
    levels.flatMap(({ when, recovery }) => [when, recovery.when ?? []]),
  );
  const changeCount = Math.max(0, ...conditions.map(changeCountOf));
  const expected = strategies.flatMap(({ noData }) => noData?.expect ?? []);
  return {
    key,
    query,
    intervalSeconds,
    latenessSeconds,
    lateSecondsMax: lateSeconds,
    recentCount:
      Math.max(...windows, Math.min(RECENT_COUNT_MAX, Math.ceil(lateSeconds / intervalSeconds)), 1) + changeCount,
    changeCount,
    strategies,
    keepSeconds: keepSecondsOf(strategies, intervalSeconds),
    expected: new Map(
      expected.map((given) => {
        const dimensions = Object.fromEntries(fields.map((field) => [field, given[field] ?? ""]));
        return [md5Of(dimensions), dimensions];
      }),
    ),
    labelsOf: (strategy, series, source) => alertLabels(strategy, { series, source, added: enrich(series) }),
  };
}

/** Long enough for every window, every late record, every silence and every no-data alert of the group. */
function keepSecondsOf(strategies: readonly Strategy[], intervalSeconds: number): number {
  const levels = strategies.flatMap((one) => one.levels);
  const windows = levels.map(({ trigger }) => trigger.window * intervalSeconds);
  const silences = levels.map(({ recovery }) => recovery.silenceSeconds ?? 0);
  const keeps = strategies.map(({ noData }) =>
    noData === null ? 0 : Math.max(noData.keepSeconds, (noData.intervals + 1) * intervalSeconds),
  );
  return Math.max(SERIES_KEEP_SECONDS_MIN, lateSecondsMax(intervalSeconds), ...windows, ...silences, ...keeps);
}
