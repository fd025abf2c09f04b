/**
 * A convergence group: what one commit must know about all instances of a dimension, in a bounded size.
 *
 * Owns: who counts towards the next opening (`forming`), the open group's numbers, how many wait and how many are held,
 * summaries that are due. Does not own: the instances (their checkpoints), the order of the waiters (an ordered set of
 * the store).
 * G1 counters only: no list grows with the group, but `forming` (fewer than the rule's count) and bounded samples.
 * G2 every number follows from standings: a change of an instance is a change of its standing, old to new.
 * G3 an instance counts in the open group when it has the group's epoch and was created inside the window before the
 * opening. The functions below change the draft that they are given; `decide` gives them its own copy.
 */
import type { ConvergenceRule } from "../model/convergence-rule.ts";
import type { ArmedTimer } from "../model/instance-types.ts";
import { PEER_SAMPLE_COUNT_MAX, SUMMARY_SAMPLE_COUNT_MAX } from "../model/limits.ts";
import { type FormingMember, oldestInForming, placeInForming, type Standing } from "./forming.ts";
import type { GroupAnswer } from "./group-answer.ts";
import { lingers, TRAITS } from "./traits.ts";

export type OpenGroup = {
  readonly rule: ConvergenceRule;
  /** Version of the policy whose rule this is. The group keeps it until it closes. */
  readonly ruleVersion: string;
  readonly openedAtMs: number;
  /** The last millisecond at which it takes an alert, unless it lingers. */
  readonly endsAtMs: number;
  executed: number;
  succeeded: number;
  failed: number;
  inProgress: number;
  /**
   * Who is in progress, under the functions where somebody may wait for them: never more than the forming ones and
   * those that a human granted.
   */
  running: string[];
  /**
   * Times at which peers succeeded, newest last; only under skip_when_proceed, pruned to the window, at most
   * SETTLED_COUNT_MAX.
   */
  settledAtMs: number[];
  /** The first peers, for the audit. */
  peers: string[];
};

/** A summary that is still to be sent. It may outlive its group. */
export type PendingSummary = {
  readonly openerId: string;
  readonly openedAtMs: number;
  readonly endsAtMs: number;
  readonly ruleVersion: string;
  /** The opener was decided again, and may have opened a group before: this summary is another one. */
  readonly isAnew?: true;
  readonly timer: ArmedTimer;
  /** What was counted here; what is counted beside the group comes to it (tally.ts). */
  skipped: number;
  sample: string[];
};

export type Group = {
  readonly id: string;
  readonly policy: string;
  /**
   * Number of this formation and of the group that opens from it; grows, also when the group's record had been dropped.
   */
  epoch: number;
  /** Time of the last step that changed the group: time in a group never runs backwards. */
  lastAtMs: number;
  forming: FormingMember[];
  open: OpenGroup | null;
  waiters: number;
  held: number;
  /** Waiters ever: the order of the next one. */
  arrivals: number;
  /** Who answered last for one of those that it held; absent: nobody has. */
  answered?: GroupAnswer;
  /** Group timers armed so far. */
  arms: number;
  /** The fencing token of the last attempt that began in the group; absent: none has. */
  lastToken?: number;
  /** The order of the last instance that a pause held, in ms; absent: there has been none. */
  lastHeldAtMs?: number;
  summaries: PendingSummary[];
  /**
   * Waiters are still to be looked at again: the last commit was cut. `denied`: those that wait are skipped, for the
   * approval was denied.
   */
  wake: { timer: ArmedTimer; denied: { by: string; why: string } | null } | null;
};

const SETTLED_COUNT_MAX = 256;

export function newGroup(id: string, policy: string, atMs: number): Group {
  return {
    id,
    policy,
    epoch: atMs,
    lastAtMs: atMs,
    forming: [],
    open: null,
    waiters: 0,
    held: 0,
    arrivals: 0,
    arms: 0,
    summaries: [],
    wake: null,
  };
}

/** A copy that a decision may change. */
export function draftOf(group: Group): Group {
  return {
    ...group,
    forming: group.forming.slice(),
    open:
      group.open === null
        ? null
        : {
            ...group.open,
            running: [...group.open.running],
            settledAtMs: [...group.open.settledAtMs],
            peers: [...group.open.peers],
          },
    summaries: group.summaries.map((summary) => ({ ...summary, sample: [...summary.sample] })),
  };
}

/**
 * Did a decision leave the group as it was, the time of the last step aside? In a storm that converges most do, and
 * then the group is only compared, not written: writers of other processes do not lose to it.
 */
export function isUnchanged(before: Group, after: Group): boolean {
  return (
    before.epoch === after.epoch &&
    before.waiters === after.waiters &&
    before.held === after.held &&
    before.arrivals === after.arrivals &&
    before.arms === after.arms &&
    before.lastToken === after.lastToken &&
    before.lastHeldAtMs === after.lastHeldAtMs &&
    before.answered === after.answered &&
    before.wake === after.wake &&
    isSameList(before.forming, after.forming, Object.is) &&
    isSameList(before.summaries, after.summaries, (a, b) => a.timer === b.timer && a.skipped === b.skipped) &&
    isSameOpen(before.open, after.open)
  );
}

function isSameOpen(before: OpenGroup | null, after: OpenGroup | null): boolean {
  if (before === null || after === null) return before === after;
  const { running, settledAtMs, peers } = after;
  return (
    isSameList(before.running, running, Object.is) &&
    isSameList(before.settledAtMs, settledAtMs, Object.is) &&
    isSameList(before.peers, peers, Object.is) &&
    isSameFields({ ...before, running, settledAtMs, peers }, after)
  );
}

function isSameList<Item>(a: readonly Item[], b: readonly Item[], isSame: (a: Item, b: Item) => boolean): boolean {
  return a.length === b.length && a.every((item, index) => isSame(item, b[index] as Item));
}

function isSameFields<Fields extends object>(a: Fields, b: Fields): boolean {
  for (const name in a) if (a[name] !== b[name]) return false;
  return true;
}

/**
 * While it forms, deciding takes the dimension lock: no group yet, or fewer than `count` executed where that number
 * decides.
 */
export function isForming(group: Group | null): boolean {
  if (group?.open == null) return true;
  const { executed, rule } = group.open;
  return TRAITS[rule.function].limitsExecuted && executed < rule.count;
}

/** At exactly its end a group still takes an instance; after it only while somebody is in progress or waits. */
export function isOver(open: OpenGroup, waiters: number, atMs: number): boolean {
  if (atMs <= open.endsAtMs) return false;
  return !(lingers(open.rule.function) && (open.inProgress > 0 || waiters > 0));
}

/** `unreadableWaiters`: waiters whose checkpoints cannot be read keep no group open, for nobody knows how long. */
export function closeIfOver(group: Group, atMs: number, unreadableWaiters = 0): void {
  if (group.open === null || !isOver(group.open, group.waiters - unreadableWaiters, atMs)) return;
  group.open = null;
  group.forming = [];
  group.epoch = Math.max(group.epoch + 1, atMs);
}

/**
 * Forgets forming members that were created more than a window before `createdAtMs`. Exactly a window before still
 * counts.
 */
export function pruneForming(group: Group, rule: ConvergenceRule, createdAtMs: number): void {
  if (group.forming.length === 0) return;
  const since = createdAtMs - rule.windowMs;
  if (oldestInForming(group.forming) < since)
    group.forming = group.forming.filter((member) => member.createdAtMs >= since);
}

/** Opens the group: the forming members that had an attempt become its peers. */
export function openGroup(
  group: Group,
  rule: ConvergenceRule,
  options: { ruleVersion: string; atMs: number },
): OpenGroup {
  const peers = group.forming.filter((member) => member.hadAttempt || member.standing !== "none");
  const standing = (wanted: Standing) => group.forming.filter((member) => member.standing === wanted).length;
  const open: OpenGroup = {
    rule,
    ruleVersion: options.ruleVersion,
    openedAtMs: options.atMs,
    endsAtMs: options.atMs + (rule.maxWindowMs ?? rule.windowMs),
    executed: group.forming.filter((member) => member.hadAttempt).length,
    succeeded: standing("succeeded"),
    failed: standing("failed"),
    inProgress: standing("inProgress"),
    running: lingers(rule.function)
      ? peers.filter((member) => member.standing === "inProgress").map((member) => member.id)
      : [],
    settledAtMs: TRAITS[rule.function].tracksSettled ? settledTimes(group.forming) : [],
    peers: peers.slice(0, PEER_SAMPLE_COUNT_MAX).map((member) => member.id),
  };
  group.open = open;
  group.forming = [];
  return open;
}

function settledTimes(members: readonly FormingMember[]): number[] {
  const times = members.flatMap((member) => (member.succeededAtMs === null ? [] : [member.succeededAtMs]));
  return times.sort((a, b) => a - b).slice(-SETTLED_COUNT_MAX);
}

/** What a group must know of an instance to count it. */
export type Member = {
  readonly id: string;
  readonly epoch: number | null;
  /** When it was decided, which is when it was created, unless it was parked. */
  readonly createdAtMs: number;
  readonly hadAttempt: boolean;
  readonly standing: Standing;
  readonly succeededAtMs: number | null;
};

/**
 * The fencing token of an attempt that begins in the group: greater than every one before it, also when the group's
 * record had been dropped meanwhile, because it is never less than the time.
 */
export function takeToken(group: Group, atMs: number): number {
  group.lastToken = Math.max((group.lastToken ?? 0) + 1, atMs);
  return group.lastToken;
}

/**
 * Counts a change of an instance, from what it was to what it is (G2). Instances that do not count (G3) change nothing.
 */
export function countChange(group: Group, before: Member | null, after: Member): void {
  if (after.epoch !== group.epoch) return;
  if (group.open === null) {
    if (before !== null) countInForming(group, after);
    return;
  }
  if (after.createdAtMs < group.open.openedAtMs - group.open.rule.windowMs) return;
  countInOpen(group.open, before, after);
}

/**
 * Takes an instance that is decided again out of the formation that it was decided in.
 * @returns what the open group goes on counting of it: an attempt that was made stays made. null: nothing.
 */
export function leaveGroup(group: Group, member: Member): Member | null {
  if (member.epoch !== group.epoch) return null;
  const { open } = group;
  if (open === null) {
    group.forming = group.forming.filter(({ id }) => id !== member.id);
    return null;
  }
  if (member.createdAtMs < open.openedAtMs - open.rule.windowMs) return null;
  const left: Member = { ...member, standing: "none", succeededAtMs: null };
  countInOpen(open, member, left);
  return member.hadAttempt ? left : null;
}

function countInForming({ forming }: Group, after: Member): void {
  const place = placeInForming(forming, after.id);
  const known = forming[place];
  const member = formingMember(after);
  // One that is the same stays the same object: whether the group has changed is told by that.
  if (known !== undefined && !isSameFields(known, member)) forming[place] = member;
}

export function formingMember(member: Member): FormingMember {
  const { id, createdAtMs, standing, hadAttempt, succeededAtMs } = member;
  return { id, createdAtMs, standing, hadAttempt, succeededAtMs };
}

function countInOpen(open: OpenGroup, before: Member | null, after: Member): void {
  const was = standingAsCounted(open, before);
  if (was !== after.standing) {
    if (lingers(open.rule.function)) open.running = open.running.filter((id) => id !== after.id);
    if (after.standing === "inProgress" && lingers(open.rule.function)) open.running.push(after.id);
    if (was !== "none") open[was] -= 1;
    if (after.standing !== "none") open[after.standing] += 1;
  }
  if (after.hadAttempt && before?.hadAttempt !== true) {
    open.executed += 1;
    if (open.peers.length < PEER_SAMPLE_COUNT_MAX) open.peers.push(after.id);
  }
  if (TRAITS[open.rule.function].tracksSettled) recount(open, before?.succeededAtMs ?? null, after.succeededAtMs);
}

/** Who was dropped while quarantined was no peer since, whatever its checkpoint says. */
function standingAsCounted(open: OpenGroup, before: Member | null): Standing {
  if (before === null) return "none";
  const wasDropped =
    before.standing === "inProgress" && lingers(open.rule.function) && !open.running.includes(before.id);
  return wasDropped ? "none" : before.standing;
}

/**
 * A peer in progress whose checkpoint cannot be read is not a peer: nobody waits for what may never end. True when
 * there was one.
 */
export function dropQuarantined(group: Group, quarantined: { has(id: string): boolean }): boolean {
  const { open } = group;
  if (open === null || !open.running.some((id) => quarantined.has(id))) return false;
  open.running = open.running.filter((id) => !quarantined.has(id));
  open.inProgress = open.running.length;
  return true;
}

function recount(open: OpenGroup, was: number | null, is: number | null): void {
  if (was === is) return;
  const index = was === null ? -1 : open.settledAtMs.indexOf(was);
  if (index >= 0) open.settledAtMs.splice(index, 1);
  if (is === null) return;
  open.settledAtMs = [...open.settledAtMs.filter((time) => time >= is - open.rule.windowMs), is].slice(
    -SETTLED_COUNT_MAX,
  );
}

/** Schedules the summary of the group that was just opened: due at the window's end plus the rule's delay. */
export function scheduleSummary(
  group: Group,
  open: OpenGroup,
  { openerId, isAnew }: { openerId: string; isAnew: boolean },
): void {
  group.arms += 1;
  group.summaries.push({
    openerId,
    openedAtMs: open.openedAtMs,
    endsAtMs: open.endsAtMs,
    ruleVersion: open.ruleVersion,
    ...(isAnew ? { isAnew } : {}),
    timer: { dueAtMs: open.endsAtMs + (open.rule.summaryDelayMs ?? 0), arm: group.arms },
    skipped: 0,
    sample: [],
  });
}

/** The summary that those whom the open group skips are counted for; undefined: it sends none, or has sent it. */
export function summaryInOpen({ summaries, open }: Group): PendingSummary | undefined {
  return summaries.find(({ openedAtMs }) => openedAtMs === open?.openedAtMs);
}

/**
 * Counts a skipped instance in the group itself, as engines of the version before do (tally.ts has what is done now).
 */
export function collectInRecord(summary: PendingSummary, instanceId: string): void {
  summary.skipped += 1;
  if (summary.sample.length < SUMMARY_SAMPLE_COUNT_MAX) summary.sample.push(instanceId);
}

/**
 * Nothing of it is needed any more after `idleAtMs`; null: somebody is in progress, waits or is held, so it must stay.
 * `windowMs`: how long a forming member counts.
 */
export function idleAtMs(group: Group, windowMs: number): number | null {
  if (group.waiters > 0 || group.held > 0 || group.summaries.length > 0 || group.wake !== null) return null;
  if (group.open !== null) return group.open.inProgress > 0 ? null : group.open.endsAtMs;
  if (group.forming.some((member) => member.standing === "inProgress")) return null;
  return group.lastAtMs + windowMs;
}

/** Those that wait are looked at soon. `denied`: by whom, and why, what they wait for was denied. */
export function armWake(
  group: Group,
  { denied, atMs }: { denied: { by: string; why: string } | null; atMs: number },
): void {
  group.arms += 1;
  group.wake = { timer: { dueAtMs: atMs, arm: group.arms }, denied };
}
