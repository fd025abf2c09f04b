/**
 * Edits of a strategy file: what was stored under the query that a strategy had before goes on under the one that it
 * has.
 *
 * A group's key is made of query, interval and lateness, so editing one of them moves its strategies to another group.
 * Their series move along, with their open alerts, if they are still told apart by the same dimensions; what cannot
 * move is resolved (`strategy_changed`). Pure: it reads the states and says what to write.
 */
import type { DetectedAlert } from "./detected-alert.ts";
import { emptyGroupState, type GroupState, type SeriesState, type StrategyState } from "./group-state.ts";
import { pointsOf } from "./point-list.ts";
import { openWork, SeriesOutput } from "./series-work.ts";
import { type PieceWrites, seriesPiece } from "./state-pieces.ts";
import type { StrategyGroup } from "./strategy-group.ts";

/** What people should know of an edit. */
export type StrategyEdit = {
  readonly kind: "strategy_moved";
  readonly strategy: string;
  /** Open alerts that go on, and those that were resolved. */
  readonly openCount: number;
  readonly resolvedCount: number;
};

export type EditsApplied = {
  readonly states: ReadonlyMap<string, GroupState>;
  readonly pieces: PieceWrites;
  readonly alerts: readonly DetectedAlert[];
  readonly edits: readonly StrategyEdit[];
};

/** Null: nothing was edited. */
export function applyEdits(
  stored: ReadonlyMap<string, GroupState>,
  groups: readonly StrategyGroup[],
): EditsApplied | null {
  const edits = new Edits(stored, groups);
  for (const [key, state] of stored) edits.leave(key, state);
  return edits.result();
}

class Edits {
  readonly #groups: ReadonlyMap<string, StrategyGroup>;
  readonly #groupOf = new Map<string, StrategyGroup>();
  readonly #states: Map<string, GroupState>;
  readonly #put = new Map<string, string>();
  readonly #removed = new Set<string>();
  readonly #output = new SeriesOutput();
  readonly #counts = new Map<string, { openCount: number; resolvedCount: number }>();

  constructor(stored: ReadonlyMap<string, GroupState>, groups: readonly StrategyGroup[]) {
    this.#states = new Map(stored);
    this.#groups = new Map(groups.map((group) => [group.key, group]));
    for (const group of groups) for (const { name } of group.strategies) this.#groupOf.set(name, group);
  }

  /** Moves what is in a group's state and is no longer of that group. */
  leave(key: string, state: GroupState): void {
    const own = this.#groups.get(key);
    const names = new Set(own?.strategies.map(({ name }) => name));
    for (const [md5, series] of state.series) {
      const leaving = Object.entries(series.strategies).filter(([name]) => !names.has(name));
      for (const [name, one] of leaving) this.#move({ md5, series, name, one });
      if (own === undefined) this.#removed.add(seriesPiece(key, md5));
      else if (leaving.length > 0) {
        const staying = Object.entries(series.strategies).filter(([name]) => names.has(name));
        this.#putSeries(key, md5, { ...series, strategies: Object.fromEntries(staying) });
      }
    }
    if (own !== undefined || state.head.newestTime === null) return;
    this.#removed.add(`head ${key}`);
    this.#states.delete(key);
  }

  #move({ md5, series, name, one }: { md5: string; series: SeriesState; name: string; one: StrategyState }): void {
    const openCount = openCountOf(one);
    const to = this.#groupOf.get(name);
    const count = this.#counts.get(name) ?? { openCount: 0, resolvedCount: 0 };
    this.#counts.set(name, count);
    if (to === undefined || !hasSameDimensions(series, to)) {
      count.resolvedCount += openCount;
      this.#resolve(md5, series, { name, one });
      return;
    }
    count.openCount += openCount;
    const state = this.#states.get(to.key) ?? emptyGroupState();
    const there = state.series.get(md5);
    const moved =
      there === undefined
        ? { ...series, dueTime: 0, strategies: { [name]: one } }
        : { ...there, dueTime: 0, strategies: { ...there.strategies, [name]: withoutHits(one) } };
    this.#states.set(to.key, state);
    if (state.head.clockTime === null) state.head = { ...state.head, ...timesOf(series) };
    this.#put.set(`head ${to.key}`, JSON.stringify(state.head));
    this.#putSeries(to.key, md5, moved);
  }

  #putSeries(key: string, md5: string, series: SeriesState): void {
    const state = this.#states.get(key) as GroupState;
    const waited = pointsOf(state.series.get(md5)?.pending ?? "").length;
    state.pendingCount += pointsOf(series.pending).length - waited;
    state.series.set(md5, series);
    this.#put.set(seriesPiece(key, md5), JSON.stringify(series));
  }

  /** As for a level that a strategy no longer has. */
  #resolve(md5: string, series: SeriesState, { name, one }: { name: string; one: StrategyState }): void {
    const group = { ...([...this.#groups.values()][0] as StrategyGroup), strategies: [], expected: new Map() };
    openWork({ md5, group, before: { ...series, strategies: { [name]: one } } }, this.#output);
  }

  result(): EditsApplied | null {
    if (this.#put.size === 0 && this.#removed.size === 0) return null;
    return {
      states: this.#states,
      pieces: { put: [...this.#put], removed: [...this.#removed].filter((name) => !this.#put.has(name)) },
      alerts: this.#output.alerts.map(({ alert }) => alert),
      edits: [...this.#counts].map(([strategy, counts]) => ({ kind: "strategy_moved", strategy, ...counts })),
    };
  }
}

function openCountOf({ levels, noData }: StrategyState): number {
  return Object.values(levels).filter(({ open }) => open !== null).length + (noData === null ? 0 : 1);
}

/** Anomalous points are numbered in their own series. */
function withoutHits({ levels, noData }: StrategyState): StrategyState {
  const kept = Object.entries(levels).filter(([, level]) => level.open !== null);
  return { noData, levels: Object.fromEntries(kept.map(([severity, level]) => [severity, { ...level, hits: [] }])) };
}

function hasSameDimensions({ dimensionFields }: SeriesState, { query }: StrategyGroup): boolean {
  const own = new Set(query.dimensions);
  return own.size === dimensionFields.length && dimensionFields.every((field) => own.has(field));
}

function timesOf({ newestTime, heardAt }: SeriesState) {
  return { newestTime: newestTime ?? heardAt, clockTime: newestTime ?? heardAt };
}
