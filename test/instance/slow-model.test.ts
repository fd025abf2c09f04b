import { describe, expect, test } from "vitest";
import type { ConvergenceRule } from "../../src/model/convergence-rule.ts";
import { SlowModel } from "../support/slow-model.ts";
import type { ModelEventType, ModelPolicy, SlowModelOptions } from "../support/slow-model-types.ts";

const MINUTE = 60_000;
const STARTS_AT_MS = 0;

/** One policy `p` over the whole storm; instances are named by their label `n`. Every expectation below was worked out by hand. */
class Storm {
  readonly model: SlowModel;

  constructor(
    rule: Partial<ConvergenceRule> & Pick<ConvergenceRule, "function">,
    rest: Partial<ModelPolicy> & SlowModelOptions = {},
  ) {
    const { silences = [], ...policy } = rest;
    this.model = new SlowModel([{ name: "p", rule: { count: 1, windowMs: 5 * MINUTE, ...rule }, ...policy }], {
      silences,
      instanceId: (_, { labels }) => labels.n ?? "",
      groupId: (name) => name,
    });
  }

  fires(atMs: number, ...names: string[]): this {
    for (const n of names) this.model.apply({ type: "firing", atMs, labels: { n }, startsAtMs: STARTS_AT_MS });
    return this;
  }

  resolves(atMs: number, n: string): this {
    this.model.apply({ type: "resolved", atMs, labels: { n }, startsAtMs: STARTS_AT_MS });
    return this;
  }

  does(atMs: number, type: Exclude<ModelEventType, "resolved">, instance: string): this {
    this.model.apply({ type, atMs, instance });
    return this;
  }

  passes(atMs: number): this {
    this.model.apply({ type: "advance", atMs });
    return this;
  }

  /** `name: state reason` of every instance. */
  get lines(): string[] {
    return this.model.instances().map(({ id, state, reasons }) => `${id}: ${state} ${reasons.at(-1)}`);
  }

  path(name: string): string | undefined {
    return this.model
      .instances()
      .find(({ id }) => id === name)
      ?.path.join(" > ");
  }

  /** `run A 1`, `ask p`, `summary 3`, in order. */
  get effects(): string[] {
    return this.model.effects.map((effect) => {
      if (effect.kind === "run") return `run ${effect.instance} ${effect.attempt}`;
      return effect.kind === "summary" ? `summary ${effect.skipped}` : `ask ${effect.scope}`;
    });
  }
}

describe("waiters", () => {
  test("skip_when_success: A fails for good, B runs, C, D, E wait, B succeeds, C, D, E are skipped", () => {
    const storm = new Storm({ function: "skip_when_success" });
    storm.fires(1, "A").does(2, "failed", "A").fires(3, "B", "C", "D", "E");
    expect(storm.lines).toEqual([
      "A: Failed failed",
      "B: Processing no_peer_in_the_way",
      "C: Proceeding peer_in_progress",
      "D: Proceeding peer_in_progress",
      "E: Proceeding peer_in_progress",
    ]);
    storm.does(4, "done", "B");
    expect(storm.lines.slice(1)).toEqual([
      "B: Success succeeded",
      "C: Skipped peer_succeeded",
      "D: Skipped peer_succeeded",
      "E: Skipped peer_succeeded",
    ]);
    expect(storm.path("C")).toBe("Idle > Processing > Proceeding > Processing > Success > Skipped");
    expect(storm.effects).toEqual(["run A 1", "run B 1"]);
  });

  test("wait_when_proceed: W1, W2, W3 wait, W2's alert resolves, the peer ends: W1 runs; W1 ends: W3 runs", () => {
    const storm = new Storm({ function: "wait_when_proceed" });
    storm.fires(1, "peer", "W1", "W2", "W3").resolves(2, "W2");
    expect(storm.lines[2]).toBe("W2: Skipped alert_resolved");
    storm.does(3, "done", "peer");
    expect(storm.lines.slice(1)).toEqual([
      "W1: Processing no_peer_in_the_way",
      "W2: Skipped alert_resolved",
      "W3: Proceeding peer_in_progress",
    ]);
    // W3 stayed untouched: it never left Proceeding.
    expect(storm.path("W3")).toBe("Idle > Processing > Proceeding");
    storm.does(4, "failed", "W1");
    expect(storm.path("W3")).toBe("Idle > Processing > Proceeding > Processing");
    expect(storm.effects).toEqual(["run peer 1", "run W1 1", "run W3 1"]);
  });

  test("a peer with a retry due is still in progress; when its retries are used up the first waiter runs", () => {
    const retry = { limit: 1, delayMs: 10_000, backoff: 2 };
    const storm = new Storm({ function: "skip_when_success" }, { retry });
    storm.fires(1_000, "A", "B").does(2_000, "failed", "A");
    expect(storm.lines).toEqual(["A: Failed retry_scheduled", "B: Proceeding peer_in_progress"]);
    // An event at the due time comes before the timer.
    expect(storm.passes(12_000).effects).toEqual(["run A 1"]);
    expect(storm.passes(12_001).effects).toEqual(["run A 1", "run A 2"]);
    storm.does(13_000, "failed", "A");
    expect(storm.lines).toEqual(["A: Failed failed", "B: Processing no_peer_in_the_way"]);
  });

  test("waiting ends after max(600 s, action timeout, window), and later waiters are not affected", () => {
    const storm = new Storm({ function: "wait_when_proceed", windowMs: 11 * MINUTE });
    storm.fires(0, "A", "B").fires(MINUTE, "C");
    expect(storm.model.nextTimer()).toEqual({ dueAtMs: 11 * MINUTE, owner: "B", name: "wait" });
    expect(storm.passes(11 * MINUTE + 1).lines).toEqual([
      "A: Processing no_peer_in_the_way",
      "B: Skipped wait_timeout",
      "C: Proceeding peer_in_progress",
    ]);
  });
});

describe("groups", () => {
  const membership = (storm: Storm): string[] =>
    storm.model.instances().map(({ id, membership }) => `${id} ${membership}`);

  test("the instance that makes the number reach count opens; the ones before it are its peers", () => {
    const storm = new Storm({ function: "skip_when_exceed", count: 3 }).fires(1, "A", "B", "C", "D");
    expect(storm.lines).toEqual([
      "A: Processing below_count",
      "B: Processing below_count",
      "C: Processing group_opened",
      "D: Skipped limit_reached",
    ]);
    expect(membership(storm)).toEqual(["A remembered", "B remembered", "C opener", "D joined"]);
  });

  test.each([
    [5 * MINUTE, "B: Processing group_opened"],
    [5 * MINUTE + 1, "B: Processing below_count"],
  ])("an instance created at 0 counts %i ms later: %s", (atMs, expected) => {
    const storm = new Storm({ function: "trigger", count: 2 }).fires(0, "A").fires(atMs, "B");
    expect(storm.lines[1]).toBe(expected.replace("Processing below_count", "Skipped below_count"));
  });

  test("at exactly its end a group still takes an alert; after it the next starts afresh and old members do not count", () => {
    const storm = new Storm({ function: "trigger", count: 2 });
    storm
      .fires(0, "A")
      .fires(MINUTE, "B")
      .fires(6 * MINUTE, "C")
      .fires(6 * MINUTE + 1, "D", "E");
    expect(storm.lines).toEqual([
      "A: Skipped below_count",
      "B: Processing group_opened",
      "C: Skipped already_triggered",
      "D: Skipped below_count",
      "E: Processing group_opened",
    ]);
    expect(membership(storm)).toEqual(["A remembered", "B opener", "C joined", "D remembered", "E opener"]);
  });

  test("with a peer in progress it stays open past its window, until that is settled", () => {
    const storm = new Storm({ function: "skip_when_proceed" });
    storm
      .fires(0, "A")
      .fires(6 * MINUTE, "B")
      .does(7 * MINUTE, "done", "A")
      .fires(7 * MINUTE, "C");
    expect(storm.lines).toEqual([
      "A: Success succeeded",
      "B: Skipped peer_in_progress",
      "C: Processing no_peer_in_the_way",
    ]);
    expect(membership(storm)).toEqual(["A opener", "B joined", "C opener"]);
    expect(storm.path("B")).toBe("Idle > Processing > Proceeding > Skipped");
  });

  test("once closed it stays closed, also when a member runs again later", () => {
    const storm = new Storm({ function: "skip_when_proceed" });
    storm.fires(0, "A").does(MINUTE, "done", "A").does(MINUTE, "end", "A");
    storm.does(6 * MINUTE, "startApproved", "A").fires(7 * MINUTE, "B");
    expect(storm.lines).toEqual(["A: Processing run_anyway", "B: Processing no_peer_in_the_way"]);
  });

  test("skip_when_proceed: a peer that ended inside the window is in the way, one before it is not", () => {
    const storm = new Storm({ function: "skip_when_proceed", maxWindowMs: 30 * MINUTE });
    storm
      .fires(0, "A")
      .does(MINUTE, "done", "A")
      .fires(6 * MINUTE, "B")
      .fires(6 * MINUTE + 1, "C");
    expect(storm.lines.slice(1)).toEqual(["B: Skipped peer_settled_in_window", "C: Processing no_peer_in_the_way"]);
  });

  test("silenced instances are invisible, and those that `where` leaves out run", () => {
    const silences = [{ match: { n: "S" }, fromMs: 0, toMs: 10 }];
    const storm = new Storm({ function: "trigger", count: 2, where: { n: ["S", "A", "B"] } }, { silences });
    storm.fires(1, "S", "A", "X", "B");
    expect(storm.lines).toEqual([
      "S: Skipped silenced",
      "A: Skipped below_count",
      "X: Processing no_rule",
      "B: Processing group_opened",
    ]);
  });

  test("every matching policy gets its own instance, and sending the alert again changes nothing", () => {
    const rule: ConvergenceRule = { function: "trigger", count: 1, windowMs: MINUTE, by: ["host"] };
    const model = new SlowModel([
      { name: "p", rule },
      { name: "q", rule: null, match: { host: "h2" } },
    ]);
    for (const host of ["h1", "h2", "h2"]) model.apply({ type: "firing", atMs: 1, labels: { host }, startsAtMs: 0 });
    expect(model.instances().map(({ id, reasons, group }) => [id, reasons.at(-1), group])).toEqual([
      ["p host=h1 0", "group_opened", "p host=h1"],
      ["p host=h2 0", "group_opened", "p host=h2"],
      ["q host=h2 0", "no_rule", null],
    ]);
  });
});

describe("approvals", () => {
  test("defense: one request while anybody is held, and a new one when the next is held after all were answered", () => {
    const storm = new Storm({ function: "defense", count: 1 }).fires(1, "A", "B", "C");
    expect(storm.lines.slice(1)).toEqual(["B: Waiting defense_threshold", "C: Waiting defense_threshold"]);
    expect(storm.path("B")).toBe("Idle > Defense > Waiting");
    storm.does(2, "grant", "B").does(3, "deny", "C").fires(4, "D");
    expect(storm.effects).toEqual(["run A 1", "ask p", "run B 1", "ask p"]);
    expect(storm.path("B")).toBe("Idle > Defense > Waiting > Idle > Processing");
  });

  test("a grant for the group starts all that are held, in order", () => {
    const storm = new Storm({ function: "defense", count: 1 }).fires(1, "A", "C", "B");
    storm.model.apply({ type: "grant", atMs: 2, group: "p" });
    expect(storm.effects).toEqual(["run A 1", "ask p", "run C 1", "run B 1"]);
  });

  test("a grant at the due time is refused, and the timeout comes after it", () => {
    const storm = new Storm({ function: "defense", count: 1 }, { approvalTimeoutMs: MINUTE }).fires(0, "A", "B");
    expect(storm.does(MINUTE, "grant", "B").lines[1]).toBe("B: Waiting defense_threshold");
    expect(storm.passes(MINUTE + 1).lines[1]).toBe("B: Skipped approval_timeout");
  });

  test("approve_when_failed: the one that waits for a human counts as in progress, so one storm asks once", () => {
    const storm = new Storm({ function: "approve_when_failed" });
    storm.fires(1, "A").does(2, "failed", "A").fires(3, "B", "C");
    expect(storm.lines).toEqual([
      "A: Waiting retries_exhausted",
      "B: Proceeding peer_in_progress",
      "C: Proceeding peer_in_progress",
    ]);
    storm.does(4, "grant", "A").does(5, "done", "A");
    expect(storm.lines.slice(1)).toEqual(["B: Skipped peer_succeeded", "C: Skipped peer_succeeded"]);
    expect(storm.effects).toEqual(["run A 1", "ask p", "run A 2"]);
  });

  test("approve_when_failed: a denial skips those that wait for it", () => {
    const storm = new Storm({ function: "approve_when_failed" });
    storm.fires(1, "A").does(2, "failed", "A").fires(3, "B", "C").does(4, "deny", "A");
    expect(storm.lines).toEqual(["A: Skipped approval_denied", "B: Skipped peer_denied", "C: Skipped peer_denied"]);
    expect(storm.path("B")).toBe("Idle > Processing > Proceeding > Skipped");
    // The failure stays: the next one is put to a human again.
    expect(storm.fires(5, "D").path("D")).toBe("Idle > Processing > Failed > Waiting");
    expect(storm.effects).toEqual(["run A 1", "ask p", "ask p"]);
  });

  test("approve_when_failed: a denial while another member is in progress leaves the waiters alone", () => {
    const storm = new Storm({ function: "approve_when_failed", count: 3 });
    storm.fires(1, "A", "B", "C", "D").does(2, "failed", "A").does(3, "deny", "A");
    expect(storm.lines).toEqual([
      "A: Skipped approval_denied",
      "B: Processing below_count",
      "C: Proceeding peer_in_progress",
      "D: Proceeding peer_in_progress",
    ]);
  });

  test("approve_when_failed: after a timeout the first waiter asks in its place, the others go on waiting", () => {
    const storm = new Storm({ function: "approve_when_failed" }, { approvalTimeoutMs: MINUTE });
    storm
      .fires(1, "A")
      .does(2, "failed", "A")
      .fires(3, "B", "C")
      .passes(MINUTE + 3);
    expect(storm.lines).toEqual([
      "A: Skipped approval_timeout",
      "B: Waiting peer_failed",
      "C: Proceeding peer_in_progress",
    ]);
    expect(storm.path("B")).toBe("Idle > Processing > Proceeding > Processing > Failed > Waiting");
    expect(storm.effects).toEqual(["run A 1", "ask p", "ask p"]);
  });

  test("approve_when_failed: a cancelled attempt is a failure, but is not itself put to approval", () => {
    const storm = new Storm({ function: "approve_when_failed" });
    storm.fires(1, "A", "B").does(2, "cancel", "A");
    expect(storm.lines).toEqual(["A: Failed cancelled", "B: Waiting peer_failed"]);
  });
});

describe("summaries", () => {
  test("collect: sent at the window's end + delay, with the number skipped", () => {
    const storm = new Storm({ function: "collect", count: 2, summaryDelayMs: 1_000 });
    storm.fires(0, "A", "B", "C", "D").passes(5 * MINUTE + 1_000);
    expect(storm.effects).toEqual(["run A 1", "run B 1"]);
    expect(storm.passes(5 * MINUTE + 1_001).effects).toEqual(["run A 1", "run B 1", "summary 2"]);
  });

  test("collect: nothing skipped, nothing sent", () => {
    const storm = new Storm({ function: "collect", count: 2 }).fires(0, "A", "B").passes(10 * MINUTE);
    expect(storm.effects).toEqual(["run A 1", "run B 1"]);
    expect(storm.model.nextTimer()).toBeNull();
  });

  test("collect_alarm: the opener is in the summary too, and an alert at exactly the end", () => {
    const storm = new Storm({ function: "collect_alarm", count: 2, maxWindowMs: 10 * MINUTE });
    storm
      .fires(0, "A", "B", "C")
      .fires(10 * MINUTE, "D")
      .passes(20 * MINUTE);
    expect(storm.lines).toEqual([
      "A: Processing below_count",
      "B: Skipped collected",
      "C: Skipped collected",
      "D: Skipped collected",
    ]);
    expect(storm.effects).toEqual(["run A 1", "summary 3"]);
  });
});

describe("people", () => {
  test("a closed instance ignores its alert; run anyway starts it with the next attempt number", () => {
    const storm = new Storm({ function: "relevance" }).fires(1, "A").does(2, "done", "A").does(3, "end", "A");
    storm.resolves(4, "A").fires(5, "A");
    expect(storm.path("A")).toBe("Idle > Processing > Success > Idle");
    expect(storm.does(6, "startApproved", "A").effects).toEqual(["run A 1", "run A 2"]);
  });

  test("keep holds what waits when the alert resolves; a result of no attempt changes nothing", () => {
    const storm = new Storm({ function: "wait_when_proceed" }, { onResolved: "keep" });
    storm.fires(1, "A", "B").resolves(2, "B").does(3, "done", "B");
    expect(storm.lines[1]).toBe("B: Proceeding peer_in_progress");
  });

  test("cancelling a retry leaves the failure and wakes the waiters", () => {
    const retry = { limit: 3, delayMs: 10_000, backoff: 2 };
    const storm = new Storm({ function: "wait_when_proceed" }, { retry });
    storm.fires(1, "A", "B").does(2, "failed", "A").does(3, "cancel", "A");
    expect(storm.lines).toEqual(["A: Failed cancelled", "B: Processing no_peer_in_the_way"]);
    expect(storm.path("A")).toBe("Idle > Processing > Failed");
  });
});
