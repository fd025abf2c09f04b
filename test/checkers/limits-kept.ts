/**
 * Limits and mutexes, from what the audit says and nothing else: no two decisions of one opening saw the same number of executed peers, nobody ran
 * beyond `count`, a group opened exactly when its number was reached, and never two ran beside each other under a mutex.
 */
import type { ConvergenceFunction, ConvergenceRule } from "../../src/model/convergence-rule.ts";
import type { Violation } from "./recording.ts";
import { type Evidence, type PlacedStep, stepsInOrder } from "./trails.ts";

const CHECKER = "limits kept";

const LIMITED: ReadonlySet<ConvergenceFunction> = new Set(["skip_when_exceed", "defense", "collect"]);
const MUTEX: ReadonlySet<ConvergenceFunction> = new Set([
  "skip_when_success",
  "approve_when_failed",
  "skip_when_proceed",
  "wait_when_proceed",
]);

type Group = {
  readonly rule: ConvergenceRule;
  /** When those were created that would count towards the opening. */
  forming: { readonly id: string; readonly atMs: number }[];
  endsAtMs: number | null;
  /** Numbers of executed peers that runs of this opening saw. */
  readonly seen: Set<number>;
  readonly running: Set<string>;
  /** Somebody was decided again, or run by a person, and left or joined it beside its rule: who opens it follows no longer from times alone. */
  isDisturbed: boolean;
};

export function limitsKept(evidence: Evidence): Violation[] {
  const groups = new Map<string, Group>();
  const found: Violation[] = [];
  const isOrdered = evidence.commitOrder !== null;
  for (const commit of commitsOf(stepsInOrder(evidence))) {
    const moved = new Map<string, { group: Group; placed: PlacedStep }>();
    for (const placed of commit) {
      const { birth, history, stored } = placed.trail;
      const rule = history?.policy.converge ?? null;
      if (birth === null || birth.group === null || birth.kind !== "action" || rule === null) continue;
      const group = groups.get(birth.group) ?? newGroup(rule);
      groups.set(birth.group, group);
      moved.set(stored.id, { group, placed });
      for (const what of decided(group, placed, isOrdered)) found.push(violation(placed, what));
    }
    if (!isOrdered) continue;
    // Who ends and who begins in one commit do so together.
    for (const { group, placed } of moved.values()) group.running.delete(placed.trail.stored.id);
    for (const { group, placed } of moved.values())
      for (const what of ran(group, placed)) found.push(violation(placed, what));
  }
  return found;
}

function violation({ trail }: PlacedStep, what: string): Violation {
  return { checker: CHECKER, what: `${trail.stored.id} of ${trail.birth?.group}: ${what}` };
}

function commitsOf(steps: readonly PlacedStep[]): PlacedStep[][] {
  const commits: PlacedStep[][] = [];
  let last = Number.NaN;
  for (const placed of steps) {
    const commit = Math.floor(placed.place);
    if (commit === last) commits.at(-1)?.push(placed);
    else commits.push([placed]);
    last = commit;
  }
  return commits;
}

function newGroup(rule: ConvergenceRule): Group {
  return { rule, forming: [], endsAtMs: null, seen: new Set(), running: new Set(), isDisturbed: false };
}

function decided(group: Group, { trail, step }: PlacedStep, isOrdered: boolean): string[] {
  const { entry } = step;
  const { event, observation, count } = entry;
  if (event.type === "reconsider" || (event.type === "start" && event.approved === true)) group.isDisturbed = true;
  if (event.type !== "start" || event.approved === true || event.silence !== null) return [];
  const { rule } = group;
  if (observation?.isNew === true) group.seen.clear();
  const isPlaced = isOrdered && !MUTEX.has(rule.function) && !group.isDisturbed;
  const wrong = isPlaced ? placedWrong(group, { id: trail.stored.id, entry }) : [];
  if (observation === null || count === null || !LIMITED.has(rule.function) || entry.verdict !== "run") return wrong;
  if (!observation.isNew && observation.executed >= count)
    wrong.push(`ran as number ${observation.executed + 1} of ${count}`);
  if (group.seen.has(observation.executed)) wrong.push(`saw ${observation.executed} executed, as another one did`);
  group.seen.add(observation.executed);
  return wrong;
}

/** Whether it opened the group, joined it or counted towards it, by the times of those before it. */
function placedWrong(group: Group, { id, entry }: { id: string; entry: PlacedStep["step"]["entry"] }): string[] {
  const { rule } = group;
  if (group.endsAtMs !== null && entry.atMs <= group.endsAtMs)
    return entry.observation !== null && !entry.observation.isNew ? [] : ["should have joined the open group"];
  if (group.endsAtMs !== null) group.forming = [];
  group.endsAtMs = null;
  const inWindow = group.forming.filter(({ atMs }) => atMs >= entry.atMs - rule.windowMs).length;
  const opens = inWindow + 1 >= rule.count;
  const opened = entry.observation?.isNew === true;
  if (opened) group.endsAtMs = entry.atMs + (rule.maxWindowMs ?? rule.windowMs);
  else group.forming.push({ id, atMs: entry.atMs });
  if (opened === opens) return [];
  return [opened ? "opened the group too early" : `did not open the group, though ${inWindow} stood before it`];
}

/**
 * Under a mutex at most one runs once the group is open; those that a human granted run beside it. Where a success is verified, one that is run again
 * after its group's end does so too, by design (instance/take-command.ts).
 */
function ran(group: Group, { trail, step }: PlacedStep): string[] {
  const { rule, running } = group;
  const { id } = trail.stored;
  const isVerified = trail.history?.policy.verify !== undefined;
  const { state } = step.snapshot;
  const { event, reason } = step.entry;
  if (state !== "Processing.running" || !MUTEX.has(rule.function) || rule.count > 1 || isVerified) return [];
  const isGranted = event.type === "approval.granted" || (event.type === "start" && event.approved === true);
  if (isGranted || reason === "approved") return [];
  running.add(id);
  return running.size > 1 ? [`runs beside ${[...running].filter((other) => other !== id).join(", ")}`] : [];
}
