/**
 * Whether a stored group is what its instances make it: its ordered sets hold exactly those that wait and are held, and
 * what it counts follows from where they stand. Pure.
 *
 * Only what is exact is looked at. An instance that has ended may have been removed since by its retention, so a live
 * group may count more of those than there are, and never fewer. What was skipped, and when peers succeeded, is not
 * compared.
 */
import type { FormingMember, Standing } from "../convergence/forming.ts";
import type { Group, OpenGroup } from "../convergence/group.ts";
import { lingers } from "../convergence/traits.ts";
import type { Instance } from "./checkpoint.ts";
import { isHeld, memberOf } from "./draft.ts";
import { topLevel } from "./step.ts";

/** What a group must know of one of its instances. */
export type GroupMember = FormingMember & {
  readonly version: number;
  readonly epoch: number | null;
  readonly state: string;
  readonly isWaiting: boolean;
  readonly isHeld: boolean;
};

export function groupMemberOf(instance: Instance): GroupMember {
  const { snapshot, version } = instance;
  return {
    ...memberOf(instance),
    version,
    state: topLevel(snapshot.state),
    isWaiting: snapshot.state === "Proceeding",
    isHeld: isHeld(snapshot),
  };
}

/** An instance that a group neither counts nor names, unless it is forming. */
export function isBystander({ hadAttempt, standing, isWaiting, isHeld: held }: GroupMember): boolean {
  return !hadAttempt && standing === "none" && !isWaiting && !held;
}

export type GroupEvidence = {
  /** null: the store does not have it. */
  readonly group: Group | null;
  /** By id; all of its instances, as far as they are there. */
  readonly members: ReadonlyMap<string, GroupMember>;
  /** Its ordered sets. */
  readonly waiters: readonly string[];
  readonly held: readonly string[];
  /** False: some of its instances may be missing, for they have ended and were removed, or were too many. */
  readonly isWhole: boolean;
  /** Of all versions of its rule. */
  readonly shortestWindowMs: number;
};

/** The first thing that does not fit, or null. */
export function groupFault(evidence: GroupEvidence): string | null {
  const { group } = evidence;
  if (group === null) return goneFault(evidence);
  return (
    setFault(evidence, WAITERS) ??
    setFault(evidence, HELD) ??
    countFault(group.waiters, evidence.waiters.length, "that wait") ??
    countFault(group.held, evidence.held.length, "that are held") ??
    epochFault(group, evidence) ??
    (group.open === null ? formingFault(group, evidence) : openFault(group.open, group, evidence))
  );
}

type MemberSet = {
  readonly set: "waiters" | "held";
  readonly flag: "isWaiting" | "isHeld";
  readonly named: string;
  readonly follows: string;
};

const WAITERS: MemberSet = {
  set: "waiters",
  flag: "isWaiting",
  named: "among those that wait",
  follows: "nothing wakes it",
};
const HELD: MemberSet = {
  set: "held",
  flag: "isHeld",
  named: "among those that it holds",
  follows: "an answer to the group passes it over",
};

function goneFault({ members }: GroupEvidence): string | null {
  const left = [...members.values()].find(({ isWaiting, isHeld: held }) => isWaiting || held);
  if (left === undefined) return null;
  return `is gone, and ${left.id} is ${left.state} in it: ${left.isWaiting ? WAITERS.follows : HELD.follows}`;
}

function setFault({ members, ...sets }: GroupEvidence, { set, flag, named, follows }: MemberSet): string | null {
  const ids = new Set(sets[set]);
  for (const id of ids) {
    const member = members.get(id);
    if (member === undefined) return `names ${id} ${named}, and that is not there`;
    if (!member[flag]) return `names ${id} ${named}, and that is ${member.state}`;
  }
  for (const member of members.values())
    if (member[flag] && !ids.has(member.id))
      return `does not name ${member.id} ${named}, and that is ${member.state}: ${follows}`;
  return null;
}

function countFault(counted: number, found: number, what: string): string | null {
  return counted === found ? null : `counts ${counted} ${what}, and there are ${found}`;
}

/** Epochs only grow. */
function epochFault({ epoch }: Group, { members }: GroupEvidence): string | null {
  for (const member of members.values())
    if (member.epoch !== null && member.epoch > epoch)
      return `stands at formation ${epoch}, and ${member.id} was decided in the later formation ${member.epoch}`;
  return null;
}

/** Who counts towards the next opening stands there as it is. */
function formingFault(group: Group, { members, isWhole, shortestWindowMs }: GroupEvidence): string | null {
  const listed = new Set<string>();
  let newestMs = Number.NEGATIVE_INFINITY;
  for (const { id, createdAtMs, standing, hadAttempt, succeededAtMs } of group.forming) {
    listed.add(id);
    newestMs = Math.max(newestMs, createdAtMs);
    const member = members.get(id);
    if (member === undefined && isWhole) return `counts ${id} towards its opening, and that is not there`;
    if (member === undefined) continue;
    const isSame =
      member.epoch === group.epoch &&
      member.createdAtMs === createdAtMs &&
      member.standing === standing &&
      member.hadAttempt === hadAttempt &&
      member.succeededAtMs === succeededAtMs;
    if (!isSame) return `counts ${id} towards its opening as something else than it is`;
  }
  const own = [...members.values()].filter(({ epoch }) => epoch === group.epoch);
  for (const { createdAtMs } of own) newestMs = Math.max(newestMs, createdAtMs);
  const missing = own.find(
    ({ id, standing, createdAtMs }) =>
      standing === "inProgress" && createdAtMs >= newestMs - shortestWindowMs && !listed.has(id),
  );
  return missing === undefined
    ? null
    : `does not count ${missing.id} towards its opening, and that is ${missing.state} in it`;
}

const COUNTED = ["succeeded", "failed"] as const satisfies readonly Standing[];

function openFault(open: OpenGroup, { epoch }: Group, { members, isWhole, shortestWindowMs }: GroupEvidence) {
  const windowMs = Math.min(shortestWindowMs, open.rule.windowMs);
  const own = [...members.values()].filter(
    (member) => member.epoch === epoch && member.createdAtMs >= open.openedAtMs - windowMs,
  );
  const progress = progressFault(open, new Map(own.map((member) => [member.id, member])));
  if (progress !== null) return progress;
  const standing = (wanted: Standing) => own.filter((member) => member.standing === wanted).length;
  const found = { executed: own.filter(({ hadAttempt }) => hadAttempt).length };
  // Rules of several windows leave open who was forgotten before the group opened.
  const isExact = isWhole && windowMs === open.rule.windowMs;
  for (const [name, number] of [
    ["executed", found.executed] as const,
    ...COUNTED.map((name_) => [name_, standing(name_)] as const),
  ]) {
    if (open[name] < number) return `counts ${open[name]} ${name}, and there are ${number}`;
    if (isExact && open[name] > number) return `counts ${open[name]} ${name}, and there are only ${number}`;
  }
  return null;
}

/** Those in progress are there, for none of them is ever removed. */
function progressFault({ rule, running, inProgress }: OpenGroup, own: ReadonlyMap<string, GroupMember>) {
  const found = [...own.values()].filter(({ standing }) => standing === "inProgress");
  if (lingers(rule.function)) {
    const stranger = running.find((id) => own.get(id)?.standing !== "inProgress");
    if (stranger !== undefined)
      return `names ${stranger} in progress, and that is ${own.get(stranger)?.state ?? "none of its peers"}`;
    const missing = found.find(({ id }) => !running.includes(id));
    if (missing !== undefined)
      return `does not name ${missing.id} in progress, and that is ${missing.state}: another may run beside it`;
  }
  return countFault(inProgress, found.length, "in progress");
}
