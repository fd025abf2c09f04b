/** A group as the chart in machines/convergence-group.machine.ts shows it. The engine keeps groups as plain numbers. */

import type { GroupContext } from "../../machines/convergence-group.machine.ts";
import type { Group } from "../convergence/group.ts";
import { lingers } from "../convergence/traits.ts";
import type { ConvergenceRule } from "../model/convergence-rule.ts";

export type GroupSnapshot = { readonly state: "Forming" | "Open" | "Lingering"; readonly context: GroupContext };

export type InspectedGroup = {
  readonly id: string;
  readonly policy: string;
  readonly atMs: number;
  readonly snapshot: GroupSnapshot;
};

/** `rule`: what a group that is not open yet would open by; null when it is not known. */
export function inspectedGroup(group: Group, rule: ConvergenceRule | null): InspectedGroup {
  const { id, policy, lastAtMs, waiters, open } = group;
  if (open === null) return { id, policy, atMs: lastAtMs, snapshot: formingGroup(rule) };
  const state = lastAtMs > open.endsAtMs ? "Lingering" : "Open";
  const context = { ...contextOf(open.rule), endsAtMs: open.endsAtMs, inProgress: open.inProgress, waiters };
  return { id, policy, atMs: lastAtMs, snapshot: { state, context } };
}

/** Before it opens; also all that is known of a group from outside. */
export function formingGroup(rule: ConvergenceRule | null): GroupSnapshot {
  return { state: "Forming", context: contextOf(rule) };
}

function contextOf(rule: ConvergenceRule | null): GroupContext {
  return {
    count: rule?.count ?? 0,
    lastsMs: rule?.maxWindowMs ?? rule?.windowMs ?? 0,
    lingers: rule !== null && lingers(rule.function),
    endsAtMs: 0,
    inProgress: 0,
    waiters: 0,
  };
}
