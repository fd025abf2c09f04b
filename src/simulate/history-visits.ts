/**
 * The way that an instance took, transition by transition: its history stepped through the machine again. For drawings.
 */
import { type History, isMachineEvent } from "../instance/audit-types.ts";
import { machinePolicyOf } from "../instance/checkpoint.ts";
import { initialSnapshot, type Snapshot, type Visit, visitsOf } from "../instance/step.ts";
import { compilePolicy } from "../policy/policy-versions.ts";
import { replay } from "./replay.ts";

/** As a drawing takes it: without an event it is not known what led there. */
export type DrawnVisit = Pick<Visit, "state"> & Partial<Visit>;

/** `count`: only the first steps. */
export function historyVisits(history: History, count = history.entries.length): DrawnVisit[] {
  const { birth, policy } = history;
  const machinePolicy = machinePolicyOf(compilePolicy(policy), { kind: birth.kind, groupId: birth.group });
  let before: Snapshot = initialSnapshot(machinePolicy);
  const visits: DrawnVisit[] = [{ state: before.state }];
  for (const { entry, snapshot } of replay(history).steps.slice(0, count)) {
    // What the engine only notes leaves it where it is.
    if (isMachineEvent(entry.event)) visits.push(...visitsOf(before, entry.event));
    before = snapshot;
  }
  return visits;
}
