import { describe, expect, test } from "vitest";
import { initialSnapshot, type Snapshot, step } from "../../src/instance/step.ts";
import type { InstanceEvent, InstancePolicy } from "../../src/model/instance-types.ts";
import { groupView, policyWith, retries } from "../support/machine-exploration.ts";

const ADA = { by: "ada", why: "checked" } as const;

/** Steps through events that must all be accepted; returns the last snapshot. */
function stepThrough(policy: Partial<InstancePolicy>, events: readonly InstanceEvent[]): Snapshot {
  return events.reduce<Snapshot>(
    (snapshot, event) => {
      const next = step(snapshot, event);
      if (!next.accepted) throw new Error(`${snapshot.state} does not accept ${event.type}`);
      return next.snapshot;
    },
    initialSnapshot(policyWith(policy)),
  );
}

const start = (atMs: number): InstanceEvent => ({ type: "start", atMs, group: null, silence: null });
const busy = (atMs: number): InstanceEvent => ({
  type: "start",
  atMs,
  group: groupView({ inProgress: 1 }),
  silence: null,
});
const failed = (atMs: number, attempt: number): InstanceEvent => ({
  type: "effect.failed",
  atMs,
  attempt,
  error: "exit 1",
});
const elapsed = (atMs: number, timer: "retry" | "wait" | "approval", arm: number): InstanceEvent => ({
  type: "timer.elapsed",
  atMs,
  timer,
  arm,
});
const granted = (atMs: number): InstanceEvent => ({
  type: "approval.granted",
  atMs,
  ...ADA,
  group: null,
  silence: null,
});

describe("retries", () => {
  test("a failure is retried after delay, then delay * backoff, until the limit is used up", () => {
    const policy = { retry: { limit: 2, delayMs: 10_000, backoff: 3 } };
    const once = [start(0), failed(100, 1)];
    expect(stepThrough(policy, once).context.timers).toEqual({ retry: { dueAtMs: 10_100, arm: 1 } });
    const twice = [...once, elapsed(10_100, "retry", 1), failed(20_000, 2)];
    expect(stepThrough(policy, twice).context.timers).toEqual({ retry: { dueAtMs: 50_000, arm: 2 } });
    const thrice = [...twice, elapsed(50_000, "retry", 2), failed(60_000, 3)];
    expect(stepThrough(policy, thrice)).toMatchObject({
      state: "Failed",
      context: { timers: {}, attempt: 3, outcome: "failed" },
    });
  });

  test("a grant starts a new round: the limit counts afresh while the attempt number keeps rising", () => {
    const policy = { function: "approve_when_failed" as const, retry: retries(1) };
    const asked = [start(0), failed(1, 1), elapsed(2, "retry", 1), failed(3, 2)];
    expect(stepThrough(policy, asked)).toMatchObject({ state: "Waiting", context: { attempt: 2 } });
    const again = [...asked, granted(4), failed(5, 3)];
    expect(stepThrough(policy, again)).toMatchObject({ state: "Failed", context: { attempt: 3, roundAttempt: 1 } });
    expect(Object.keys(stepThrough(policy, again).context.timers)).toEqual(["retry"]);
    const askedAgain = [...again, elapsed(6, "retry", 3), failed(7, 4)];
    expect(stepThrough(policy, askedAgain)).toMatchObject({ state: "Waiting", context: { attempt: 4 } });
  });

  test.each([null, "approve_when_failed"] as const)(
    "a cancelled attempt is neither retried nor put to approval (%s)",
    (fn) => {
      const aborted = stepThrough({ function: fn }, [start(0), { type: "cancel", atMs: 1, ...ADA }]);
      expect(aborted).toMatchObject({ state: "Failed", context: { timers: {}, outcome: "failed" } });
      const disarmed = stepThrough({ function: fn }, [start(0), failed(1, 1), { type: "cancel", atMs: 2, ...ADA }]);
      expect(disarmed).toMatchObject({ state: "Failed", context: { timers: {}, outcome: "failed" } });
    },
  );

  test("a peer's failure under approve_when_failed is not retried", () => {
    const event: InstanceEvent = { type: "start", atMs: 0, group: groupView({ failed: 1 }), silence: null };
    expect(step(initialSnapshot(policyWith({ function: "approve_when_failed" })), event)).toMatchObject({
      path: ["Idle", "Processing", "Failed", "Waiting"],
      effects: ["requestApproval"],
    });
  });
});

describe("waiting for a peer", () => {
  test("the total is bounded from first entering Proceeding: looking again does not prolong it", () => {
    const look: InstanceEvent = { type: "peers.settled", atMs: 5_000, group: groupView({ inProgress: 1 }) };
    const waiting = stepThrough({ function: "wait_when_proceed" }, [busy(1_000), look]);
    expect(waiting).toMatchObject({ state: "Proceeding", context: { timers: { wait: { dueAtMs: 601_000, arm: 1 } } } });
  });

  test("one step tells the whole way of a waiter that finds its work done", () => {
    const waiting = stepThrough({ function: "skip_when_success" }, [busy(0)]);
    const look: InstanceEvent = { type: "peers.settled", atMs: 9, group: groupView({ succeeded: 1, executed: 1 }) };
    expect(step(waiting, look)).toMatchObject({
      path: ["Proceeding", "Processing", "Success", "Skipped"],
      effects: [],
    });
  });
});

describe("approvals", () => {
  const held = stepThrough({ function: "defense", approvalTimeoutMs: 1_000 }, [
    { type: "start", atMs: 0, group: groupView({ executed: 2 }), silence: null },
    { type: "approval.requested", atMs: 500 },
  ]);

  test("the time counts from entering Waiting", () => {
    expect(held.context.timers).toEqual({ approval: { dueAtMs: 1_500, arm: 1 } });
  });

  test("a grant before the due time starts at once, one at the due time or later is refused", () => {
    expect(step(held, granted(1_499))).toMatchObject({ path: ["Waiting", "Idle", "Processing"], effects: ["run"] });
    expect(step(held, granted(1_500))).toEqual({ accepted: false });
    expect(step(held, granted(1_501))).toEqual({ accepted: false });
  });

  test("a timer of an earlier arming is stale", () => {
    expect(step(held, elapsed(1_500, "approval", 0))).toEqual({ accepted: false });
    expect(step(held, elapsed(1_500, "approval", 2))).toEqual({ accepted: false });
    expect(step(held, elapsed(1_500, "approval", 1))).toMatchObject({ path: ["Waiting", "Skipped"] });
  });

  test.each([
    ["grant", granted(600)],
    ["denial", { type: "approval.denied", atMs: 600, ...ADA }],
    ["timeout", elapsed(1_500, "approval", 1)],
  ] satisfies [string, InstanceEvent][])("after a %s the other two change nothing", (_, first) => {
    const settled = step(held, first);
    if (!settled.accepted) throw new Error("the first answer must be accepted");
    for (const late of [granted(601), { type: "approval.denied", atMs: 601, ...ADA }, elapsed(1_500, "approval", 1)]) {
      expect(step(settled.snapshot, late as InstanceEvent)).toEqual({ accepted: false });
    }
  });
});

describe("closing", () => {
  test.each(["alert.resolved", "start"] as const)("a closed instance ignores %s", (type) => {
    const closed = stepThrough({}, [
      start(0),
      { type: "effect.done", atMs: 1, attempt: 1 },
      { type: "end", atMs: 2, ...ADA },
    ]);
    expect(closed).toMatchObject({ state: "Idle", context: { closed: true } });
    const event: InstanceEvent = type === "start" ? start(3) : { type, atMs: 3 };
    expect(step(closed, event)).toEqual({ accepted: false });
  });

  test("end disarms the retry; run anyway starts a new round with the next attempt number", () => {
    const closed = stepThrough({}, [start(0), failed(1, 1), { type: "end", atMs: 2, ...ADA }]);
    expect(closed.context.timers).toEqual({});
    expect(step(closed, elapsed(10_001, "retry", 1))).toEqual({ accepted: false });
    const anyway = step(closed, { type: "start", atMs: 3, group: null, silence: null, approved: true, ...ADA });
    expect(anyway).toMatchObject({
      accepted: true,
      effects: ["run"],
      snapshot: { context: { attempt: 2, roundAttempt: 1 } },
    });
  });
});
