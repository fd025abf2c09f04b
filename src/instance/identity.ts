/**
 * Whether an instance is the one that its birth line tells of: its id is made of that line, so another instance's text
 * under this id, however whole its chain is, gives another id. Pure: for the store's own trails and for exported ones.
 */

import { idNames, instanceNameParts, partitionOf, partitionOfId } from "../model/ids.ts";
import type { Birth } from "./audit-types.ts";
import type { Instance } from "./checkpoint.ts";
import { pauseRequestParts } from "./notices.ts";

/** An approval request is named by the step of its instance that asked, and how many timers that had armed. */
const ASKED_AT_MAX = 255;

/** What does not fit, or null. `partitions`: of the namespace; null: not known. */
export function identityFault(id: string, birth: Birth, partitions: number | null): string | null {
  if (!isNamed(id, birth)) return "its birth is that of another instance: the id that it gives is not this one";
  const { group } = birth;
  if (group === null || partitions === null || partitionOf(group, partitions) === partitionOfId(id)) return null;
  return `its group ${group} lies in another partition than this instance`;
}

/** What the checkpoint and the birth say differently of the same instance, or null. */
export function birthFault(instance: Instance, birth: Birth): string | null {
  const pairs = [
    ["policy", instance.policy, birth.policy],
    ["policy version", instance.policyVersion, birth.policyVersion],
    ["group", instance.groupId, birth.group],
    ["kind", instance.kind, birth.kind],
  ] as const;
  const [name, stored, born] = pairs.find(([, left, right]) => left !== right) ?? [];
  return name === undefined ? null : `its checkpoint has the ${name} ${stored}, its birth ${born}`;
}

function isNamed(id: string, { alert, notice, policy, createdAtMs }: Birth): boolean {
  if (notice?.kind === "summary") {
    const parts = ["summary", notice.opener];
    return idNames(id, parts) || idNames(id, [...parts, notice.openedAtMs]);
  }
  if (notice?.kind === "approval-request" && notice.pause !== undefined)
    return idNames(id, pauseRequestParts(notice.pause));
  if (notice?.kind === "approval-request") return isRequest(id, notice.instance);
  if (alert === null) return false;
  // An episode begins when its alert says, or when it was received.
  return [alert.startsAtMs, createdAtMs].some((startMs) =>
    idNames(id, instanceNameParts({ policy, fingerprint: alert.fingerprint, startMs })),
  );
}

/** The birth of a request does not tell by which step it was asked for: it was one of the first. */
function isRequest(id: string, instance: string): boolean {
  for (let version = 0; version <= ASKED_AT_MAX; version += 1)
    for (let arms = 0; arms <= ASKED_AT_MAX; arms += 1)
      if (idNames(id, ["approval-request", instance, version, arms])) return true;
  return false;
}
