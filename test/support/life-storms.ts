/** Random policies and random storms for the comparison of whole lives. */
import fc from "fast-check";
import type { ConvergenceFunction, ConvergenceRule } from "../../src/model/convergence-rule.ts";
import type { LifeSetting } from "./life-world.ts";
import type { LifeForm, LifeLabels, LifeLimits, LifePolicy, LifeSilence } from "./slow-life-types.ts";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
export const LIFE_START_MS = Date.parse("2026-11-23T06:00:00Z");

export type LifeMove = {
  /** Which of the engines is asked. */
  readonly at: number;
  /** Before it. */
  readonly afterMs: number;
  /** Of alerts, if the setting has leases. */
  readonly form: LifeForm;
} & (
  | { readonly kind: "fires"; readonly alerts: readonly LifeLabels[] }
  | { readonly kind: "resolves"; readonly alerts: readonly LifeLabels[] }
  | { readonly kind: "ends attempt"; readonly target: number; readonly isSuccess: boolean }
  | { readonly kind: "grants" | "denies"; readonly target: number; readonly by: string }
  | { readonly kind: "grants group" | "denies group"; readonly target: number; readonly by: string }
  | { readonly kind: "cancels" | "ends" | "runs anyway"; readonly target: number }
  | { readonly kind: "pauses"; readonly scope: string }
  | { readonly kind: "resumes"; readonly scope: string; readonly how: "keep" | "decide" | "deny" }
  | { readonly kind: "silences"; readonly alertname: string; readonly forMs: number }
  | { readonly kind: "expires"; readonly target: number }
  | { readonly kind: "restarts" }
  | { readonly kind: "passes" }
);

const NAMES = ["a", "b", "c", "d", "e"] as const;
const labels: fc.Arbitrary<LifeLabels> = fc.record({
  alertname: fc.constantFrom(...NAMES),
  host: fc.constantFrom("h1", "h1", "h2"),
});
const alerts = fc.uniqueArray(labels, { minLength: 1, maxLength: 4, selector: (one) => `${one.alertname}${one.host}` });
const target = fc.nat({ max: 30 });
const by = fc.constantFrom("ann", "bob", "eve");
const scope = fc.constantFrom("", "", "p0");

const action: fc.Arbitrary<Record<string, unknown>> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant("fires"), alerts }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("resolves"), alerts }) },
  { weight: 7, arbitrary: fc.record({ kind: fc.constant("ends attempt"), target, isSuccess: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom("grants", "denies"), target, by }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("grants group", "denies group"), target, by }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom("cancels", "ends", "runs anyway"), target }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("pauses"), scope }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("resumes"), scope, how: fc.constantFrom("keep", "decide", "deny") }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("silences"),
      alertname: fc.constantFrom(...NAMES),
      forMs: fc.constantFrom(20 * SECOND, 3 * MINUTE),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("expires"), target }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("passes") }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("restarts") }) },
);

const afterMs = fc.constantFrom(
  1,
  1,
  1,
  7 * SECOND,
  31 * SECOND,
  61 * SECOND,
  2 * MINUTE + 3,
  5 * MINUTE + 7,
  11 * MINUTE,
);

export const lifeMoves: fc.Arbitrary<LifeMove[]> = fc.array(
  fc
    .record({ action, afterMs, at: fc.nat({ max: 1 }), form: fc.constantFrom("v4", "v2", "v2") })
    .map(({ action: what, ...when }) => ({ ...what, ...when }) as LifeMove)
    // Leases that run out in one moment: which comes first is nobody's promise.
    .map((move) => (move.kind === "fires" && move.form === "v2" ? { ...move, alerts: move.alerts.slice(0, 1) } : move)),
  { minLength: 1, maxLength: 30, size: "max" },
);

function ruleOf(fn: ConvergenceFunction): fc.Arbitrary<ConvergenceRule> {
  return fc
    .record({
      by: fc.constantFrom<readonly string[]>([], ["host"]),
      where: fc.constantFrom<Record<string, string[]>>({}, {}, { alertname: ["a", "b", "c"] }),
      count: fc.constantFrom(1, 1, 2, 3),
      windowMs: fc.constantFrom(30 * SECOND, 2 * MINUTE),
      max: fc.constantFrom(null, 1, 3),
      summaryDelayMs: fc.constantFrom(0, 30 * SECOND),
    })
    .map(({ max, summaryDelayMs, ...rule }) => ({
      function: fn,
      ...rule,
      ...(fn === "collect" || fn === "collect_alarm" ? { summaryDelayMs } : {}),
      ...(max === null ? {} : { maxWindowMs: rule.windowMs * max }),
    }));
}

const brake: fc.Arbitrary<LifeLimits> = fc.record({
  actions: fc.integer({ min: 1, max: 6 }),
  failures: fc.integer({ min: 1, max: 3 }),
  perMs: fc.constant(10 * MINUTE),
});

function policy(name: string, rule: fc.Arbitrary<ConvergenceRule | null>): fc.Arbitrary<LifePolicy> {
  return fc.record({
    name: fc.constant(name),
    alerts: fc.constantFrom<readonly string[]>(NAMES, NAMES, ["a", "b"]),
    rule,
    retry: fc.record({ limit: fc.nat({ max: 2 }), delayMs: fc.constant(10 * SECOND), backoff: fc.constant(2) }),
    approvalMs: fc.constantFrom(45 * SECOND, 4 * MINUTE),
    quorum: fc.constantFrom(1, 1, 2),
    onResolved: fc.constantFrom("skip", "skip", "keep"),
    verifyMs: fc.constantFrom(null, null, 90 * SECOND),
    afterSilence: fc.constantFrom("decide", "decide", "skip"),
    again: fc.constantFrom(null, { afterMs: 40 * SECOND, limit: 2 }, { afterMs: 7 * MINUTE, limit: 1 }),
    isObserving: fc.constantFrom(false, false, false, true),
    limits: fc.option(brake, { freq: 1 }),
  });
}

const fileSilence: fc.Arbitrary<LifeSilence> = fc.record({
  alertname: fc.constantFrom(...NAMES),
  host: fc.constant("h1"),
  fromMs: fc.constantFrom(LIFE_START_MS, LIFE_START_MS + MINUTE),
  toMs: fc.constantFrom(LIFE_START_MS + 3 * MINUTE + 11, LIFE_START_MS + 9 * MINUTE + 13),
});

export function lifeSettings(fn: ConvergenceFunction): fc.Arbitrary<LifeSetting> {
  const second = fc.option(fc.constantFrom<ConvergenceFunction>("skip_when_exceed", "wait_when_proceed").chain(ruleOf));
  return fc.record({
    hasLeases: fc.boolean(),
    policies: fc.tuple(policy("p0", ruleOf(fn)), fc.option(policy("p1", second), { freq: 2 })).map(([first, other]) => {
      return other === null ? [first] : [first, other];
    }),
    silences: fc.array(fileSilence, { maxLength: 2 }),
    limits: fc.option(brake, { freq: 1 }),
  });
}
