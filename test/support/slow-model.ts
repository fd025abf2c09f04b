import type { ConvergenceRule } from "../../src/model/convergence-rule.ts";
import type { InstanceState } from "../../src/model/instance-types.ts";
import { matches, membersOf, ruleOf, stateOf, timerOf, World } from "./slow-model-groups.ts";
import type {
  Episode,
  Group,
  Happening,
  Instance,
  Membership,
  ModelEffect,
  ModelEventType,
  ModelInstance,
  ModelOp,
  ModelPolicy,
  ModelTimer,
  SlowModelOptions,
} from "./slow-model-types.ts";
import { type ModelVerdict, pathOf } from "./slow-model-verdict.ts";

/**
 * A slow and obvious model of what instances, groups, approvals and summaries do: no store, no locks, no partitions, no counters.
 * It keeps one list of all instances, each with the log of what happened to it, and works everything else out from that list each
 * time it is needed: who belongs to which group, which groups are open, who waits in which order, which timers are armed.
 * Sentences in quotes are the rules that the line below them implements.
 */
export class SlowModel {
  readonly effects: ModelEffect[] = [];
  private readonly policies: readonly ModelPolicy[];
  private readonly world: World;
  /** Openers whose group's summary was due already. */
  private readonly summarised = new Set<Instance>();
  private entries = 0;

  constructor(policies: readonly ModelPolicy[], options: SlowModelOptions = {}) {
    this.policies = policies;
    this.world = new World(options);
  }

  /** "An event dated at a due time comes before the timer", so only timers due before the operation fire first. */
  apply(op: ModelOp): void {
    if (op.atMs < this.nowMs()) throw new Error(`the operation at ${op.atMs} comes after one at ${this.nowMs()}`);
    this.fireTimersBefore(op.atMs);
    if (op.type === "advance") return;
    if (op.type === "firing" || op.type === "resolved") {
      this.receive(op);
      return;
    }
    const targets = "group" in op ? this.heldOf(op.group) : [this.instance(op.instance)];
    this.commit(op.atMs, () => {
      for (const target of targets) this.send(target, op.type);
    });
  }

  instances(): ModelInstance[] {
    return this.world.all.map((instance) => {
      const { id, policy, labels, startsAtMs, log } = instance;
      const group = this.world.groupOf(instance);
      return {
        id,
        policy: policy.name,
        labels,
        startsAtMs,
        state: stateOf(instance),
        path: log.flatMap(({ path }, index) => (index === 0 ? path : path.slice(1))),
        attempts: log.filter(({ attemptBegan }) => attemptBegan).length,
        verdict: log.findLast(({ verdict }) => verdict !== undefined)?.verdict ?? null,
        reasons: log.map(({ reason }) => reason),
        group: group?.id ?? null,
        membership: membershipOf(instance, group),
      };
    });
  }

  /** Timers "fire by (due time, owner id, timer name)". */
  nextTimer(): ModelTimer | null {
    const timers = this.world.all.flatMap((instance) => timerOf(instance) ?? []);
    for (const group of this.world.allGroups()) {
      if (this.hasSummaryDue(group)) timers.push({ owner: group.id, name: "summary", dueAtMs: summaryDueAtMs(group) });
    }
    return timers.sort(compareTimers)[0] ?? null;
  }

  /** Fires the next timer, dated at its due time. */
  fireNextTimer(): void {
    const timer = this.nextTimer();
    if (timer === null) throw new Error("no timer is armed");
    this.commit(timer.dueAtMs, () => {
      if (timer.name === "summary") this.summarise(timer);
      else this.elapse(this.instance(timer.owner), timer.name);
    });
  }

  private fireTimersBefore(atMs: number): void {
    while ((this.nextTimer()?.dueAtMs ?? Number.POSITIVE_INFINITY) < atMs) this.fireNextTimer();
  }

  // ---- alerts --------------------------------------------------------------------------------------------------------------

  /** "Every matching policy gets its own instance of an episode"; "per alert in policy order". */
  private receive(op: Episode & { readonly type: "firing" | "resolved"; readonly atMs: number }): void {
    for (const policy of this.policies.filter(({ match }) => matches(match ?? {}, op.labels))) {
      const id = this.world.instanceId(policy, op);
      const existing = this.world.all.find((instance) => instance.id === id);
      // "Creating it twice is a duplicate"; "a resolved alert without an instance creates none".
      if (op.type === "firing" && existing === undefined) this.commit(op.atMs, () => this.create(id, policy, op));
      if (op.type === "resolved" && existing !== undefined) this.commit(op.atMs, () => this.send(existing, "resolved"));
    }
  }

  private create(id: string, policy: ModelPolicy, { labels, startsAtMs }: Episode): void {
    const createdInCommit = this.thisCommit();
    const born = { id, policy, labels, startsAtMs, createdAtMs: this.nowMs(), createdInCommit, log: [] };
    const instance = { ...born, groupId: this.world.groupIdOf(born) };
    this.world.all.push(instance);
    // "Silences come before everything else."
    if (this.world.isSilenced(instance)) this.enter(instance, ["Idle", "Skipped"], { reason: "silenced" });
    else this.follow(instance, "Idle", this.world.verdictOf(instance));
  }

  // ---- one instance --------------------------------------------------------------------------------------------------------

  /** What an event does in a state; an event without an edge changes nothing. */
  private send(instance: Instance, type: ModelEventType): void {
    switch (stateOf(instance)) {
      case "Processing":
        if (type === "done") this.succeed(instance);
        if (type === "failed") this.fail(instance);
        // "Processing.running | cancel | Failed | neither retried nor put to approval".
        if (type === "cancel") {
          this.enter(instance, ["Processing", "Failed"], { reason: "cancelled", attemptEnded: "failed" });
        }
        break;
      case "Success":
        this.end(instance, type);
        break;
      case "Skipped":
        this.end(instance, type);
        // "Run anyway without `end` first".
        if (type === "startApproved")
          this.run(instance, ["Skipped", "Processing"], { reason: "run_anyway", roundBegan: true });
        break;
      case "Failed":
        this.end(instance, type);
        // "Failed, retry due | cancel | Failed | the retry is disarmed".
        if (type === "cancel" && timerOf(instance) !== undefined)
          this.enter(instance, ["Failed"], { reason: "cancelled" });
        break;
      case "Waiting":
        this.end(instance, type);
        this.answer(instance, type);
        this.giveUp(instance, type);
        break;
      case "Idle":
        // "Run anyway."
        if (type === "startApproved")
          this.run(instance, ["Idle", "Processing"], { reason: "run_anyway", roundBegan: true });
        this.giveUp(instance, type);
        break;
      case "Proceeding":
      case "Defense":
        this.giveUp(instance, type);
        break;
    }
  }

  /** "Idle, Proceeding, Defense, Waiting | alert.resolved, unless the policy says keep | Skipped", and the same by cancel. */
  private giveUp(instance: Instance, type: ModelEventType): void {
    const from = stateOf(instance);
    if (type === "cancel") this.enter(instance, [from, "Skipped"], { reason: "cancelled" });
    // "A closed Idle ignores alert.resolved and re-sent alerts."
    const isKept = instance.policy.onResolved === "keep" || instance.log.at(-1)?.reason === "closed";
    if (type === "resolved" && !isKept) this.enter(instance, [from, "Skipped"], { reason: "alert_resolved" });
  }

  /** "Success, Failed, Waiting, Skipped | end | Idle | timers disarmed". */
  private end(instance: Instance, type: ModelEventType): void {
    if (type === "end") this.enter(instance, [stateOf(instance), "Idle"], { reason: "closed" });
  }

  private answer(instance: Instance, type: ModelEventType): void {
    if (type === "deny") this.enter(instance, ["Waiting", "Skipped"], { reason: "approval_denied" });
    // "A grant dated at or after the approval's due time is refused even if the timer has not fired yet."
    if (type !== "grant" || this.nowMs() >= (timerOf(instance) as ModelTimer).dueAtMs) return;
    // "A grant starts a new round."
    this.run(instance, ["Waiting", "Idle", "Processing"], { reason: "approved", roundBegan: true });
  }

  /** "One's own success stays Success." */
  private succeed(instance: Instance): void {
    this.enter(instance, ["Processing", "Success"], { reason: "succeeded", attemptEnded: "succeeded" });
  }

  private fail(instance: Instance): void {
    const { limit, delayMs, backoff } = instance.policy.retry ?? { limit: 0, delayMs: 0, backoff: 1 };
    // "`retry.limit` counts afresh" with each round.
    const round = instance.log.slice(instance.log.findLastIndex(({ roundBegan }) => roundBegan));
    const attempts = round.filter(({ attemptBegan }) => attemptBegan).length;
    if (attempts <= limit) {
      // "delay, delay * 2, ..."
      const dueAtMs = this.nowMs() + Math.round(delayMs * backoff ** (attempts - 1));
      const timer = { name: "retry" as const, dueAtMs };
      this.enter(instance, ["Processing", "Failed"], { reason: "retry_scheduled", attemptEnded: "failed", timer });
    } else if (ruleOf(instance)?.function === "approve_when_failed") {
      // "Approve if its own retries are used up."
      this.hold(instance, ["Processing", "Failed", "Waiting"], { reason: "retries_exhausted", attemptEnded: "failed" });
    } else {
      this.enter(instance, ["Processing", "Failed"], { reason: "failed", attemptEnded: "failed" });
    }
  }

  private elapse(instance: Instance, name: Exclude<ModelTimer["name"], "summary">): void {
    if (name === "retry") this.run(instance, ["Failed", "Processing"], { reason: "retried" });
    if (name === "wait") this.enter(instance, ["Proceeding", "Skipped"], { reason: "wait_timeout" });
    if (name === "approval") this.enter(instance, ["Waiting", "Skipped"], { reason: "approval_timeout" });
  }

  /** Goes where a verdict leads. */
  private follow(instance: Instance, from: "Idle" | "Proceeding", { verdict, reason }: ModelVerdict): void {
    const rule = ruleOf(instance);
    const path = pathOf(rule?.function ?? null, from, verdict);
    if (verdict === "run") this.run(instance, path, { reason, verdict, roundBegan: true });
    if (verdict === "approve") this.hold(instance, path, { reason, verdict });
    if (verdict === "skip") this.enter(instance, path, { reason, verdict });
    if (verdict !== "wait") return;
    // "Bounded in total, from first entering it: max(600 s, that timeout, max_window or else window)."
    const { windowMs, maxWindowMs } = rule as ConvergenceRule;
    const limitMs = Math.max(600_000, instance.policy.actionTimeoutMs ?? 60_000, maxWindowMs ?? windowMs);
    this.enter(instance, path, { reason, verdict, timer: { name: "wait", dueAtMs: this.nowMs() + limitMs } });
  }

  /** "The only place where a remediation starts." */
  private run(instance: Instance, path: readonly InstanceState[], entry: Happening): void {
    this.enter(instance, path, { ...entry, attemptBegan: true });
    const attempt = instance.log.filter(({ attemptBegan }) => attemptBegan).length;
    this.effects.push({ kind: "run", atMs: this.nowMs(), instance: instance.id, attempt });
  }

  /** "A group sends one approval request; later held instances join it": sent when the number of held ones rises from none. */
  private hold(instance: Instance, path: readonly InstanceState[], entry: Happening): void {
    const scope = this.scopeOf(instance);
    const isFirst = this.heldOf(scope).length === 0;
    // "Default 30 min from entering Waiting."
    const dueAtMs = this.nowMs() + (instance.policy.approvalTimeoutMs ?? 1_800_000);
    this.enter(instance, path, { ...entry, timer: { name: "approval", dueAtMs } });
    if (isFirst) this.effects.push({ kind: "approval-request", atMs: this.nowMs(), scope });
  }

  private enter(instance: Instance, path: readonly InstanceState[], entry: Happening): void {
    instance.log.push({ ...entry, path, order: this.entries++, commit: this.thisCommit(), atMs: this.nowMs() });
  }

  // ---- groups --------------------------------------------------------------------------------------------------------------

  /**
   * "Waiters are looked at again in order of arrival in the commit that settles their peer; looking stops at the first that runs: those
   * behind it stay untouched." Looking after every commit is the same, because a waiter whose verdict is still wait stays untouched.
   */
  private lookAgain(): void {
    for (const group of this.world.allGroups()) {
      const isDenied = this.wasDeniedNow(group);
      for (const waiter of inOrderOfArrival(membersOf(group).filter((member) => stateOf(member) === "Proceeding"))) {
        const again = this.world.verdictOf(waiter);
        if (again.verdict === "wait") continue;
        // "A denial after a failure skips those that wait for it (`peer_denied`)."
        if (isDenied) this.enter(waiter, ["Proceeding", "Skipped"], { reason: "peer_denied" });
        else this.follow(waiter, "Proceeding", again);
        if (stateOf(waiter) === "Processing") break;
      }
    }
  }

  private wasDeniedNow(group: Group): boolean {
    if (group.rule.function !== "approve_when_failed") return false;
    return membersOf(group).some(({ log }) => {
      return log.some(({ commit, reason }) => commit === this.thisCommit() && reason === "approval_denied");
    });
  }

  /** "A grant or denial names one instance or the whole group." */
  private heldOf(scope: string): Instance[] {
    const held = this.world.all.filter((instance) => ["Defense", "Waiting"].includes(stateOf(instance)));
    return inOrderOfArrival(held.filter((instance) => this.scopeOf(instance) === scope));
  }

  /**
   * Whom an approval request speaks for: all that a rule holds under one group id, those below `count` included, so that one answer to the
   * group reaches them all; or the instance alone, when no group could ever have it.
   */
  private scopeOf(instance: Instance): string {
    return this.world.answeredAs(instance) ?? instance.id;
  }

  // ---- summaries -----------------------------------------------------------------------------------------------------------

  /** "The opener schedules the summary", under collect and collect_alarm. */
  private hasSummaryDue({ rule, opener }: Group): boolean {
    return (rule.function === "collect" || rule.function === "collect_alarm") && !this.summarised.has(opener);
  }

  /** "Number skipped"; "nothing skipped: not sent". */
  private summarise(timer: ModelTimer): void {
    const due = this.world.allGroups().find((group) => {
      return group.id === timer.owner && this.hasSummaryDue(group) && summaryDueAtMs(group) === timer.dueAtMs;
    }) as Group;
    this.summarised.add(due.opener);
    const skipped = [due.opener, ...due.joined].filter(({ log }) =>
      log.some(({ verdict }) => verdict === "skip"),
    ).length;
    if (skipped > 0) this.effects.push({ kind: "summary", atMs: timer.dueAtMs, group: due.id, skipped });
  }

  // ---- time ----------------------------------------------------------------------------------------------------------------

  /** Everything that `work` does, and the waiters that it wakes, happens together and at one time. */
  private commit(atMs: number, work: () => void): void {
    this.world.commitTimes.push(atMs);
    work();
    this.lookAgain();
  }

  private thisCommit(): number {
    return this.world.commitTimes.length - 1;
  }

  private nowMs(): number {
    return this.world.commitTimes.at(-1) ?? Number.NEGATIVE_INFINITY;
  }

  private instance(id: string): Instance {
    const found = this.world.all.find((instance) => instance.id === id);
    if (found === undefined) throw new Error(`no instance ${id}`);
    return found;
  }
}

/** Waiters and held instances stand in the order in which they came to be so: by their last entry. */
function inOrderOfArrival(instances: Instance[]): Instance[] {
  const arrival = ({ log }: Instance): number => log.at(-1)?.order ?? 0;
  return instances.sort((a, b) => arrival(a) - arrival(b));
}

function membershipOf(instance: Instance, group: Group | null): Membership {
  if (group === null) return "none";
  if (group.opener === instance) return "opener";
  return group.joined.includes(instance) ? "joined" : "remembered";
}

/** "Due at the window's end + `summary_delay` (default 0 s)." */
function summaryDueAtMs({ endAtMs, rule }: Group): number {
  return endAtMs + (rule.summaryDelayMs ?? 0);
}

function compareTimers(a: ModelTimer, b: ModelTimer): number {
  return a.dueAtMs - b.dueAtMs || compareTexts(a.owner, b.owner) || compareTexts(a.name, b.name);
}

function compareTexts(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
