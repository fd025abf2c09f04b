import type { ConvergenceFunction, ConvergenceRule, Observation } from "../../src/model/convergence-rule.ts";
import type { InstanceState } from "../../src/model/instance-types.ts";
import type {
  Entry,
  Episode,
  Group,
  Instance,
  Labels,
  ModelPolicy,
  ModelTimer,
  SlowModelOptions,
} from "./slow-model-types.ts";
import { type ModelVerdict, verdictFor } from "./slow-model-verdict.ts";

/** "Under skip_when_success, approve_when_failed, skip_when_proceed and wait_when_proceed a group [...] stays open past its window". */
const LINGERING: ReadonlySet<ConvergenceFunction> = new Set([
  "skip_when_success",
  "approve_when_failed",
  "skip_when_proceed",
  "wait_when_proceed",
]);

const ALWAYS = Number.POSITIVE_INFINITY;

/** All instances and what happened to them. Answers every question about groups by going through the whole list. */
export class World {
  readonly all: Instance[] = [];
  /** Time of every commit, by number. */
  readonly commitTimes: number[] = [];
  private readonly options: SlowModelOptions;

  constructor(options: SlowModelOptions) {
    this.options = options;
  }

  verdictOf(instance: Instance): ModelVerdict {
    const rule = ruleOf(instance);
    // "`where`: only a filter on which instances the rule governs, others run".
    if (rule === null) return { verdict: "run", reason: "no_rule" };
    const group = this.groupOf(instance);
    // "Below `count` matching instances in the window [...] each is decided without a group: run, except trigger: skip".
    if (group === null || group.remembered.includes(instance)) {
      return { verdict: rule.function === "trigger" ? "skip" : "run", reason: "below_count" };
    }
    return verdictFor(rule, this.observe(instance, group));
  }

  /** "Numbers of peers"; "`executed`, `succeeded`, ... never count the instance itself". */
  private observe(instance: Instance, group: Group): Observation {
    const others = membersOf(group).filter((member) => member !== instance);
    // "A peer is an instance of the group that has had an attempt."
    const peers = others.filter(hadAttempt);
    const inProgress = others.filter((other) => isInProgress(other, group.rule));
    const settled = peers.filter((peer) => !inProgress.includes(peer));
    // "Its outcome is that of its last attempt."
    const succeeded = settled.filter((peer) => lastResult(peer)?.attemptEnded === "succeeded");
    const failed = settled.filter((peer) => lastResult(peer)?.attemptEnded === "failed");
    // "Ended without failure inside the window": at most `window` before now.
    const sinceMs = (this.commitTimes.at(-1) as number) - group.rule.windowMs;
    return {
      isNew: group.opener === instance && instance.log.length === 0,
      executed: peers.length,
      succeeded: succeeded.length,
      failed: failed.length,
      inProgress: inProgress.length,
      settledWithoutFailure: succeeded.filter((peer) => (lastResult(peer) as Entry).atMs >= sinceMs).length,
      // "Until there are groups of groups, the engine passes `parentOpen: false`."
      parentOpen: false,
    };
  }

  /** The group that an instance opened, joined or was counted for. It stays in it: "a held instance stays in its group". */
  groupOf(instance: Instance): Group | null {
    return this.groupsLike(instance).find((group) => membersOf(group).includes(instance)) ?? null;
  }

  allGroups(): Group[] {
    const groups = new Map<Instance, Group>();
    for (const instance of this.all) for (const group of this.groupsLike(instance)) groups.set(group.opener, group);
    return [...groups.values()];
  }

  /** Every group that the instance's dimension key ever had, in order, by going through the key's instances from the first one on. */
  private groupsLike(instance: Instance): Group[] {
    const { groupId: id } = instance;
    if (id === null) return [];
    const rule = ruleOf(instance) as ConvergenceRule;
    const groups: Group[] = [];
    // "A group belongs to one policy: its id is the policy's name and the dimension key."
    const alike = this.all.filter(({ groupId }) => groupId === id);
    for (const [index, candidate] of alike.entries()) {
      const latest = groups.at(-1);
      if (latest !== undefined && this.isOpenFor(latest, candidate)) {
        latest.joined.push(candidate);
        continue;
      }
      // "Matching instances in the window (created at most `window` before this one)"; "whoever belonged to a group does not count
      // towards the next one".
      const remembered = alike.slice(0, index).filter((earlier) => {
        const isInWindow = earlier.createdAtMs >= candidate.createdAtMs - rule.windowMs;
        return isInWindow && !groups.some((group) => membersOf(group).includes(earlier));
      });
      // "The instance that makes the number reach `count` opens the group."
      if (remembered.length + 1 < rule.count) continue;
      const endAtMs = candidate.createdAtMs + (rule.maxWindowMs ?? rule.windowMs);
      groups.push({ id, rule, opener: candidate, endAtMs, remembered, joined: [] });
    }
    return groups;
  }

  /**
   * "At exactly its end (opened + max_window, else window) a group still takes an alert; after it, it closes", but "a group with a peer
   * in progress or a waiter stays open past its window until that is settled": it is still open if that held at every moment since.
   */
  private isOpenFor(group: Group, candidate: Instance): boolean {
    if (candidate.createdAtMs <= group.endAtMs) return true;
    if (!LINGERING.has(group.rule.function)) return false;
    const commits = this.commitTimes.slice(0, candidate.createdInCommit).map((atMs, commit) => ({ atMs, commit }));
    const atItsEnd = commits.filter(({ atMs }) => atMs <= group.endAtMs).slice(-1);
    const since = commits.filter(({ atMs }) => atMs > group.endAtMs);
    return [...atItsEnd, ...since].every(({ commit }) => isHeldOpen(group, commit));
  }

  /** "`from <= t < to`, looked at only at `start`." */
  isSilenced({ labels, createdAtMs }: Pick<Instance, "labels" | "createdAtMs">): boolean {
    const silences = this.options.silences ?? [];
    return silences.some(
      ({ match, fromMs, toMs }) => matches(match, labels) && fromMs <= createdAtMs && createdAtMs < toMs,
    );
  }

  instanceId(policy: ModelPolicy, episode: Episode): string {
    if (this.options.instanceId !== undefined) return this.options.instanceId(policy.name, episode);
    const labels = Object.entries(episode.labels).map(([name, value]) => `${name}=${value}`);
    return [policy.name, labels.sort().join(","), episode.startsAtMs].join(" ");
  }

  /** "A silenced instance is invisible to convergence." */
  groupIdOf(instance: Omit<Instance, "groupId">): string | null {
    return this.isSilenced(instance) ? null : this.answeredAs(instance);
  }

  /** The group whose one answer reaches an instance: also one that was silenced, once it was run anyway and waits for a person. */
  answeredAs(instance: Omit<Instance, "groupId">): string | null {
    const rule = ruleOf(instance);
    return rule === null ? null : this.groupId(instance.policy, rule, instance.labels);
  }

  private groupId(policy: ModelPolicy, rule: ConvergenceRule, labels: Labels): string {
    if (this.options.groupId !== undefined) return this.options.groupId(policy.name, rule, labels);
    return [policy.name, ...(rule.by ?? []).map((dimension) => `${dimension}=${labels[dimension] ?? ""}`)].join(" ");
  }
}

/** The state as it was after a commit; by default as it is now. */
export function stateOf({ log }: Instance, untilCommit = ALWAYS): InstanceState {
  return log.findLast(({ commit }) => commit <= untilCommit)?.path.at(-1) ?? "Idle";
}

export function timerOf({ id, log }: Instance, untilCommit = ALWAYS): ModelTimer | undefined {
  const timer = log.findLast(({ commit }) => commit <= untilCommit)?.timer;
  return timer === undefined ? undefined : { ...timer, owner: id };
}

/** The rule, if the policy has one and it governs this instance. "A missing one is the empty text." */
export function ruleOf({ policy, labels }: Pick<Instance, "policy" | "labels">): ConvergenceRule | null {
  const allowed = Object.entries(policy.rule?.where ?? {});
  return allowed.every(([dimension, values]) => values.includes(labels[dimension] ?? "")) ? policy.rule : null;
}

export function membersOf({ remembered, opener, joined }: Group): Instance[] {
  return [...remembered, opener, ...joined];
}

export function matches(wanted: Labels, labels: Labels): boolean {
  return Object.entries(wanted).every(([name, value]) => (labels[name] ?? "") === value);
}

/**
 * "Processing, Failed with a retry due: in progress."
 * "Under approve_when_failed an instance in Waiting counts as in progress, whoever failed."
 */
function isInProgress(instance: Instance, rule: ConvergenceRule, untilCommit = ALWAYS): boolean {
  const state = stateOf(instance, untilCommit);
  if (state === "Processing") return true;
  if (state === "Failed") return timerOf(instance, untilCommit)?.name === "retry";
  return state === "Waiting" && rule.function === "approve_when_failed";
}

/** A peer in progress, or a waiter, after that commit. */
function isHeldOpen(group: Group, commit: number): boolean {
  const present = membersOf(group).filter(({ createdInCommit }) => createdInCommit <= commit);
  return present.some((member) => {
    return isInProgress(member, group.rule, commit) || stateOf(member, commit) === "Proceeding";
  });
}

function hadAttempt({ log }: Instance): boolean {
  return log.some(({ attemptBegan }) => attemptBegan);
}

function lastResult({ log }: Instance): Entry | undefined {
  return log.findLast(({ attemptEnded }) => attemptEnded !== undefined);
}
