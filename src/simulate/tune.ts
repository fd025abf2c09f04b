/**
 * Which combination of a rule's settings is worth it. Pure: outcomes of combinations in, the Pareto points and the
 * smallest change out.
 *
 * A change is measured by what it does: by the instances that go another way than under the rule in force. So changes
 * of different settings can be compared, and the proof is the `diff` of the two rules. Of two changes that do as much,
 * the one that changes fewer settings is smaller, then the one that comes first in the grid.
 */
import { type Condition, compares } from "./diff-gates.ts";
import { type Combination, isSameValue } from "./tune-grid.ts";

/** Of the instances of the policy that is tuned. `asked`: a person was, whether the instance waits still or not. */
export const TUNE_FIELDS = [
  "executed",
  "skipped",
  "waiting",
  "asked",
  "changed",
  "newlyExecuted",
  "newlySkipped",
] as const;
export type TuneField = (typeof TUNE_FIELDS)[number];
export type TuneFigures = Readonly<Record<TuneField, number>>;

export type Tried = {
  readonly combination: Combination;
  /** As the policy file says it. */
  readonly isInForce: boolean;
  /** How many of the varied settings have another value than in force. */
  readonly settingsChanged: number;
  readonly figures: TuneFigures;
};

/** What fewer, or more, of is better. */
export type Axis = { readonly field: TuneField; readonly isLess: boolean };

/** The axis of a target: `executed <= 20` wants less. Without a target, fewer actions are better. */
export function axisOf(targets: readonly Condition[]): Axis {
  const first = targets.find(({ field, operator }) => field !== "changed" && operator !== "==" && operator !== "!=");
  if (first === undefined) return { field: "executed", isLess: true };
  return { field: first.field as TuneField, isLess: first.operator.startsWith("<") };
}

/**
 * Nothing that changes as little is better on the axis, and nothing that is as good changes less. Of combinations that
 * do the same, only the first is a Pareto point. In the order of changes, the smallest first.
 */
export function paretoOf(tried: readonly Tried[], { field, isLess }: Axis): readonly Tried[] {
  const cost = ({ figures }: Tried) => (isLess ? figures[field] : -figures[field]);
  const inOrder = tried.toSorted(
    (a, b) => a.figures.changed - b.figures.changed || cost(a) - cost(b) || compareChanges(a, b),
  );
  const points: Tried[] = [];
  for (const one of inOrder) {
    const before = points.at(-1);
    if (before === undefined || cost(one) < cost(before)) points.push(one);
  }
  return points;
}

export function reaches({ figures }: Tried, targets: readonly Condition[]): boolean {
  return targets.every((target) => compares(target, figures[target.field as TuneField]));
}

/** The smallest change that reaches every target; null: none does. The rule in force is the smallest of all. */
export function smallestOf(tried: readonly Tried[], targets: readonly Condition[]): Tried | null {
  return tried.filter((one) => reaches(one, targets)).toSorted(compareChanges)[0] ?? null;
}

/** toSorted is stable: equal ones stay in the order of the grid. */
function compareChanges(a: Tried, b: Tried): number {
  return a.figures.changed - b.figures.changed || a.settingsChanged - b.settingsChanged;
}

/** How many settings have another value than in force. */
export function settingsChanged(combination: Combination, inForce: Combination): number {
  return [...combination].filter(([setting, value]) => !isSameValue(value, inForce.get(setting))).length;
}
