/**
 * Which timers a commit arms and cancels: the difference between what was expected before and what is expected after.
 */

import type { Group } from "../convergence/group.ts";
import type { ArmedTimer } from "../model/instance-types.ts";
import type { GroupTimer } from "./decision.ts";
import { type ChangedInstance, hasTimers, timersOf } from "./draft.ts";

/** Timers that a group expects. */
export function groupTimers(group: Group | null): GroupTimer[] {
  if (group === null) return [];
  const timers: GroupTimer[] = group.summaries.map(({ timer }) => ({ name: "summary", timer }));
  if (group.wake !== null) timers.push({ name: "wake", timer: group.wake.timer });
  return timers;
}

export function includesTimer(timers: readonly GroupTimer[], { name, timer }: GroupTimer): boolean {
  return timers.some((candidate) => candidate.name === name && candidate.timer.arm === timer.arm);
}

export function sameTimers(a: readonly GroupTimer[], b: readonly GroupTimer[]): boolean {
  return a.length === b.length && a.every((timer) => includesTimer(b, timer));
}

const UNCHANGED = { armed: [], cancelled: [] };

/**
 * Timers of an instance that a commit arms and cancels: the difference between what it expected before and expects now.
 */
export function timerChanges(changed: ChangedInstance): {
  armed: [string, ArmedTimer][];
  cancelled: [string, ArmedTimer][];
} {
  if (!hasTimers(changed.before) && !hasTimers(changed.instance)) return UNCHANGED;
  const before = timersOf(changed.before);
  const after = timersOf(changed.instance);
  return {
    armed: [...after].filter(([name, timer]) => before.get(name)?.arm !== timer.arm),
    cancelled: [...before].filter(([name, timer]) => after.get(name)?.arm !== timer.arm),
  };
}
