import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { dimensionKey } from "../../src/convergence/dimension-key.ts";
import {
  CONVERGENCE_FUNCTIONS,
  type ConvergenceFunction,
  type ConvergenceRule,
} from "../../src/model/convergence-rule.ts";
import { groupIdOf } from "../../src/model/ids.ts";
import type { ReasonCode } from "../../src/model/reasons.ts";
import type { Policy } from "../../src/policy/policy.ts";
import { DecideDriver, idOf } from "../support/decide-driver.ts";
import { SlowModel } from "../support/slow-model.ts";
import type { Episode, ModelEventType, ModelOp, ModelPolicy, ModelSilence } from "../support/slow-model-types.ts";

/**
 * `decide` keeps bounded counters; the slow model goes through everything that ever happened. After every operation and every timer of
 * a random storm both must agree on each instance's state, whole path, attempts and reasons, on the effects, and on the next timer.
 */

const MINUTE = 60_000;
const SECOND = 1_000;

/** Steps pass an instance by; what lasts is why it is where it is. */
const PASSING: ReadonlySet<ReasonCode> = new Set(["approval_requested"]);

type Setting = {
  readonly policies: readonly Policy[];
  readonly silences: readonly ModelSilence[];
  readonly waitersSeen: number;
};

/** A target is a position in the list of instances that the event could concern, so that shrinking keeps it meaningful. */
type Action =
  | { readonly kind: "fire"; readonly episodes: readonly Episode[] }
  | { readonly kind: "event"; readonly type: ModelEventType; readonly target: number }
  | { readonly kind: "group"; readonly type: "grant" | "deny"; readonly target: number }
  | { readonly kind: "pass" };

type Move = { readonly afterMs: number; readonly action: Action };

const durations = fc.constantFrom(
  0,
  1,
  5 * SECOND,
  10 * SECOND,
  29 * SECOND,
  30 * SECOND,
  MINUTE,
  MINUTE + 1,
  2 * MINUTE,
  11 * MINUTE,
);

function ruleOf(fn: ConvergenceFunction): fc.Arbitrary<ConvergenceRule> {
  return fc.record({
    function: fc.constant(fn),
    by: fc.constantFrom<readonly string[]>([], ["host"]),
    where: fc.constantFrom<Record<string, string[]>>({}, { tier: ["gold", ""] }),
    count: fc.integer({ min: 1, max: 3 }),
    windowMs: fc.constantFrom(30 * SECOND, MINUTE),
    maxWindowMs: fc.constantFrom(10 * SECOND, MINUTE, 3 * MINUTE),
    summaryDelayMs: fc.constantFrom(0, 30 * SECOND),
  });
}

type Choice = Pick<ModelPolicy, "name" | "rule"> & { limit: number; approvalMs: number; onResolved: "skip" | "keep" };

function policyOf({ name, rule, limit, approvalMs, onResolved }: Choice): Policy {
  const log = { kind: "log" } as const;
  return {
    name,
    version: "0123456789abcdef",
    match: [],
    action: log,
    converge: rule,
    retry: { limit, delayMs: 10 * SECOND, backoff: 2 },
    approval: { timeoutMs: approvalMs, notify: log },
    onResolved,
  };
}

/** One or two policies over the same alerts. */
function policiesOf(fn: ConvergenceFunction): fc.Arbitrary<Policy[]> {
  const choice = fc.record({
    rule: fc.option(ruleOf(fn), { freq: 9 }),
    limit: fc.nat({ max: 1 }),
    approvalMs: fc.constantFrom(30 * SECOND, 5 * MINUTE),
    onResolved: fc.constantFrom<"skip" | "keep">("skip", "keep"),
  });
  const choices = fc.array(choice, { minLength: 1, maxLength: 2 });
  return choices.map((list) => list.map((chosen, index) => policyOf({ name: `p${index}`, ...chosen })));
}

const episodes: fc.Arbitrary<Episode> = fc
  .record({ host: fc.constantFrom("h1", "h2"), n: fc.nat({ max: 12 }), tier: fc.constantFrom("", "", "gold", "tin") })
  .map(({ host, n, tier }) => ({ labels: { host, n: String(n), ...(tier === "" ? {} : { tier }) }, startsAtMs: 0 }));

const EVENTS: readonly ModelEventType[] = [
  "done",
  "failed",
  "grant",
  "deny",
  "resolved",
  "cancel",
  "end",
  "startApproved",
];

const movesOf = (events: readonly ModelEventType[]): fc.Arbitrary<Move[]> =>
  fc.array(
    fc.record({
      afterMs: durations,
      action: fc.oneof(
        {
          weight: 5,
          arbitrary: fc.record({
            kind: fc.constant("fire" as const),
            episodes: fc.array(episodes, { minLength: 1, maxLength: 4 }),
          }),
        },
        {
          weight: 8,
          arbitrary: fc.record({
            kind: fc.constant("event" as const),
            type: fc.constantFrom(...events, "done", "failed"),
            target: fc.nat(),
          }),
        },
        {
          weight: 1,
          arbitrary: fc.record({
            kind: fc.constant("group" as const),
            type: fc.constantFrom("grant", "deny"),
            target: fc.nat(),
          }),
        },
        { weight: 1, arbitrary: fc.constant({ kind: "pass" as const }) },
      ),
    }),
    { maxLength: 30, size: "max" },
  );

const settings = (fn: ConvergenceFunction): fc.Arbitrary<Setting> =>
  fc.record({
    policies: policiesOf(fn),
    silences: fc.constantFrom<readonly ModelSilence[]>([], [{ match: { n: "3" }, fromMs: 0, toMs: 2 * MINUTE }]),
    waitersSeen: fc.constantFrom(1, 2, 1_000),
  });

/** Functions under which a group stays open past its window. */
const LINGERING: readonly ConvergenceFunction[] = [
  "skip_when_success",
  "approve_when_failed",
  "skip_when_proceed",
  "wait_when_proceed",
];

describe.each(CONVERGENCE_FUNCTIONS)("%s", (fn) => {
  test("decide agrees with the slow model after every operation and every timer", () => {
    fc.assert(
      fc.property(settings(fn), movesOf(EVENTS), (setting, storm) => new Comparison(setting).play(storm)),
      { numRuns: Number(process.env["BECALM_MODEL_RUNS"] ?? 8) },
    );
  });
});

const event = (type: ModelEventType, { afterMs = 0, target = 0 } = {}): Move => ({
  afterMs,
  action: { kind: "event", type, target },
});

const fire = (names: string, afterMs = 0): Move => ({
  afterMs,
  action: { kind: "fire", episodes: [...names].map((n) => ({ labels: { n }, startsAtMs: 0 })) },
});

/** Edges that random storms seldom meet, for every function. */
const STORMS: readonly [string, Partial<ConvergenceRule>, readonly Move[]][] = [
  ["the second alert comes exactly a window after the first", { count: 2 }, [fire("a"), fire("b", MINUTE)]],
  [
    "the second alert comes a millisecond after the window",
    { count: 2 },
    [fire("a"), fire("b", MINUTE + 1), fire("c")],
  ],
  [
    "an alert at exactly the end, one after it",
    { count: 1 },
    [fire("a"), event("done"), fire("b", MINUTE), fire("c", 1)],
  ],
  [
    "a denial while another is in progress",
    { count: 3 },
    [fire("abcd"), event("failed"), event("deny"), event("done")],
  ],
  ["a denial while nobody is", { count: 1 }, [fire("abc"), event("failed"), event("deny"), fire("d", 1)]],
  ["the first waiter's approval runs out", { count: 1 }, [fire("abc"), event("cancel"), fire("d", 2 * MINUTE)]],
  [
    "a peer succeeded exactly a window ago",
    { count: 1, maxWindowMs: 3 * MINUTE },
    [fire("a"), event("done"), fire("b", MINUTE), fire("c", 1)],
  ],
];

describe.each(STORMS)("%s", (_, rule, storm) => {
  test.each(CONVERGENCE_FUNCTIONS)("decide agrees with the slow model under %s", (fn) => {
    const whole: ConvergenceRule = { function: fn, count: 1, windowMs: MINUTE, ...rule };
    const policy = policyOf({ name: "p", rule: whole, limit: 0, approvalMs: MINUTE, onResolved: "skip" });
    new Comparison({ policies: [policy], silences: [], waitersSeen: 1_000 }).play(storm);
  });
});

describe.each(LINGERING)("%s after a group's end", (fn) => {
  test("a group that is over stays closed when a member of it is run again", () => {
    const rule: ConvergenceRule = { function: fn, count: 1, windowMs: MINUTE };
    const policy = policyOf({ name: "p", rule, limit: 0, approvalMs: MINUTE, onResolved: "skip" });
    const storm = [fire("a"), event("done"), event("end"), event("startApproved", { afterMs: 2 * MINUTE }), fire("b")];
    new Comparison({ policies: [policy], silences: [], waitersSeen: 1_000 }).play(storm);
  });
});

class Comparison {
  private readonly model: SlowModel;
  private readonly driver: DecideDriver;
  private atMs = 0;

  constructor({ policies, silences, waitersSeen }: Setting) {
    this.driver = new DecideDriver(policies, { silences, waitersSeen });
    this.model = new SlowModel(policies.map(modelPolicyOf), {
      silences,
      instanceId: idOf,
      groupId: (policy, rule, labels) => groupIdOf(policy, dimensionKey(rule, labels)),
    });
  }

  play(storm: readonly Move[]): void {
    for (const { afterMs, action } of storm) {
      this.atMs += afterMs;
      this.fireTimersBefore(this.atMs);
      this.take(action);
      this.compare(JSON.stringify(action));
    }
    this.fireTimersBefore(Number.POSITIVE_INFINITY);
  }

  private fireTimersBefore(atMs: number): void {
    for (let timer = this.model.nextTimer(); timer !== null && timer.dueAtMs < atMs; timer = this.model.nextTimer()) {
      this.model.fireNextTimer();
      this.driver.fireTimer();
      this.compare(`${timer.name} of ${timer.owner} at ${timer.dueAtMs}`);
    }
  }

  private take(action: Action): void {
    const { atMs } = this;
    if (action.kind === "pass") return;
    if (action.kind === "fire") {
      for (const episode of action.episodes) this.model.apply({ type: "firing", atMs, ...episode });
      this.driver.fire(atMs, action.episodes);
      return;
    }
    const op = action.kind === "group" ? this.groupOp(action) : this.eventOp(action);
    if (op === null) return;
    this.model.apply(op);
    this.driver.apply(op);
  }

  private groupOp({ type, target }: Action & { kind: "group" }): Extract<ModelOp, { group: string }> | null {
    const groups = [...new Set(this.model.instances().flatMap(({ group }) => group ?? []))];
    return groups.length === 0 ? null : { type, atMs: this.atMs, group: groups[target % groups.length] as string };
  }

  /** Prefers instances whose state has an edge for the event; without one any instance will do, and nothing must change. */
  private eventOp({
    type,
    target,
  }: Action & { kind: "event" }): Exclude<ModelOp, { type: "firing" | "advance" }> | null {
    const all = this.model.instances();
    const fitting = all.filter(({ state }) => FITTING[type].includes(state));
    const candidates = fitting.length > 0 ? fitting : all;
    const chosen = candidates[target % candidates.length];
    if (chosen === undefined) return null;
    if (type !== "resolved") return { type, atMs: this.atMs, instance: chosen.id };
    return { type: "resolved", atMs: this.atMs, labels: chosen.labels, startsAtMs: chosen.startsAtMs };
  }

  private compare(afterWhat: string): void {
    const lines = (reasons: readonly ReasonCode[]): string =>
      reasons.filter((reason) => !PASSING.has(reason)).join(" ");
    const expected = this.model.instances().map(({ id, state, path, attempts, reasons, membership }) => {
      return {
        id,
        state,
        path: path.join(" > "),
        attempts,
        reasons: lines(reasons),
        isOpener: membership === "opener",
      };
    });
    const actual = this.driver.instances().map(({ id, state, path, attempts, reasons, isOpener }) => {
      return { id, state, path: path.join(" > "), attempts, reasons: lines(reasons), isOpener };
    });
    expect(byId(actual), afterWhat).toEqual(byId(expected));
    expect(byText(this.driver.effects), afterWhat).toEqual(byText(this.model.effects));
    const timer = this.driver.nextTimer();
    const shown = timer === null ? null : { owner: timer.owner, name: timer.name, dueAtMs: timer.dueAtMs };
    expect(shown, afterWhat).toEqual(this.model.nextTimer());
  }
}

const FITTING: Readonly<Record<ModelEventType, readonly string[]>> = {
  done: ["Processing"],
  failed: ["Processing"],
  grant: ["Waiting"],
  deny: ["Waiting"],
  resolved: ["Proceeding", "Waiting"],
  cancel: ["Processing", "Proceeding", "Failed", "Waiting"],
  end: ["Success", "Failed", "Waiting", "Skipped"],
  startApproved: ["Idle", "Skipped"],
};

/** A batch of alerts is decided group by group, so within one operation the order over several groups is not compared. */
function byId<T extends { id: string }>(instances: readonly T[]): T[] {
  return [...instances].sort((a, b) => (a.id < b.id ? -1 : 1));
}

function byText(effects: readonly object[]): string[] {
  return effects.map((effect) => JSON.stringify(Object.entries(effect).sort(([a], [b]) => (a < b ? -1 : 1)))).sort();
}

function modelPolicyOf({ name, converge, retry, approval, onResolved }: Policy): ModelPolicy {
  return { name, rule: converge, retry, approvalTimeoutMs: approval.timeoutMs, onResolved };
}
