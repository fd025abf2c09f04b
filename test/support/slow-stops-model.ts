/**
 * What verify, retries, pauses, brakes and approvals by several people make of one policy without a rule, or under
 * `defense` with count 1, worked out the slow and obvious way. It shares nothing with the program: alerts are letters,
 * an attempt takes no time, and everything is looked up in the list of what happened.
 */

export type SlowStopsRules = {
  readonly isDefended: boolean;
  readonly windowMs: number;
  readonly retryLimit: number;
  readonly retryDelayMs: number;
  readonly verifyMs: number | null;
  readonly approvalMs: number;
  readonly quorum: number;
  /** `on_resolved: keep`. */
  readonly isKept: boolean;
  readonly limits: { readonly actions: number; readonly failures: number; readonly perMs: number } | null;
};

type Phase = "unbegun" | "verifying" | "succeeded" | "retry due" | "failed" | "asking" | "held" | "skipped" | "closed";

type Case = {
  readonly alert: string;
  phase: Phase;
  reason: string;
  attempts: number;
  /** Attempts of the round that a decision or a grant began. */
  roundAttempts: number;
  dueAtMs: number | null;
  /** When it was last decided, in the order of holding. */
  heldOrder: number;
  grants: string[];
  isFiring: boolean;
  /** When its end was received: what begins no later is a late word of it. */
  endedAtMs: number | null;
  /** It asked, or would have asked, as a member of this opening. */
  opening: number | null;
};

/** The state and reason as the program says them. */
export type SlowRow = {
  readonly alert: string;
  readonly state: string;
  readonly reason: string;
  readonly attempts: number;
};

const STATES: Readonly<Record<Phase, string>> = {
  unbegun: "Processing",
  verifying: "Processing",
  succeeded: "Success",
  "retry due": "Failed",
  failed: "Failed",
  asking: "Waiting",
  held: "Waiting",
  skipped: "Skipped",
  closed: "Idle",
};

export class SlowStops {
  nowMs: number;
  isPaused = false;
  /** Pauses that began, each once. */
  readonly pauses: string[] = [];
  /** When the pauses began about which a person was asked: once for each that held somebody. */
  readonly requests = new Set<number>();
  /** The id of the case at this place: timers that are due at one time fire in the order of their ids. */
  idOf: (at: number) => string = (at) => String(at);
  readonly #rules: SlowStopsRules;
  readonly #isOk: (alert: string, attempt: number) => boolean;
  readonly #cases: Case[] = [];
  #begun: number[] = [];
  #failed: number[] = [];
  #openings: { readonly atMs: number }[] = [];
  #lastHeldOrder = 0;
  #pausedAtMs = 0;

  constructor(rules: SlowStopsRules, nowMs: number, isOk: (alert: string, attempt: number) => boolean) {
    this.#rules = rules;
    this.nowMs = nowMs;
    this.#isOk = isOk;
  }

  #compareIds(a: Case, b: Case): number {
    const [left, right] = [a, b].map((one) => this.idOf(this.#cases.indexOf(one))) as [string, string];
    return left < right ? -1 : 1;
  }

  get rows(): SlowRow[] {
    return this.#cases.map(({ alert, phase, reason, attempts }) => ({ alert, state: STATES[phase], reason, attempts }));
  }

  /** An alert is one case as long as it fires. */
  fires(alert: string): void {
    const isKnown = ({ alert: other, isFiring, endedAtMs }: Case) =>
      other === alert && (isFiring || endedAtMs === this.nowMs);
    if (this.#cases.some(isKnown)) return;
    const born: Case = {
      alert,
      phase: "skipped",
      reason: "",
      attempts: 0,
      roundAttempts: 0,
      dueAtMs: null,
      heldOrder: 0,
      grants: [],
      isFiring: true,
      endedAtMs: null,
      opening: null,
    };
    this.#cases.push(born);
    this.#decide(born);
  }

  isFiring(alert: string): boolean {
    return this.#cases.some((one) => one.alert === alert && one.isFiring);
  }

  resolves(alert: string): void {
    const one = this.#cases.find((candidate) => candidate.alert === alert && candidate.isFiring);
    if (one === undefined) return;
    one.isFiring = false;
    one.endedAtMs = this.nowMs;
    if (one.phase === "verifying" || (one.phase === "retry due" && this.#rules.verifyMs !== null))
      this.#become(one, "succeeded");
    else if ((one.phase === "asking" || one.phase === "held") && !this.#rules.isKept)
      this.#become(one, "skipped", "alert_resolved");
  }

  /** False: nobody may answer that now. */
  grants(at: number, by: string): boolean {
    const one = this.#cases[at] as Case;
    if (one.phase !== "asking" && one.phase !== "held") return false;
    if (one.dueAtMs !== null && this.nowMs >= one.dueAtMs) return false;
    if (one.grants.includes(by)) return false;
    one.grants.push(by);
    if (one.grants.length < this.#rules.quorum) return true;
    one.reason = "approved";
    one.roundAttempts = 0;
    this.#attempt(one);
    return true;
  }

  denies(at: number): boolean {
    const one = this.#cases[at] as Case;
    if (one.phase !== "asking" && one.phase !== "held") return false;
    this.#become(one, "skipped", "approval_denied");
    return true;
  }

  cancels(at: number): boolean {
    const one = this.#cases[at] as Case;
    if (["unbegun", "verifying", "retry due"].includes(one.phase)) this.#become(one, "failed", "cancelled");
    else if (["asking", "held", "closed"].includes(one.phase)) this.#become(one, "skipped", "cancelled");
    else return false;
    return true;
  }

  runsAnyway(at: number): boolean {
    const one = this.#cases[at] as Case;
    if (one.phase !== "skipped" && one.phase !== "closed") return false;
    one.reason = "run_anyway";
    one.roundAttempts = 0;
    this.#attempt(one);
    return true;
  }

  ends(at: number): boolean {
    const one = this.#cases[at] as Case;
    if (!["succeeded", "failed", "retry due", "asking", "held", "skipped"].includes(one.phase)) return false;
    this.#become(one, "closed", "closed");
    return true;
  }

  stops(by: string): boolean {
    if (this.isPaused) return false;
    this.#pause(by);
    return true;
  }

  resumes(how: "keep" | "decide" | "deny"): boolean {
    if (!this.isPaused && how === "keep") return false;
    this.isPaused = false;
    // A person goes on: what was counted so far is past.
    this.#begun = [];
    this.#failed = [];
    if (how !== "keep") this.#answerHeld(how);
    // What a brake in its own step kept from beginning goes on, unless that step brakes again.
    if (!this.isPaused) for (const one of this.#cases) if (one.phase === "unbegun") this.#perform(one);
    return true;
  }

  #answerHeld(how: "decide" | "deny"): void {
    const held = this.#cases
      .filter(({ phase }) => phase === "held")
      .sort((a, b) => a.heldOrder - b.heldOrder || this.#compareIds(a, b));
    for (const one of this.#byPartition(held)) {
      if (how === "deny") this.#become(one, "skipped", "approval_denied");
      // A retry that was held after its alert had ended: nothing need run any more.
      else if (!one.isFiring && !this.#rules.isKept) this.#become(one, "skipped", "alert_resolved");
      else {
        one.roundAttempts = 0;
        // If it has to be asked about once more, that is another question.
        one.grants = [];
        this.#decide(one, "in one step with others");
      }
    }
  }

  /** One partition after the other, for a brake counts across them: an order between groups is not promised. */
  #byPartition(cases: readonly Case[]): Case[] {
    const partitionOf = (one: Case) => this.idOf(this.#cases.indexOf(one)).split("-")[0];
    const partitions = new Set(cases.map(partitionOf));
    return [...partitions].flatMap((partition) => cases.filter((one) => partitionOf(one) === partition));
  }

  /** Up to then and at it. */
  timePasses(byMs: number): void {
    const untilMs = this.nowMs + byMs;
    for (;;) {
      const next = this.#cases.filter(({ dueAtMs }) => dueAtMs !== null && dueAtMs <= untilMs);
      next.sort((a, b) => (a.dueAtMs as number) - (b.dueAtMs as number) || this.#compareIds(a, b));
      const [one] = next;
      if (one === undefined) break;
      this.nowMs = one.dueAtMs as number;
      one.dueAtMs = null;
      this.#isDue(one);
    }
    this.nowMs = untilMs;
  }

  #isDue(one: Case): void {
    if (one.phase === "asking") this.#become(one, "skipped", "approval_timeout");
    else if (one.phase === "retry due") {
      if (this.#mustHold()) this.#hold(one);
      else this.#attempt(one);
    } else if (one.phase === "verifying") this.#fails(one, "not_resolved");
  }

  /** As if it came now. */
  #decide(one: Case, how: "alone" | "in one step with others" = "alone"): void {
    if (this.#rules.isDefended) {
      const open = this.#openings.findIndex(({ atMs }) => this.nowMs <= atMs + this.#rules.windowMs);
      if (open < 0) {
        this.#openings.push({ atMs: this.nowMs });
        one.opening = this.#openings.length - 1;
        one.reason = "group_opened";
      } else {
        const peers = this.#cases.filter((peer) => peer !== one && peer.opening === open && peer.attempts > 0);
        one.opening = open;
        if (peers.length > 0) {
          this.#become(one, "asking", "defense_threshold");
          one.dueAtMs = this.nowMs + this.#rules.approvalMs;
          return;
        }
        one.reason = "below_limit";
      }
    } else one.reason = "no_rule";
    if (this.#mustHold()) this.#hold(one);
    else if (how === "alone") this.#attempt(one);
    else this.#begin(one);
  }

  /** Is it stopped, or would the next attempt be one too many? That one is held, and with it all others are. */
  #mustHold(): boolean {
    if (this.isPaused) return true;
    const { limits } = this.#rules;
    if (limits === null || this.#lately(this.#begun) < limits.actions) return false;
    this.#pause("becalm");
    return true;
  }

  #lately(times: readonly number[]): number {
    const { perMs } = this.#rules.limits as { perMs: number };
    return times.filter((atMs) => atMs > this.nowMs - perMs).length;
  }

  #pause(by: string): void {
    this.isPaused = true;
    this.#pausedAtMs = this.nowMs;
    this.pauses.push(by);
  }

  #hold(one: Case): void {
    // In a group one after the other; without one, those of one millisecond are told apart by their ids alone.
    one.heldOrder = this.#rules.isDefended ? Math.max(this.nowMs, this.#lastHeldOrder + 1) : this.nowMs;
    this.#lastHeldOrder = one.heldOrder;
    this.#become(one, "held", "paused");
    this.requests.add(this.#pausedAtMs);
  }

  /** It begins and ends at once. */
  #attempt(one: Case): void {
    this.#begin(one);
    this.#perform(one);
  }

  #begin(one: Case): void {
    one.phase = "unbegun";
    one.attempts += 1;
    one.roundAttempts += 1;
    one.grants = [];
    one.dueAtMs = null;
    this.#begun.push(this.nowMs);
  }

  #perform(one: Case): void {
    if (!this.#isOk(one.alert, one.attempts)) this.#fails(one, "failed");
    else if (this.#rules.verifyMs !== null && one.isFiring) {
      one.phase = "verifying";
      one.dueAtMs = this.nowMs + this.#rules.verifyMs;
    } else this.#become(one, "succeeded");
  }

  #fails(one: Case, why: string): void {
    if (one.roundAttempts <= this.#rules.retryLimit) {
      one.phase = "retry due";
      one.dueAtMs = this.nowMs + this.#rules.retryDelayMs * 2 ** (one.roundAttempts - 1);
    } else this.#become(one, "failed", why);
    this.#failed.push(this.nowMs);
    const { limits } = this.#rules;
    if (limits !== null && !this.isPaused && this.#lately(this.#failed) > limits.failures) this.#pause("becalm");
  }

  #become(one: Case, phase: Phase, reason = one.reason): void {
    one.phase = phase;
    one.reason = reason;
    one.dueAtMs = null;
    if (phase !== "asking" && phase !== "held") one.grants = [];
  }
}
