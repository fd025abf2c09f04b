/**
 * What would go another way: the instances of one stream of alerts under two sets of policies, compared one by one.
 *
 * An instance is the same one on both sides if policy, alert and start of the episode are the same; its id may differ
 * in the partition, which follows the rule: a change has the old one, by which a store finds it. Pure: rows in, changes
 * out.
 */
import type { InstanceState } from "../model/instance-types.ts";
import { type RowStore, rowsInMemory } from "./row-store.ts";

/** An instance as one side left it; the rows of `becalm run --json`. */
export type OutcomeRow = {
  readonly id: string;
  readonly policy: string;
  readonly alert: DiffAlert | null;
  readonly state: InstanceState | null;
  readonly reason: string | null;
  readonly attempts: number;
  readonly path: readonly InstanceState[];
};

export type DiffAlert = {
  readonly fingerprint: string;
  readonly startsAt: string;
  readonly labels: Readonly<Record<string, string>>;
};

export type Side = {
  readonly state: InstanceState | null;
  readonly reason: string | null;
  readonly attempts: number;
  readonly path: readonly InstanceState[];
};

/** null: that side has no such instance, for no policy of that name matches the alert. */
export type Change = {
  readonly id: string;
  readonly policy: string;
  readonly alert: DiffAlert | null;
  readonly was: Side | null;
  readonly now: Side | null;
};

export type SideTotals = {
  readonly executed: number;
  readonly skipped: number;
  readonly waiting: number;
  readonly groups: number;
  readonly summaries: number;
};

/** Reports each instance of one side, and what they come to. */
export type ReportSide = (
  onRow: (row: OutcomeRow) => Promise<void>,
) => Promise<SideTotals & { readonly alerts: number }>;

export type DiffSummary = {
  readonly alerts: number;
  readonly instances: number;
  readonly changed: number;
  readonly was: SideTotals;
  readonly now: SideTotals;
};

/** Where the row of an instance of the old side is, and what became of it: equal outcomes are one object. */
type Was = { readonly slot: number; readonly side: Side };

/** Compares the rows of the new side, one after the other, with those of the old one. */
export class Comparison {
  readonly #rows: RowStore<OutcomeRow>;
  readonly #was = new Map<string, Was>();
  readonly #sides = new Map<string, Side>();
  #instances = 0;
  #changed = 0;

  /** `rows`: where those of the old side are put away. */
  constructor(rows: RowStore<OutcomeRow> = rowsInMemory()) {
    this.#rows = rows;
  }

  get instances(): number {
    return this.#instances;
  }

  get changed(): number {
    return this.#changed;
  }

  /** All rows of the old side come before the first of the new one. */
  addWas(row: OutcomeRow): void {
    this.#was.set(keyOf(row), { slot: this.#rows.add(row), side: this.#known(sideOf(row)) });
    this.#instances += 1;
  }

  /** The change that a row of the new side makes; null: it is as it was. */
  compare(row: OutcomeRow): Change | null {
    const was = this.#was.get(keyOf(row));
    if (was === undefined) this.#instances += 1;
    else this.#was.delete(keyOf(row));
    const side = this.#known(sideOf(row));
    if (was?.side === side) return null;
    const named = was === undefined ? row : this.#rows.get(was.slot);
    return this.#change({ row: named, was: was?.side ?? null, now: side });
  }

  /** Those that only the old side has, after all rows of the new one. */
  *gone(): Generator<Change> {
    for (const { slot, side } of this.#was.values())
      yield this.#change({ row: this.#rows.get(slot), was: side, now: null });
    this.#was.clear();
  }

  #known(side: Side): Side {
    const { state, reason, attempts, path } = side;
    const text = `${state} ${reason} ${attempts} ${path.join()}`;
    const known = this.#sides.get(text) ?? side;
    this.#sides.set(text, known);
    return known;
  }

  #change({ row, was, now }: { row: OutcomeRow; was: Side | null; now: Side | null }): Change {
    this.#changed += 1;
    return { id: row.id, policy: row.policy, alert: row.alert, was, now };
  }
}

/** The part of an id behind its partition follows from policy, alert and start. */
function keyOf({ id }: OutcomeRow): string {
  return id.slice(id.indexOf("-") + 1);
}

function sideOf({ state, reason, attempts, path }: OutcomeRow): Side {
  return { state, reason, attempts, path };
}

export function isSameOutcome(a: OutcomeRow, b: OutcomeRow): boolean {
  return (
    a.state === b.state &&
    a.reason === b.reason &&
    a.attempts === b.attempts &&
    a.path.length === b.path.length &&
    a.path.every((state, index) => state === b.path[index])
  );
}

/** It acts now, and did not. */
export function isNewlyExecuted({ was, now }: Change): boolean {
  return (was?.attempts ?? 0) === 0 && (now?.attempts ?? 0) > 0;
}

/** Nothing is done about it now: it is skipped, or has no instance any longer. It was neither before. */
export function isNewlySkipped({ was, now }: Change): boolean {
  return was !== null && was.state !== "Skipped" && (now === null || now.state === "Skipped");
}

/** Severities from the gravest on; what others say comes between `warning` and `info`. */
const SEVERITIES = ["critical", "page", "emergency", "error", "high", "major", "warning", "", "info", "low", "none"];

/** What people want to see first: newly executed and newly skipped ones by their severity, the rest behind them. */
export function compareChanges(a: Change, b: Change): number {
  return weightOf(a) - weightOf(b);
}

function weightOf(change: Change): number {
  const kind = isNewlyExecuted(change) || isNewlySkipped(change) ? 0 : 1;
  const severity = (change.alert?.labels["severity"] ?? "").toLowerCase();
  const rank = SEVERITIES.indexOf(severity);
  return kind * SEVERITIES.length + (rank === -1 ? SEVERITIES.indexOf("") : rank);
}
