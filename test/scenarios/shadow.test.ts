/** A candidate beside the policies in force: what it says must be what an engine under it would have decided, and nothing of it may act. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compose } from "../../src/compose.ts";
import { toReceipt } from "../../src/formats/alert-input.ts";
import type { PolicyDocument } from "../../src/formats/policy-file.ts";
import { policySetFrom } from "../../src/formats/policy-file.ts";
import { CONVERGENCE_FUNCTIONS } from "../../src/model/convergence-rule.ts";
import { compilePolicy } from "../../src/policy/policy-versions.ts";
import { recordedDifference } from "../../src/recorded-difference.ts";
import { InstanceReader } from "../../src/runtime/instance-reader.ts";
import { type Change, Comparison, type OutcomeRow } from "../../src/simulate/diff.ts";
import { UnmatchedAlerts } from "../../src/simulate/unmatched-alerts.ts";
import {
  alertOf,
  EngineWorld,
  MEMORY,
  overwrite,
  policyOf,
  SECOND_MS,
  START_MS,
  take,
} from "../support/engine-world.ts";
import { recordingOf } from "../support/recorded-world.ts";

const HOSTS = ["db-1", "db-2", "db-3"] as const;
const only = (host: string, policy: PolicyDocument): PolicyDocument => ({ ...policy, match: [`host="${host}"`] });

type Step =
  | { readonly do: "fire"; readonly name: number; readonly host: number }
  | { readonly do: "resolve"; readonly name: number; readonly host: number }
  | { readonly do: "wait"; readonly seconds: number };

const host = fc.nat(HOSTS.length - 1);
const steps: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant("fire" as const), name: fc.nat(7), host }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("resolve" as const), name: fc.nat(7), host }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("wait" as const), seconds: fc.constantFrom(1, 10, 21) }) },
);

/**
 * A world in which every attempt succeeds at once. One alert a request, for which of several equals of one moment came first no history says; and nothing
 * that is resolved fires again, for of an earlier activity none says how it ended.
 */
async function play(policies: PolicyDocument[], shadow: PolicyDocument[] | null, storm: Step[]) {
  const world = new EngineWorld(MEMORY);
  world.outcome = () => "done";
  const engine = await world.engine(policies, shadow === null ? {} : { shadow });
  const over = new Set<string>();
  const nameOf = (name: number, at: number) => `${name} ${at}`;
  for (const step of storm) {
    const alert = (name: number, at: number) => [`a${name}`, { host: HOSTS[at] as string }] as const;
    if (step.do === "fire" && !over.has(nameOf(step.name, step.host))) {
      const [name, at] = alert(step.name, step.host);
      await engine.ingest([alertOf(name, { ...at, startsAt: world.clock.now() })]);
    }
    if (step.do === "resolve") {
      over.add(nameOf(step.name, step.host));
      const [name, at] = alert(step.name, step.host);
      await engine.ingest([alertOf(name, { ...at, status: "resolved" })]);
    }
    for (let seconds = step.do === "wait" ? step.seconds : 0; seconds > 0; seconds -= 1) await world.elapse(SECOND_MS);
    await world.elapse(1);
  }
  const { rows } = await recordingOf(await world.outside(), world.clock.now());
  return { engine, rows };
}

function changesOf(was: readonly OutcomeRow[], now: readonly OutcomeRow[]): Change[] {
  const comparison = new Comparison();
  for (const row of was) comparison.addWas(row);
  return [...now.flatMap((row) => comparison.compare(row) ?? []), ...comparison.gone()];
}

const textsOf = (changes: readonly Change[]) =>
  changes
    .map(({ policy, alert, was, now }) => JSON.stringify([policy, alert?.fingerprint, alert?.startsAt, was, now]))
    .sort();

describe("a shadow", () => {
  test("says what an engine under its policies decides, also of alerts that no policy in force matches", async () => {
    const rule = fc.record({
      function: fc.constantFrom(...CONVERGENCE_FUNCTIONS.filter((name) => name !== "collect_alarm")),
      count: fc.constantFrom(1, 2, 3),
    });
    await fc.assert(
      fc.asyncProperty(
        rule,
        rule,
        fc.array(steps, { minLength: 6, maxLength: 20 }),
        async (inForce, candidate, storm) => {
          const now = [policyOf({ ...candidate, window: "20s" })];
          const was = [only(HOSTS[0], policyOf({ ...inForce, window: "20s" }))];
          const real = await play(was, now, storm);
          const other = await play(now, null, storm);
          const report = await real.engine.shadow({ limit: 1_000 });
          expect(textsOf(report.changes)).toEqual(textsOf(changesOf(real.rows, other.rows)));
          expect(report.summary.changed).toBe(report.changes.length);
        },
      ),
      { numRuns: 30 },
    );
  });

  test("that has the policies in force says that nothing goes another way, with failures, retries and attempts under way", async () => {
    const world = new EngineWorld(MEMORY);
    world.outcome = ({ attempt }) => (attempt === 1 ? "failed" : undefined);
    const policy = policyOf({ function: "skip_when_success", count: 1 }, { retry: { limit: 1, delay: "3s" } });
    const engine = await world.engine([policy], { shadow: [policy] });
    for (const name of ["a", "b", "c"]) {
      await engine.ingest([alertOf(name)]);
      await world.elapse(4 * SECOND_MS);
    }
    const { summary } = await engine.shadow();
    expect([summary.instances, summary.changed]).toEqual([3, 0]);
    expect(world.underway.length).toBeGreaterThan(0);
  });

  test("acts on nothing and writes nothing: neither an attempt nor a commit nor a record is its own", async () => {
    const world = new EngineWorld(MEMORY);
    world.outcome = () => "done";
    let commits = 0;
    const engine = await world.engine([only("db-1", policyOf(null))], {
      shadow: [policyOf(null, { name: "candidate" })],
      onOutcome: () => {
        commits += 1;
      },
    });
    await engine.ingest([alertOf("a"), alertOf("b", { host: "db-2" })]);
    await world.elapse(1);
    const before = [commits, world.attempts.length, JSON.stringify(await world.stored())];
    const { changes } = await engine.shadow();
    await world.elapse(SECOND_MS);
    const seen = changes.map(({ policy, was, now }) => `${policy}: ${was?.state} -> ${now?.state}`);
    expect(seen.sort()).toEqual([
      "act: Success -> undefined",
      "candidate: undefined -> Success",
      "candidate: undefined -> Success",
    ]);
    expect([commits, world.attempts.length, JSON.stringify(await world.stored())]).toEqual(before);
    expect(world.attempts.map(({ policy }) => policy)).toEqual(["act"]);
  });

  test("begins afresh when another candidate is given, and goes on when it is the same", async () => {
    const world = new EngineWorld(MEMORY);
    const [live, first, second] = ["live", "first", "second"].map((name) => policyOf(null, { name }));
    const engine = await world.engine([only("db-1", live as PolicyDocument)], { shadow: [first as PolicyDocument] });
    await engine.ingest([alertOf("b", { host: "db-2" })]);
    await world.elapse(SECOND_MS);
    await engine.reload([live as PolicyDocument], { shadow: [first as PolicyDocument] });
    expect(engine.status().shadow).toMatchObject({ since: new Date(START_MS).toISOString(), unmatched: 1 });
    await engine.reload([live as PolicyDocument], { shadow: [second as PolicyDocument] });
    expect(engine.status().shadow).toMatchObject({ since: new Date(START_MS + SECOND_MS).toISOString(), unmatched: 0 });
  });

  test("is refused at once when it has mistakes, by its name, and asked for where there is none", async () => {
    const world = new EngineWorld(MEMORY);
    const bad = [{ name: "x", match: [], action: { log: {} }, converge: { function: "nonsense" } }];
    await expect(world.engine([policyOf(null)], { shadow: bad as never })).rejects.toThrow(/shadow/);
    const engine = await world.engine([policyOf(null)]);
    await expect(engine.shadow()).rejects.toMatchObject({ code: "BECALM_NOT_FOUND" });
    expect(engine.status()).not.toHaveProperty("shadow");
  });

  test("answers at once to somebody who ends a question that waits for the one before it", async () => {
    const world = new EngineWorld(MEMORY);
    const engine = await world.engine([policyOf(null)], { shadow: [policyOf(null)] });
    await take(engine, ...Array.from({ length: 20 }, (_, index) => alertOf(`a${index}`)));
    const ended: string[] = [];
    const first = engine.shadow().then(() => ended.push("first"));
    const waiting = new AbortController();
    const second = engine.shadow({ signal: waiting.signal }).catch((reason: unknown) => ended.push(String(reason)));
    const third = engine.shadow().then(() => ended.push("third"));
    waiting.abort("no longer needed");
    await Promise.all([first, second, third]);
    expect(ended).toEqual(["no longer needed", "first", "third"]);
  });

  test("says how many instances it left out, also if one of the newest cannot be read", async () => {
    const world = new EngineWorld(MEMORY);
    const engine = await world.engine([policyOf(null)]);
    await take(engine, ...Array.from({ length: 300 }, (_, index) => alertOf(`a${index}`)));
    const newest = (await engine.list({ limit: 1 })).instances[0];
    await overwrite(world, { id: newest?.id ?? "" }, "garbage that is no checkpoint");
    const reader = new InstanceReader(await compose({ store: await world.outside() }));
    const nowMs = world.clock.now();
    const request = { set: policySetFrom([policyOf(null)]), fromMs: 0, nowMs, readCountMax: 10, limit: 0 };
    const { isCut, leftOut, summary } = await recordedDifference(reader, { ...request, between: () => {} });
    expect([isCut, leftOut + summary.instances]).toEqual([true, 300]);
  });

  test("remembers at most so many alerts that only it matches, forgets the oldest first, and counts them", () => {
    const [compiled] = policySetFrom([only("db-2", policyOf(null))]).policies.map((policy) => compilePolicy(policy));
    const matches = (labels: Readonly<Record<string, string>>) => compiled?.matches(labels) ?? false;
    const unmatched = new UnmatchedAlerts({ countMax: 3, bytesMax: 1_000_000 }, matches);
    const receive = (name: string, at: string) => {
      const receipt = toReceipt(alertOf(name, { host: at }), { receivedAtMs: START_MS });
      unmatched.take([receipt], [0], START_MS);
    };
    for (const name of ["a", "b", "c", "d", "d", "e"]) receive(name, "db-2");
    receive("f", "db-1");
    expect([unmatched.count, unmatched.forgotten]).toEqual([3, 2]);
    const small = new UnmatchedAlerts({ countMax: 100, bytesMax: 200 }, matches);
    const receipts = ["a", "b", "c", "d"].map((name) =>
      toReceipt(alertOf(name, { host: "db-2" }), { receivedAtMs: START_MS }),
    );
    small.take(receipts, [0, 1, 2, 3], START_MS);
    expect(small.count + small.forgotten).toBe(4);
    expect(small.forgotten).toBeGreaterThan(0);
  });
});
