import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createActor } from "xstate";
import { convergenceGroupMachine } from "../../machines/convergence-group.machine.ts";
import {
  closeIfOver,
  countChange,
  formingMember,
  type Group,
  type Member,
  newGroup,
  openGroup,
  pruneForming,
} from "../../src/convergence/group.ts";
import { CONVERGENCE_FUNCTIONS, type ConvergenceRule } from "../../src/model/convergence-rule.ts";

const LINGERING = ["skip_when_success", "approve_when_failed", "skip_when_proceed", "wait_when_proceed"];

type Move = { readonly afterMs: number; readonly type: "arrive" | "end" | "wait" };

/** Plain group code and the chart, driven by the same story. */
class Twins {
  readonly rule: ConvergenceRule;
  readonly group: Group;
  readonly chart;
  private readonly running: Member[] = [];
  private nowMs = 0;
  private count = 0;

  constructor(rule: ConvergenceRule) {
    this.rule = rule;
    this.group = newGroup("g", "p", 0);
    const input = {
      count: rule.count,
      lastsMs: rule.maxWindowMs ?? rule.windowMs,
      lingers: LINGERING.includes(rule.function),
    };
    this.chart = createActor(convergenceGroupMachine, { input }).start();
  }

  play({ afterMs, type }: Move): void {
    this.nowMs += afterMs;
    if (type === "arrive") this.arrive();
    if (type === "end") this.endOldest();
    if (type === "wait" && this.group.open !== null && LINGERING.includes(this.rule.function))
      this.group.waiters = 1 - this.group.waiters;
    this.chart.send({
      type: "peers.changed",
      atMs: this.nowMs,
      inProgress: this.group.open?.inProgress ?? 0,
      waiters: this.group.waiters,
    });
  }

  private arrive(): void {
    const { group, rule, nowMs } = this;
    closeIfOver(group, nowMs);
    if (group.open === null) pruneForming(group, rule, nowMs);
    const matching = group.open === null ? group.forming.length + 1 : 0;
    this.chart.send({ type: "instance.arrived", atMs: nowMs, matching });
    if (group.open === null && matching >= rule.count) openGroup(group, rule, { ruleVersion: "v", atMs: nowMs });
    this.count += 1;
    const member: Member = {
      id: String(this.count),
      epoch: group.epoch,
      createdAtMs: nowMs,
      hadAttempt: true,
      standing: "inProgress",
      succeededAtMs: null,
    };
    if (group.open === null) group.forming.push(formingMember(member));
    else countChange(group, null, member);
    this.running.push(member);
  }

  private endOldest(): void {
    const member = this.running.shift();
    if (member !== undefined)
      countChange(this.group, member, { ...member, standing: "succeeded", succeededAtMs: this.nowMs });
  }

  get isOpen(): { plain: boolean; chart: boolean } {
    return { plain: this.group.open !== null, chart: this.chart.getSnapshot().value !== "Forming" };
  }
}

const moves = fc.array(
  fc.record({
    afterMs: fc.constantFrom(0, 1, 500, 1_000, 1_001, 2_500),
    type: fc.constantFrom("arrive", "arrive", "end", "wait"),
  }) as fc.Arbitrary<Move>,
  { maxLength: 40 },
);

describe("the convergence group's chart", () => {
  test.each(CONVERGENCE_FUNCTIONS)("is open exactly when the plain group code is, under %s", (fn) => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4 }), fc.boolean(), moves, (count, hasMax, story) => {
        const twins = new Twins({ function: fn, count, windowMs: 1_000, ...(hasMax ? { maxWindowMs: 2_000 } : {}) });
        for (const move of story) {
          twins.play(move);
          expect(twins.isOpen.chart).toBe(twins.isOpen.plain);
        }
      }),
      { numRuns: 100 },
    );
  });

  test("lingers past its window only under the four functions that wait for peers", () => {
    for (const fn of CONVERGENCE_FUNCTIONS) {
      const twins = new Twins({ function: fn, count: 1, windowMs: 1_000 });
      twins.play({ afterMs: 0, type: "arrive" });
      twins.play({ afterMs: 1_001, type: "arrive" });
      const value = twins.chart.getSnapshot().value;
      expect(value, fn).toBe(LINGERING.includes(fn) ? "Lingering" : "Open");
      if (!LINGERING.includes(fn)) expect(twins.group.open?.openedAtMs, fn).toBe(1_001);
    }
  });
});
