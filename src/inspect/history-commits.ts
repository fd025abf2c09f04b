/** A history as the commits that it was made by. Pure. */
import type { AuditEntry, History } from "../instance/audit-types.ts";
import { initialSnapshot, type Snapshot } from "../instance/step.ts";
import type { ConvergenceRule } from "../model/convergence-rule.ts";
import { compilePolicy } from "../policy/policy-versions.ts";
import type { InspectedGroup } from "./group-snapshot.ts";
import { formingGroup } from "./group-snapshot.ts";
import type { InspectedCommit, InspectedInstance } from "./inspected.ts";

export type HistoryStep = { readonly entry: AuditEntry; readonly snapshot: Snapshot };

/** One commit an entry, so that each step can be told by itself. Versions count entries: they rise by one with each. */
export function commitsOf(history: History, steps: readonly HistoryStep[]): InspectedCommit[] {
  const { birth, policy } = history;
  const compiled = compilePolicy(policy);
  const start = initialSnapshot(birth.group === null ? compiled.ungoverned : compiled.governed);
  const at = (version: number, atMs: number, snapshot: Snapshot): InspectedInstance => ({
    id: history.instance,
    policy: birth.policy,
    kind: birth.kind,
    groupId: birth.group,
    version,
    atMs,
    snapshot,
  });
  let before = at(0, birth.createdAtMs, start);
  return steps.map(({ entry, snapshot }, index) => {
    const instance = at(index + 1, entry.atMs, snapshot);
    const change = { before: index === 0 ? null : before, instance, createdAtMs: birth.createdAtMs, entries: [entry] };
    before = instance;
    return { group: groupAt(history, entry), changes: [change] };
  });
}

/** What the entry says of the group: a history holds what its decisions looked at, not the group itself. */
function groupAt({ birth, policy }: History, { observation, count, atMs }: AuditEntry): InspectedGroup | null {
  if (birth.group === null) return null;
  const forming = formingGroup(policy.converge as ConvergenceRule | null);
  const base = { id: birth.group, policy: birth.policy, atMs };
  if (observation === null) return null;
  const context = { ...forming.context, count: count ?? forming.context.count, inProgress: observation.inProgress };
  return { ...base, snapshot: { state: "Open", context } };
}
