import type { InstanceState } from "../../src/model/instance-types.ts";
import { keyOf, ruleOf, SlowLifeGroups } from "./slow-life-groups.ts";
import { SlowLifePauses } from "./slow-life-pauses.ts";
import {
  compareTexts,
  covers,
  isSame,
  type Life,
  type LifeForm,
  type LifeGroup,
  type LifeLabels,
  type LifeLimits,
  type LifePolicy,
  type LifeSilence,
  type LifeTimer,
  newLife,
} from "./slow-life-types.ts";
import { type ModelVerdict, pathOf } from "./slow-model-verdict.ts";

type LifeEntry = { readonly reason: string; readonly timer?: LifeTimer | null };

const DAY_MS = 86_400_000;
const LEASE_MS = 300_000;

/** "`again` for those skipped as [...], or whose waiting time ran out". */
const DECIDED_AGAIN =
  /^(limit_reached|peer_succeeded|peer_in_progress|peer_settled_in_window|collected|already_triggered|below_count|wait_timeout)$/;

/**
 * What a whole engine makes of alerts, answers, pauses, silences and time, worked out the slow and obvious way: one list of instances,
 * one list of groups with all their members, one thing after the other. It shares nothing with the program. Sentences in quotes are the
 * rules that the line below them implements.
 */
export class SlowLife {
  nowMs: number;
  readonly lives: Life[] = [];
  /** Attempts that began, approval requests and summaries that were sent, in order. */
  readonly begun: { readonly life: Life; readonly attempt: number }[] = [];
  readonly requests: string[] = [];
  readonly summaries: string[] = [];
  readonly silences: LifeSilence[];
  readonly #policies: readonly LifePolicy[];
  readonly #pauses: SlowLifePauses;
  readonly #groups = new SlowLifeGroups();
  readonly #arrivals = new Map<string, number>();
  readonly #deniedNow = new Set<LifeGroup>();

  constructor(
    policies: readonly LifePolicy[],
    { nowMs, silences = [], limits = null }: { nowMs: number; silences?: LifeSilence[]; limits?: LifeLimits | null },
  ) {
    this.#policies = policies;
    this.nowMs = nowMs;
    this.silences = silences;
    this.#pauses = new SlowLifePauses(limits);
  }

  /** "Every matching policy gets its own instance of an episode." Gives those that it made. */
  fires(labels: LifeLabels, form: LifeForm): Life[] {
    const open = this.lives.filter((life) => life.isFiring && isSame(life.labels, labels));
    for (const life of open) this.#renew(life, form);
    const policies = this.#policies.filter(({ alerts }) => alerts.includes(labels.alertname));
    const isKnown = (policy: LifePolicy) => open.some((life) => life.policy === policy);
    return policies.filter((policy) => !isKnown(policy)).map((policy) => this.#create(policy, labels, form));
  }

  /** "Greatest recorded one counts"; it is "renewed whenever less than half of the lease is left". v4 "lifts it". */
  #renew(life: Life, form: LifeForm): void {
    if (form === "v4" || life.leaseEndMs === null) life.leaseEndMs = null;
    else if (life.leaseEndMs - this.nowMs < LEASE_MS / 2) life.leaseEndMs = this.nowMs + LEASE_MS;
  }

  #create(policy: LifePolicy, labels: LifeLabels, form: LifeForm): Life {
    const life = newLife(policy, labels);
    // "Missing: receipt + resolve timeout (5 min)."
    life.leaseEndMs = form === "v2" ? this.nowMs + LEASE_MS : null;
    this.lives.push(life);
    this.#commit(() => this.#decide(life, []));
    return life;
  }

  resolves(labels: LifeLabels): void {
    for (const life of this.lives.filter((one) => one.isFiring && isSame(one.labels, labels))) {
      life.isFiring = false;
      life.leaseEndMs = null;
      this.#commit(() => this.#resolved(life));
    }
  }

  #resolved(life: Life): void {
    const isRetryDue = life.state === "Failed" && life.timer?.name === "retry";
    if (life.isVerifying || (isRetryDue && life.policy.verifyMs !== null)) this.#succeed(life);
    this.#isOver(life, "alert_resolved");
  }

  /** "Idle, Proceeding, Defense, Waiting | alert.resolved, policy does not say keep | Skipped." */
  #isOver(life: Life, reason: "alert_resolved" | "lease_over"): void {
    const isOpen = life.state === "Proceeding" || life.state === "Waiting";
    if (isOpen && life.policy.onResolved === "skip") this.#enter(life, ["Skipped"], { reason });
  }

  done(life: Life): void {
    this.#commit(() => {
      const { verifyMs } = life.policy;
      if (verifyMs === null || !life.isFiring) this.#succeed(life);
      else {
        life.isVerifying = true;
        life.timer = { name: "verify", dueAtMs: this.nowMs + verifyMs };
      }
    });
  }

  failed(life: Life): void {
    this.#commit(() => this.#fail(life, "failed"));
  }

  #succeed(life: Life): void {
    life.lastResult = { isSuccess: true, atMs: this.nowMs };
    this.#enter(life, ["Success"], { reason: life.reason });
  }

  #fail(life: Life, why: string): void {
    const { limit, delayMs, backoff } = life.policy.retry;
    life.lastResult = { isSuccess: false, atMs: this.nowMs };
    if (life.roundAttempts <= limit) {
      // "Waits delay, delay * backoff, ..., never more than 1d".
      const dueAtMs = this.nowMs + Math.min(delayMs * backoff ** (life.roundAttempts - 1), DAY_MS);
      this.#enter(life, ["Failed"], { reason: life.reason, timer: { name: "retry", dueAtMs } });
    } else if (ruleOf(life)?.function === "approve_when_failed") {
      // "Run (and approve if its own retries are used up)."
      this.#ask(life, ["Failed", "Waiting"], "retries_exhausted");
    } else this.#enter(life, ["Failed"], { reason: why });
    this.#pauses.count(life.policy, "failed", this.nowMs);
  }

  /** False: nobody may answer that now. */
  grants(life: Life, by: string): boolean {
    if (!this.#mayGrant(life, by)) return false;
    this.#commit(() => this.#grant(life, by));
    return true;
  }

  /** "Approve" for a whole group: all that it holds. */
  answersGroup(like: Life, by: string | null): boolean {
    const held = this.#heldLike(like);
    this.#commit(() => {
      for (const life of held) {
        if (by === null) this.#deny(life);
        else if (this.#mayGrant(life, by)) this.#grant(life, by);
      }
    });
    return held.length > 0;
  }

  denies(life: Life): boolean {
    if (life.state !== "Waiting") return false;
    this.#commit(() => this.#deny(life));
    return true;
  }

  cancels(life: Life): boolean {
    const isRetryDue = life.state === "Failed" && life.timer?.name === "retry";
    const isGivenUp = ["Idle", "Proceeding", "Waiting"].includes(life.state);
    if (life.state !== "Processing" && !isRetryDue && !isGivenUp) return false;
    this.#commit(() => {
      // "Processing.running | cancel | Failed: neither retried nor put to approval."
      if (!isGivenUp) life.lastResult = { isSuccess: false, atMs: this.nowMs };
      this.#enter(life, [isGivenUp ? "Skipped" : "Failed"], { reason: "cancelled" });
    });
    return true;
  }

  ends(life: Life): boolean {
    if (!["Success", "Failed", "Waiting", "Skipped"].includes(life.state)) return false;
    this.#commit(() => this.#enter(life, ["Idle"], { reason: "closed" }));
    return true;
  }

  /** "Run anyway." */
  runsAnyway(life: Life): boolean {
    if (life.state !== "Skipped" && life.state !== "Idle") return false;
    this.#commit(() => {
      life.roundAttempts = 0;
      this.#run(life, ["Processing"], "run_anyway");
    });
    return true;
  }

  #mayGrant(life: Life, by: string): boolean {
    // "A grant dated at or after the approval's due time is refused even if the timer has not fired yet."
    const isLate = life.timer !== null && this.nowMs >= life.timer.dueAtMs;
    // "Grants of n different people".
    return life.state === "Waiting" && !isLate && !life.grants.includes(by);
  }

  #grant(life: Life, by: string): void {
    life.grants.push(by);
    if (life.grants.length < life.policy.quorum) return;
    // "A grant starts a new round"; it "passes every convergence guard, an active silence and a pause".
    life.roundAttempts = 0;
    this.#run(life, ["Idle", "Processing"], "approved");
  }

  #deny(life: Life): void {
    const isAsking = !life.isPaused && life.group?.rule.function === "approve_when_failed";
    if (isAsking) this.#deniedNow.add(life.group as LifeGroup);
    this.#enter(life, ["Skipped"], { reason: "approval_denied" });
  }

  /** Whom one answer to a group reaches: all under its key that wait for a person; "not those that a pause holds". */
  #heldLike(like: Life): Life[] {
    if (ruleOf(like) === null) return [];
    const held = this.lives.filter(
      (life) => ruleOf(life) !== null && keyOf(life) === keyOf(like) && life.state === "Waiting",
    );
    return held.filter(({ isPaused }) => !isPaused).sort((a, b) => a.arrival - b.arrival);
  }

  get isAnyPaused(): boolean {
    return this.#pauses.isAny;
  }

  pauses(scope: string): boolean {
    return this.#pauses.begin(scope);
  }

  resumes(scope: string, how: "keep" | "decide" | "deny"): boolean {
    if (!this.#pauses.lift(scope) && how === "keep") return false;
    // "Reconsiders all that it held": what another pause holds too is left to that one.
    const held = this.lives.filter(({ isPaused, policy }) => {
      return isPaused && (scope === "" || scope === policy.name) && !this.#pauses.holds(policy);
    });
    held.sort((a, b) => a.arrival - b.arrival || compareTexts(a.id, b.id));
    if (how === "keep") return true;
    this.#commit(() => {
      for (const life of held) {
        // "Those whose alert resolved meanwhile are skipped."
        const isOver = !life.isFiring && life.policy.onResolved === "skip";
        if (how === "deny") this.#deny(life);
        else if (isOver) this.#enter(life, ["Skipped"], { reason: this.#endOf(life) });
        else this.#decide(life, ["Waiting"]);
      }
    });
    return true;
  }

  /** "Every end raises `alert.resolved` with its reason"; an alert that began again is known by its last end alone. */
  #endOf(life: Life): "alert_resolved" | "lease_over" {
    const isLater = (other: Life) => other.policy === life.policy && isSame(other.labels, life.labels);
    const beganAgain = this.lives.slice(this.lives.indexOf(life) + 1).some(isLater);
    return life.leaseEndMs !== null && !beganAgain ? "lease_over" : "alert_resolved";
  }

  silencesNow(silence: LifeSilence): void {
    this.silences.push(silence);
  }

  /** A person expires it. */
  expires(silence: LifeSilence): void {
    silence.toMs = Math.min(silence.toMs, this.nowMs);
    const held = this.lives.filter((life) => life.timer?.name === "silence" && life.silencedBy === silence);
    held.sort((a, b) => compareTexts(a.id, b.id));
    for (const life of held) this.#commit(() => this.#silenceIsOver(life));
  }

  /** "`from <= t < to`, looked at at `start`." */
  #silenceOf(labels: LifeLabels): LifeSilence | undefined {
    return this.silences.find((one) => covers(one, labels) && one.fromMs <= this.nowMs && this.nowMs < one.toMs);
  }

  /** "Several silences: when the last one that matches has ended." */
  #silenceIsOver(life: Life): void {
    life.timer = null;
    // One that matches still takes over: decided again, it is silenced again.
    if (life.isFiring) this.#decide(life, ["Skipped"]);
  }

  /** Up to then and at it. Timers "fire by (due time, owner id, timer name)". */
  timePasses(byMs: number): void {
    const untilMs = this.nowMs + byMs;
    for (let next = this.nextDueAtMs; next !== null && next <= untilMs; next = this.nextDueAtMs) {
      this.nowMs = next;
      const due = this.lives.filter(({ timer }) => timer?.dueAtMs === next);
      const [first] = due.sort((a, b) => compareTexts(a.id, b.id));
      const over = this.lives.find(({ isFiring, leaseEndMs }) => isFiring && leaseEndMs === next);
      if (over !== undefined) this.#commit(() => this.#runsOut(over));
      else if (first !== undefined) this.#commit(() => this.#elapse(first, first.timer as LifeTimer));
      else this.#summarise();
    }
    this.nowMs = untilMs;
  }

  /** "`lease_over` verifies nothing: a verifying instance waits for its timer, a due retry stays due." */
  #runsOut(life: Life): void {
    life.isFiring = false;
    this.#isOver(life, "lease_over");
  }

  get nextDueAtMs(): number | null {
    const timers = this.lives.flatMap(({ timer }) => timer?.dueAtMs ?? []);
    const summaries = this.#groups.all.flatMap(({ summaryDueAtMs }) => summaryDueAtMs ?? []);
    const leases = this.lives.flatMap(({ isFiring, leaseEndMs }) => (isFiring ? (leaseEndMs ?? []) : []));
    const all = [...timers, ...summaries, ...leases];
    return all.length === 0 ? null : Math.min(...all);
  }

  #elapse(life: Life, { name }: LifeTimer): void {
    life.timer = null;
    if (name === "wait") this.#skip(life, ["Skipped"], "wait_timeout");
    if (name === "approval") this.#enter(life, ["Skipped"], { reason: "approval_timeout" });
    if (name === "verify") this.#fail(life, "not_resolved");
    if (name === "silence") this.#silenceIsOver(life);
    if (name === "retry") {
      if (this.#pauses.holdsNext(life.policy, this.nowMs)) this.#hold(life, ["Waiting"]);
      else this.#run(life, ["Processing"], life.reason);
    }
    // "If its episode is open still (otherwise it only disarms the timer)."
    if (name !== "reconsider" || !life.isFiring) return;
    life.decidedAgain += 1;
    this.#decide(life, ["Skipped"]);
  }

  /** "Number skipped"; "nothing skipped: not sent". */
  #summarise(): void {
    for (const group of this.#groups.all.filter(({ summaryDueAtMs }) => summaryDueAtMs === this.nowMs)) {
      group.summaryDueAtMs = null;
      const isSent = group.skipped.size > 0 && !group.opener.policy.isObserving;
      if (isSent) this.summaries.push(`${group.opener.policy.name}: ${group.skipped.size} at ${this.nowMs}`);
    }
  }

  /** "Decides an instance once more as if it came now"; the first time, too. */
  #decide(life: Life, from: readonly InstanceState[]): void {
    this.#groups.leave(life);
    Object.assign(life, { attemptsHere: 0, roundAttempts: 0, lastResult: null });
    const silence = this.#silenceOf(life.labels);
    if (silence !== undefined) {
      const timer = { name: "silence", dueAtMs: silence.toMs } as const;
      life.silencedBy = silence;
      const isDecidedLater = life.policy.afterSilence === "decide";
      this.#enter(life, [...from, "Idle", "Skipped"], { reason: "silenced", timer: isDecidedLater ? timer : null });
    } else this.#follow(life, [...from, "Idle"], this.#groups.decide(life, this.nowMs));
  }

  /** Goes where a verdict leads. */
  #follow(life: Life, from: readonly InstanceState[], { verdict, reason }: ModelVerdict): void {
    const rule = ruleOf(life);
    const path = [...from, ...pathOf(rule?.function ?? null, from.at(-1) as "Idle" | "Proceeding", verdict).slice(1)];
    if (verdict === "skip") this.#skip(life, path, reason);
    if (verdict === "approve") this.#ask(life, path, reason);
    if (verdict === "wait") {
      // "max(600 s, that timeout, max_window or else window)"; it "grows by `resolved_within`".
      const boundMs = Math.max(600_000, rule?.maxWindowMs ?? rule?.windowMs ?? 0) + (life.policy.verifyMs ?? 0);
      this.#enter(life, path, { reason, timer: { name: "wait", dueAtMs: this.nowMs + boundMs } });
    }
    if (verdict !== "run") return;
    if (this.#pauses.holdsNext(life.policy, this.nowMs)) this.#hold(life, [...path, "Defense", "Waiting"]);
    else this.#run(life, path, reason);
  }

  #skip(life: Life, path: readonly InstanceState[], reason: string): void {
    if (reason !== "wait_timeout") life.group?.skipped.add(life);
    const { again } = life.policy;
    const isAgain = again !== null && DECIDED_AGAIN.test(reason) && life.decidedAgain < again.limit;
    const timer = isAgain ? ({ name: "reconsider", dueAtMs: this.nowMs + again.afterMs } as const) : null;
    this.#enter(life, path, { reason, timer });
  }

  #run(life: Life, path: readonly InstanceState[], reason: string): void {
    life.attempts += 1;
    life.roundAttempts += 1;
    life.attemptsHere += 1;
    life.group?.executed.add(life);
    this.#enter(life, path, { reason });
    if (life.policy.isObserving) {
      life.lastResult = { isSuccess: true, atMs: this.nowMs };
      this.#enter(life, ["Success"], { reason });
      return;
    }
    this.begun.push({ life, attempt: life.attempts });
    this.#pauses.count(life.policy, "began", this.nowMs);
  }

  /** "A group sends one approval request; later held instances join it." */
  #ask(life: Life, path: readonly InstanceState[], reason: string): void {
    const isFirst = this.#heldLike(life).length === 0;
    const dueAtMs = this.nowMs + life.policy.approvalMs;
    this.#enter(life, path, { reason, timer: { name: "approval", dueAtMs } });
    if (isFirst && !life.policy.isObserving) this.requests.push(`${life.policy.name} due ${dueAtMs}`);
  }

  #hold(life: Life, path: readonly InstanceState[]): void {
    this.#enter(life, path, { reason: "paused" });
    life.isPaused = true;
  }

  #enter(life: Life, path: readonly InstanceState[], { reason, timer = null }: LifeEntry): void {
    for (const state of path) if (life.path.at(-1) !== state) life.path.push(state);
    const state = life.path.at(-1) as InstanceState;
    Object.assign(life, { state, reason, timer, isVerifying: false, isPaused: false, grants: [] });
    // In a group one after the other; without one, those of one millisecond are told apart by their ids alone.
    const key = ruleOf(life) === null ? null : keyOf(life);
    life.arrival = key === null ? this.nowMs : Math.max(this.nowMs, (this.#arrivals.get(key) ?? 0) + 1);
    if (key !== null) this.#arrivals.set(key, life.arrival);
  }

  /** What happens together, with the waiters that it wakes. */
  #commit(work: () => void): void {
    this.#groups.closeThoseThatAreOver(this.nowMs);
    this.#deniedNow.clear();
    work();
    this.#lookAgain();
    this.#groups.closeThoseThatAreOver(this.nowMs);
  }

  /** "Waiters are looked at again in order of arrival in the commit that settles their peer; looking stops at the first that runs." */
  #lookAgain(): void {
    for (const group of this.#groups.all.filter(({ isClosed }) => !isClosed)) {
      const waiters = [...group.members].filter(({ state }) => state === "Proceeding");
      for (const waiter of waiters.sort((a, b) => a.arrival - b.arrival)) {
        const again = this.#groups.look(waiter, this.nowMs);
        if (again.verdict === "wait") continue;
        // "A denial after a failure skips those that wait for it (`peer_denied`)."
        if (this.#deniedNow.has(group)) this.#enter(waiter, ["Skipped"], { reason: "peer_denied" });
        else this.#follow(waiter, ["Proceeding"], again);
        if (waiter.state === "Processing") break;
      }
    }
  }
}
