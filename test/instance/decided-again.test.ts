import { describe, expect, test } from "vitest";
import { decodeHistory } from "../../src/instance/audit.ts";
import type { ConvergenceRule } from "../../src/model/convergence-rule.ts";
import type { PauseNote } from "../../src/model/instance-types.ts";
import type { Policy } from "../../src/policy/policy.ts";
import { sentenceOf } from "../../src/present/sentences.ts";
import { replay } from "../../src/simulate/replay.ts";
import { DecideDriver, type DrivenInstance, idOf } from "../support/decide-driver.ts";
import type { ModelSilence } from "../support/slow-model-types.ts";

const MINUTE = 60_000;
const PAUSE: PauseNote = { by: "ada", why: "the racks move", sinceMs: 0, scope: null };
const log = { kind: "log" } as const;

function policyOf(rule: Partial<ConvergenceRule> | null, rest: Partial<Policy> = {}): Policy {
  return {
    name: "p",
    version: "0123456789abcdef",
    match: [],
    action: log,
    converge: rule === null ? null : { function: "skip_when_exceed", count: 3, windowMs: 10 * MINUTE, ...rule },
    retry: { limit: 0, delayMs: 10_000, backoff: 2 },
    approval: { timeoutMs: 30 * MINUTE, notify: log },
    onResolved: "skip",
    ...rest,
  };
}

/** A storm of hosts under one policy, told by short names. */
class Storm {
  readonly driver: DecideDriver;
  private readonly policy: Policy;

  constructor(policy: Policy, silences: readonly ModelSilence[] = []) {
    this.policy = policy;
    this.driver = new DecideDriver([policy], { silences });
  }

  id(host: number): string {
    return idOf("p", { labels: { host: `h${host}` }, startsAtMs: 0 });
  }

  fires(atMs: number, ...hosts: number[]): this {
    this.driver.advance(atMs);
    this.driver.fire(
      atMs,
      hosts.map((host) => ({ labels: { host: `h${host}` }, startsAtMs: 0 })),
    );
    return this;
  }

  does(
    atMs: number,
    type: "done" | "failed" | "grant" | "deny" | "cancel" | "end" | "startApproved",
    host: number,
  ): this {
    this.driver.advance(atMs);
    this.driver.apply({ type, atMs, instance: this.id(host) });
    return this;
  }

  grants(atMs: number, by: string, host: number): this {
    this.driver.sendEvent(this.id(host), { type: "approval.granted", atMs, by, why: "fine", silence: null });
    return this;
  }

  resolves(atMs: number, host: number, reason?: "lease_over" | "resolve_lost"): this {
    this.driver.advance(atMs);
    this.driver.over.add(this.id(host));
    const why = reason === undefined ? {} : { reason };
    this.driver.sendEvent(this.id(host), { type: "alert.resolved", atMs, ...why });
    return this;
  }

  at(atMs: number): this {
    this.driver.advance(atMs);
    return this;
  }

  instance(host: number): DrivenInstance {
    const id = this.id(host);
    return this.driver.instances().find((one) => one.id === id) as DrivenInstance;
  }

  /** `state reason` of a host's instance, and its way. */
  state(host: number): string {
    const { state, reasons } = this.instance(host);
    return `${state} ${reasons.at(-1)}`;
  }

  get runs(): { atMs: number; host: number }[] {
    const hosts = new Map(Array.from({ length: 50 }, (_, host) => [this.id(host), host]));
    return this.driver.effects.flatMap((effect) =>
      effect.kind === "run" ? [{ atMs: effect.atMs, host: hosts.get(effect.instance) as number }] : [],
    );
  }

  get requests(): number {
    return this.driver.effects.filter(({ kind }) => kind === "approval-request").length;
  }

  sentences(host: number): string[] {
    const id = this.id(host);
    const history = decodeHistory(id, this.driver.history(id), this.policy);
    expect(replay(history).divergence).toBeNull();
    return history.entries.map((entry) => sentenceOf(entry, history).en);
  }
}

const HOSTS = Array.from({ length: 40 }, (_, host) => host);

/** The most attempts that began within `windowMs`, both ends counted. */
function mostWithin(runs: readonly { atMs: number }[], windowMs: number): number {
  return Math.max(
    ...runs.map(({ atMs }) => runs.filter((run) => run.atMs >= atMs && run.atMs <= atMs + windowMs).length),
  );
}

describe("a storm of 40 hosts with count 3 and again", () => {
  const again = { afterMs: 11 * MINUTE, limit: 3 };

  test("repairs 3 hosts a window, four times in all, and never more within a window", () => {
    const storm = new Storm(policyOf({}, { again })).fires(0, ...HOSTS);
    expect(storm.runs).toHaveLength(3);
    storm.at(60 * MINUTE);
    expect(storm.runs).toHaveLength(12);
    expect(new Set(storm.runs.map(({ host }) => host)).size).toBe(12);
    expect(mostWithin(storm.runs, 10 * MINUTE)).toBe(3);
    expect(storm.driver.nextTimer()).toBeNull();
  });

  test("leaves alone what resolves meanwhile, and says of each why and how often it was decided again", () => {
    const storm = new Storm(policyOf({}, { again })).fires(0, ...HOSTS);
    storm.driver.over.add(storm.id(39));
    storm.at(60 * MINUTE);
    expect(storm.instance(39).path).toEqual(["Idle", "Skipped"]);
    expect(storm.sentences(39).at(-1)).toBe(
      "It stays as it is: its alert no longer fires, so it is not decided again.",
    );
    const last = HOSTS.findLast((host) => storm.state(host) === "Skipped limit_reached") as number;
    expect(storm.sentences(last).at(-1)).toMatch(
      /^It is decided again, for the 3rd time \(its alert still fires\)\. Action "p" was converged/,
    );
  });

  test("decides nothing again that somebody denied or cancelled", () => {
    const storm = new Storm(policyOf(null, { again })).fires(0, 1);
    storm.does(1, "failed", 1);
    expect(storm.driver.nextTimer()).toBeNull();
    const waiting = new Storm(policyOf({ function: "wait_when_proceed", count: 1 }, { again })).fires(0, 1, 2);
    waiting.does(1, "cancel", 2);
    expect(waiting.driver.nextTimer()).toBeNull();
  });

  test("a waiter that waited too long is decided again", () => {
    const storm = new Storm(policyOf({ function: "wait_when_proceed", count: 1 }, { again })).fires(0, 1, 2);
    storm.at(10 * MINUTE + 1);
    expect(storm.state(2)).toBe("Skipped wait_timeout");
    storm.does(20 * MINUTE, "done", 1).at(22 * MINUTE);
    expect(storm.instance(2).path.slice(-3)).toEqual(["Skipped", "Idle", "Processing"]);
  });

  test("a summary counts one that is skipped twice in it once", () => {
    const rule = { function: "collect_alarm" as const, count: 1, windowMs: 10 * MINUTE, maxWindowMs: 10 * MINUTE };
    const storm = new Storm(policyOf(rule, { again: { afterMs: 2 * MINUTE, limit: 3 } }))
      .fires(0, 1, 2, 3)
      .at(11 * MINUTE);
    expect(storm.driver.effects).toEqual([expect.objectContaining({ kind: "summary", skipped: 3 })]);
  });

  test("one that triggered nothing below the count counts once towards the next group", () => {
    const rule = { function: "trigger" as const, count: 2, windowMs: 10 * MINUTE };
    const storm = new Storm(policyOf(rule, { again: { afterMs: 2 * MINUTE, limit: 5 } })).fires(0, 1).at(9 * MINUTE);
    expect(storm.runs).toEqual([]);
    expect(storm.fires(9 * MINUTE, 2).runs).toEqual([{ atMs: 9 * MINUTE, host: 2 }]);
  });
});

describe("when a silence ends", () => {
  const silence = { match: { host: "h1" }, fromMs: 0, toMs: 5 * MINUTE, id: "s1" };

  test("what it skipped is decided if its alert still fires, and uses up none of again", () => {
    const again = { afterMs: 11 * MINUTE, limit: 1 };
    const storm = new Storm(policyOf({}, { again }), [silence]).fires(0, 1, 2);
    expect(storm.state(1)).toBe("Skipped silenced");
    storm.at(5 * MINUTE + 1);
    expect(storm.instance(1).path).toEqual(["Idle", "Skipped", "Idle", "Processing"]);
    expect(storm.driver.snapshot(storm.id(1)).snapshot.context).toMatchObject({ reconsidered: 1, agains: 0 });
    expect(storm.sentences(1).at(-1)).toMatch(/for the 1st time \(the silence is over\)\. Action "p" runs/);
  });

  test("what resolved meanwhile, and what its policy leaves alone, stays skipped", () => {
    const gone = new Storm(policyOf({}), [silence]).fires(0, 1);
    gone.driver.over.add(gone.id(1));
    expect(gone.at(6 * MINUTE).instance(1).path).toEqual(["Idle", "Skipped"]);
    const final = new Storm(policyOf({}, { afterSilence: "skip" }), [silence]).fires(0, 1).at(6 * MINUTE);
    expect(final.instance(1).path).toEqual(["Idle", "Skipped"]);
  });

  test("what another silence matches waits for the end of the last one", () => {
    const other = { ...silence, toMs: 8 * MINUTE, id: "s2" };
    const storm = new Storm(policyOf({}), [silence, other]).fires(0, 1).at(7 * MINUTE);
    expect(storm.state(1)).toBe("Skipped silenced");
    expect(storm.at(8 * MINUTE + 1).state(1)).toBe("Processing below_count");
  });
});

describe("verify with a host that stays down", () => {
  const verify = { resolvedWithinMs: 10 * MINUTE };

  test("done is not solved: the attempt counts as failed when the alert does not resolve in time", () => {
    const storm = new Storm(policyOf(null, { verify })).fires(0, 1).does(1_000, "done", 1);
    expect(storm.state(1)).toBe("Processing verifying");
    storm.at(1_000 + 10 * MINUTE + 1);
    expect(storm.state(1)).toBe("Failed not_resolved");
    expect(storm.sentences(1).at(-1)).toBe(
      "It counts as failed: its action succeeded, but the alert did not resolve in time.",
    );
  });

  test("it is retried, and a human is asked, as after any other failure", () => {
    const policy = policyOf(
      { function: "approve_when_failed", count: 1 },
      { verify, retry: { limit: 1, delayMs: 10_000, backoff: 2 } },
    );
    const storm = new Storm(policy)
      .fires(0, 1)
      .does(0, "done", 1)
      .at(10 * MINUTE + 1);
    expect(storm.state(1)).toBe("Failed not_resolved");
    storm
      .at(10 * MINUTE + 10_001)
      .does(10 * MINUTE + 10_001, "done", 1)
      .at(21 * MINUTE);
    expect(storm.state(1)).toBe("Waiting retries_exhausted");
    expect(storm.requests).toBe(1);
  });

  test("a resolve verifies it, also while a retry is due; a lease that ran out does not", () => {
    const policy = policyOf(null, { verify, retry: { limit: 1, delayMs: 5 * MINUTE, backoff: 1 } });
    expect(new Storm(policy).fires(0, 1).does(0, "done", 1).resolves(5, 1).state(1)).toBe("Success verified");
    expect(new Storm(policy).fires(0, 1).does(0, "failed", 1).resolves(5, 1).state(1)).toBe("Success verified");
    const lost = new Storm(policy).fires(0, 1).does(0, "done", 1).resolves(5, 1, "lease_over");
    expect(lost.state(1)).toBe("Processing verifying");
    expect(new Storm(policy).fires(0, 1).does(0, "failed", 1).resolves(5, 1, "lease_over").state(1)).toBe(
      "Failed retry_scheduled",
    );
  });

  test("an alert that resolved while the action ran needs no verifying", () => {
    const storm = new Storm(policyOf(null, { verify })).fires(0, 1).resolves(5, 1).does(6, "done", 1);
    expect(storm.state(1)).toBe("Success succeeded");
  });

  test("peers see it as in progress, and wait longer by its time; under wait_when_proceed they go on at once", () => {
    const waits = new Storm(policyOf({ function: "skip_when_success", count: 1 }, { verify }))
      .fires(0, 1, 2)
      .does(1, "done", 1);
    expect(waits.state(2)).toBe("Proceeding peer_in_progress");
    expect(waits.at(19 * MINUTE).state(2)).not.toBe("Skipped wait_timeout");
    const mutex = new Storm(policyOf({ function: "wait_when_proceed", count: 1 }, { verify }))
      .fires(0, 1, 2)
      .does(1, "done", 1);
    expect([mutex.state(1), mutex.state(2)]).toEqual(["Processing verifying", "Processing no_peer_in_the_way"]);
  });
});

describe("a pause", () => {
  function paused(policy: Policy, atMs: number, ...hosts: number[]): Storm {
    const storm = new Storm(policy);
    storm.driver.pauses = [PAUSE];
    return storm.fires(atMs, ...hosts);
  }

  test("in mid-storm holds what would run, without a deadline, and what is skipped is skipped as always", () => {
    const storm = new Storm(policyOf({})).fires(0, 0, 1, 2, 3);
    storm.driver.pauses = [PAUSE];
    storm
      .fires(1_000, 4)
      .fires(20 * MINUTE, 5, 6, 7)
      .at(24 * 60 * MINUTE);
    expect(storm.state(4)).toBe("Skipped limit_reached");
    expect([5, 6, 7].map((host) => storm.state(host))).toEqual(Array(3).fill("Waiting approval_requested"));
    expect(storm.driver.snapshot(storm.id(5)).reason).toBe("paused");
    expect(storm.runs).toHaveLength(3);
    expect(storm.requests).toBe(0);
    expect(storm.sentences(5)[0]).toMatch(
      /would run, but is held: ada has paused everything since .* \(the racks move\)/,
    );
  });

  test("once lifted, what it held is decided in order of arrival, so that limits hold", () => {
    const storm = paused(policyOf({}), 0, ...HOSTS);
    expect(storm.runs).toEqual([]);
    storm.driver.pauses = [];
    storm.driver.resume(MINUTE);
    expect(storm.runs.map(({ host }) => host)).toEqual([0, 1, 2]);
    expect(storm.state(3)).toBe("Skipped limit_reached");
    expect(HOSTS.map((host) => storm.driver.snapshot(storm.id(host)).snapshot.context.paused)).not.toContain(true);
  });

  test("a retry that comes due is held; decided again it begins a new round, and the attempt number goes on", () => {
    const storm = new Storm(policyOf(null, { retry: { limit: 1, delayMs: 10_000, backoff: 1 } }))
      .fires(0, 1)
      .does(0, "failed", 1);
    storm.driver.pauses = [PAUSE];
    storm.at(MINUTE);
    expect(storm.state(1)).toBe("Waiting paused");
    storm.driver.pauses = [];
    storm.driver.resume(MINUTE);
    expect(storm.driver.snapshot(storm.id(1)).snapshot.context).toMatchObject({ attempt: 2, roundAttempt: 1 });
  });

  test("what it holds is nobody's peer, and waiters are not let past it", () => {
    const policy = policyOf(
      { function: "wait_when_proceed", count: 1 },
      { retry: { limit: 1, delayMs: 10_000, backoff: 1 } },
    );
    const storm = new Storm(policy).fires(0, 1, 2, 3);
    storm.driver.pauses = [PAUSE];
    storm.does(1, "done", 1);
    expect([2, 3].map((host) => storm.driver.snapshot(storm.id(host)).reason)).toEqual(["paused", "paused"]);
    storm.driver.pauses = [];
    expect(storm.fires(2, 4).state(4)).toBe("Processing no_peer_in_the_way");
  });

  test("a grant of one passes it; an answer to the group does not touch it", () => {
    const storm = paused(policyOf({ function: "defense", count: 1 }), 0, 1, 2);
    storm.driver.apply({ type: "grant", atMs: 1, group: storm.driver.snapshot(storm.id(1)).groupId as string });
    expect([1, 2].map((host) => storm.driver.snapshot(storm.id(host)).snapshot.state)).toEqual(["Waiting", "Waiting"]);
    storm.grants(2, "bob", 2);
    expect(storm.runs).toEqual([{ atMs: 2, host: 2 }]);
    expect(storm.sentences(2).at(-1)).toBe("bob granted the approval: fine (past the pause of ada: the racks move)");
  });

  test("of one policy leaves the others alone", () => {
    const storm = new Storm(policyOf({}));
    storm.driver.pauses = [{ ...PAUSE, scope: "another" }];
    expect(storm.fires(0, 1).runs).toHaveLength(1);
  });

  test("the count of a window holds although a retry was held and others ran meanwhile", () => {
    const policy = policyOf({ count: 2 }, { retry: { limit: 1, delayMs: MINUTE, backoff: 1 } });
    const storm = new Storm(policy).fires(0, 1, 2).does(1, "failed", 1);
    storm.driver.pauses = [PAUSE];
    storm.at(2 * MINUTE);
    storm.driver.pauses = [];
    expect(storm.fires(2 * MINUTE, 3).state(3)).toBe("Skipped limit_reached");
    storm.driver.resume(3 * MINUTE);
    expect(new Set(storm.runs.map(({ host }) => host))).toEqual(new Set([1, 2]));
  });
});

describe("a brake", () => {
  test("holds the attempt that would be one too many, and begins its pause in the same decision", () => {
    const storm = new Storm(policyOf(null));
    const pause: PauseNote = { by: "becalm", why: "50 actions within 10m", sinceMs: 0, scope: null };
    storm.driver.brakes = [{ attemptsLeft: 2, pause }];
    storm.fires(0, 1);
    storm.driver.brakes = [{ attemptsLeft: 1, pause }];
    storm.fires(1, 2);
    storm.driver.brakes = [{ attemptsLeft: 0, pause }];
    storm.fires(2, 3, 4);
    expect(storm.runs).toHaveLength(2);
    expect(storm.driver.braked[0]).toEqual(pause);
    expect(storm.driver.snapshot(storm.id(3)).reason).toBe("paused");
  });
});

describe("observing", () => {
  test("decides and audits everything and acts on nothing", () => {
    const storm = new Storm(policyOf({ function: "defense", count: 2 }, { mode: "observe" })).fires(0, 1, 2, 3);
    expect(storm.driver.effects).toEqual([]);
    expect([1, 2].map((host) => storm.state(host))).toEqual(Array(2).fill("Success observed"));
    expect(storm.driver.snapshot(storm.id(3))).toMatchObject({ reason: "defense_threshold", isObserved: true });
    expect(storm.sentences(1).at(-1)).toBe(
      "Attempt 1 counts as succeeded: the policy only observes: nothing was done.",
    );
  });

  test("concerns the instances that are made while it is on", () => {
    const storm = new Storm(policyOf(null)).fires(0, 1);
    storm.driver.isObserving = true;
    storm.fires(1, 2);
    storm.driver.isObserving = false;
    storm.fires(2, 3);
    expect(storm.runs.map(({ host }) => host)).toEqual([1, 3]);
  });
});

describe("an approval that needs two people", () => {
  test("is granted by the second of two different people; the first grant changes no state", () => {
    const policy = policyOf(
      { function: "defense", count: 1 },
      { approval: { timeoutMs: 30 * MINUTE, notify: log, quorum: 2 } },
    );
    const storm = new Storm(policy).fires(0, 1, 2).grants(1, "bob", 2).grants(2, "bob", 2);
    expect(storm.state(2)).toBe("Waiting approval_counted");
    expect(storm.runs).toHaveLength(1);
    storm.grants(3, "eve", 2);
    expect(storm.runs).toHaveLength(2);
    expect(storm.sentences(2).slice(-2)).toEqual([
      "bob granted the approval, and it needs more people: fine",
      "eve granted the approval (after bob): fine",
    ]);
  });

  test.each([["Bob"], [" bob"], ["ｂｏｂ"], ["bob (by link)"], ["BOB (unauthenticated)"]])(
    "is not granted by one person under two names: bob and %j",
    (other) => {
      const policy = policyOf(
        { function: "defense", count: 1 },
        { approval: { timeoutMs: 30 * MINUTE, notify: log, quorum: 2 } },
      );
      const storm = new Storm(policy).fires(0, 1, 2).grants(1, "bob", 2).grants(2, other, 2);
      expect(storm.state(2)).toBe("Waiting approval_counted");
      storm.grants(3, "bobby", 2);
      expect(storm.runs).toHaveLength(2);
    },
  );

  test("is denied by one", () => {
    const policy = policyOf(
      { function: "defense", count: 1 },
      { approval: { timeoutMs: 30 * MINUTE, notify: log, quorum: 2 } },
    );
    const storm = new Storm(policy).fires(0, 1, 2).grants(1, "bob", 2).does(2, "deny", 2);
    expect(storm.state(2)).toBe("Skipped approval_denied");
  });
});
