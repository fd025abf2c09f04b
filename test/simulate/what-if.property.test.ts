/** Random storms with everything in them: what is said of the rules in force must be what the live engine decided. */
import fc from "fast-check";
import { describe, expect, onTestFinished, test } from "vitest";
import { type PolicyFileDocument, policySetFrom } from "../../src/formats/policy-file.ts";
import { CONVERGENCE_FUNCTIONS } from "../../src/model/convergence-rule.ts";
import { BecalmError } from "../../src/model/errors.ts";
import { lmdbStore } from "../../src/stores/lmdb/lmdb-store.ts";
import { temporaryFolder } from "../contract/lmdb-world.ts";
import {
  alertOf,
  EngineWorld,
  everything,
  MEMORY,
  PARTITION_COUNT,
  policyOf,
  type RunningEngine,
  redisKind,
  SECOND_MS,
  type StoreKind,
} from "../support/engine-world.ts";
import { outcomesOf, played, recordingOf } from "../support/recorded-world.ts";
import { useRedis } from "../support/redis-server.ts";

const server = useRedis();
const WINDOW_MS = 20 * SECOND_MS;
const HOSTS = ["db-1", "db-2"] as const;
const WHO = { by: "ada", why: "random" };

type Step =
  | { readonly do: "fire"; readonly names: readonly number[]; readonly host: number }
  | { readonly do: "resolve"; readonly name: number; readonly host: number }
  | { readonly do: "end attempt"; readonly which: number; readonly how: "done" | "failed" }
  | {
      readonly do: "answer";
      readonly which: number;
      readonly how: "approval.granted" | "approval.denied" | "cancel" | "end";
      readonly by: string;
    }
  | { readonly do: "silence"; readonly host: number; readonly seconds: number }
  | { readonly do: "expire" }
  | { readonly do: "pause" }
  | { readonly do: "resume"; readonly held: "keep" | "decide" | "deny" }
  | { readonly do: "wait"; readonly ms: number };

const name = fc.nat(11);
const host = fc.nat(HOSTS.length - 1);
const which = fc.nat(9);
const one = <T extends Step["do"]>(what: T) => fc.constant(what);
const steps: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: one("fire"), names: fc.array(name, { minLength: 1, maxLength: 6 }), host }) },
  { weight: 2, arbitrary: fc.record({ do: one("resolve"), name, host }) },
  { weight: 5, arbitrary: fc.record({ do: one("end attempt"), which, how: fc.constantFrom("done", "failed") }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: one("answer"),
      which,
      how: fc.constantFrom("approval.granted", "approval.granted", "approval.denied", "cancel", "end"),
      by: fc.constantFrom("ada", "bob"),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: one("silence"), host, seconds: fc.constantFrom(3, 60) }) },
  { weight: 1, arbitrary: fc.record({ do: one("expire") }) },
  { weight: 1, arbitrary: fc.record({ do: one("pause") }) },
  { weight: 1, arbitrary: fc.record({ do: one("resume"), held: fc.constantFrom("keep", "decide", "deny") }) },
  { weight: 4, arbitrary: fc.record({ do: one("wait"), ms: fc.constantFrom(1, 500, 2_500, 6_000, WINDOW_MS + 1) }) },
) as fc.Arbitrary<Step>;

async function take(world: EngineWorld, engine: RunningEngine, step: Step): Promise<void> {
  const hostOf = (index: number) => ({ host: HOSTS[index] as string });
  switch (step.do) {
    case "fire":
      await engine.ingest(
        step.names.map((number) => alertOf(`a${number}`, { ...hostOf(step.host), startsAt: world.clock.now() })),
      );
      break;
    case "resolve":
      await engine.ingest([alertOf(`a${step.name}`, { ...hostOf(step.host), status: "resolved" })]);
      break;
    case "end attempt": {
      const attempt = world.underway[step.which % Math.max(world.underway.length, 1)];
      if (step.how === "done") attempt?.succeed();
      else attempt?.fail();
      break;
    }
    case "answer": {
      const all = (await everything(engine)).filter(({ kind }) => kind === "action");
      // Most of what people answer waits for them.
      const waiting = all.filter(({ state }) => state === "Waiting");
      const some = waiting.length > 0 && step.which % 4 > 0 ? waiting : all;
      const target = some[step.which % Math.max(some.length, 1)];
      if (target !== undefined)
        await unlessRefused(engine.get(target.id).send({ type: step.how, by: step.by, why: WHO.why }));
      break;
    }
    case "silence": {
      const match = `host="${HOSTS[step.host]}"`;
      await engine.silence({ match, toMs: world.clock.now() + step.seconds * SECOND_MS, ...WHO });
      break;
    }
    case "expire": {
      const active = (await engine.silences()).find(({ toMs }) => toMs > world.clock.now());
      if (active !== undefined) await engine.expireSilence(active.id);
      break;
    }
    case "pause":
      await unlessRefused(engine.pause(WHO));
      break;
    case "resume":
      await unlessRefused(engine.resume({ ...WHO, held: step.held }));
      break;
    case "wait":
      await pass(world, step.ms);
      break;
  }
  // No two things in one millisecond, but for the alerts of one request.
  await pass(world, 1);
}

/** As time passes for an engine that is up: it looks whenever it said that it would. */
async function pass(world: EngineWorld, ms: number): Promise<void> {
  const untilMs = world.clock.now() + ms;
  await world.elapse(0);
  while (world.clock.now() < untilMs) {
    const nextMs = Math.min(world.clock.nextDueAtMs ?? untilMs, untilMs);
    await world.elapse(Math.max(nextMs - world.clock.now(), 0));
  }
}

async function unlessRefused(act: Promise<unknown>): Promise<void> {
  await act.catch((error: unknown) => {
    const isRefused = error instanceof BecalmError && ["BECALM_EVENT_REFUSED", "BECALM_NOT_FOUND"].includes(error.code);
    if (!isRefused) throw error;
  });
}

const more = fc.record({
  retry: fc.constantFrom({ limit: 0 }, { limit: 1, delay: "3s" }, { limit: 2, delay: "1s", backoff: 2 }),
  verify: fc.option(fc.constant({ resolved_within: "5s" }), { nil: undefined }),
  again: fc.option(fc.constant({ after: "7s", limit: 2 }), { nil: undefined }),
  after_silence: fc.constantFrom("decide", "skip"),
  on_resolved: fc.constantFrom("skip", "keep"),
});

async function checkStorm(kind: StoreKind, policies: PolicyFileDocument, storm: readonly Step[]): Promise<void> {
  const world = new EngineWorld(kind);
  const engine = await world.engine(policies);
  for (const step of storm) await take(world, engine, step);
  const nowMs = world.clock.now();
  const recording = await recordingOf(await world.outside(), nowMs);
  const live = outcomesOf(recording.rows);
  // Brakes follow from the rules: as recorded they stop from their moment on, whoever of that moment came first.
  const asRecorded = hasBrakes(policies) ? null : await played(recording, { nowMs, partitions: PARTITION_COUNT });
  if (asRecorded !== null) expect(outcomesOf(asRecorded.rows)).toEqual(live);
  const set = policySetFrom(policies);
  const inForce = await played(recording, { nowMs, partitions: PARTITION_COUNT, set });
  expect(outcomesOf(inForce.rows)).toEqual(live);
  const { executed, skipped, waiting, groups, summaries } = inForce.summary;
  expect({ executed, skipped, waiting, groups, summaries }).toEqual(recording.totals());
  world.attempts.length = 0;
  engine.kill();
}

function hasBrakes(policies: PolicyFileDocument): boolean {
  return JSON.stringify(policies).includes('"limits"');
}

/**
 * What counts under a brake and no history says: who of one moment came first, and when exactly a person lifted a pause, which begins the counting anew.
 * So one alert comes at a time, and nobody answers.
 */
function underBrakes(step: Step): Step[] {
  return ["fire", "end attempt", "wait"].includes(step.do) ? [oneAtATime(step)] : [];
}

function oneAtATime(step: Step): Step {
  return step.do === "fire" ? { ...step, names: step.names.slice(0, 1) } : step;
}

/** Policies without the keys that are not given. */
function fileOf(policies: readonly object[], rest: object = {}): PolicyFileDocument {
  return JSON.parse(JSON.stringify({ policies, ...rest })) as PolicyFileDocument;
}

describe("the rules in force, played on what they recorded", () => {
  test.each(CONVERGENCE_FUNCTIONS)(
    "%s decides every instance as the live engine did, with retries, answers, silences, pauses and verify",
    async (fn) => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(steps, { minLength: 5, maxLength: 30 }),
          fc.constantFrom(1, 2, 3),
          more,
          (storm, count, rest) =>
            checkStorm(MEMORY, fileOf([policyOf({ function: fn, count, window: "20s" }, rest)]), storm),
        ),
        { numRuns: 15 },
      );
    },
  );

  test("decides every instance as the live engine did under several policies, with quorums", async () => {
    // Half of them hold what they skip for a person.
    const HOLDING = CONVERGENCE_FUNCTIONS.map(() => "defense" as const);
    const policy = fc.record({
      rule: fc.record({
        function: fc.constantFrom(...CONVERGENCE_FUNCTIONS, ...HOLDING),
        count: fc.constantFrom(1, 2, 3),
      }),
      more,
      quorum: fc.constantFrom(1, 2),
      match: fc.constantFrom([], [`host="${HOSTS[0]}"`], ['name=~"a[0-5]"']),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(policy, { minLength: 2, maxLength: 3 }),
        fc.array(steps, { minLength: 5, maxLength: 30 }),
        (policies, storm) => {
          const documents = policies.map(({ rule, more: rest, quorum, match }, index) =>
            policyOf({ ...rule, window: "20s" }, { ...rest, match, name: `policy-${index}`, approval: { quorum } }),
          );
          // Each group puts its own in order; of what groups say that contradict each other one is followed.
          return checkStorm(MEMORY, fileOf(documents), storm.map(oneAtATime));
        },
      ),
      { numRuns: 40 },
    );
  });

  test("brakes at the attempt at which the live engine's brakes engaged", async () => {
    const limits = fc.record({
      actions: fc.constantFrom(1, 3),
      per: fc.constant("10s"),
      failures: fc.constantFrom(1, 2),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.option(limits, { nil: undefined }), { minLength: 1, maxLength: 2 }),
        fc.option(limits, { nil: undefined }),
        fc.array(steps, { minLength: 5, maxLength: 40 }),
        (brakes, whole, storm) => {
          const match = (index: number) => (brakes.length === 1 ? [] : [`host="${HOSTS[index]}"`]);
          const documents = brakes.map((brake, index) =>
            policyOf(null, { name: `policy-${index}`, match: match(index), limits: brake }),
          );
          return checkStorm(MEMORY, fileOf(documents, { limits: whole }), storm.flatMap(underBrakes));
        },
      ),
      { numRuns: 40 },
    );
  });

  test("of two that waited and were held together, whoever was decided first afterwards came first", async () => {
    const storm: Step[] = [
      { do: "fire", names: [0, 1, 2], host: 0 },
      { do: "pause" },
      { do: "end attempt", which: 0, how: "done" },
      { do: "resume", held: "decide" },
      { do: "fire", names: [4], host: 0 },
      { do: "end attempt", which: 0, how: "done" },
      { do: "pause" },
    ];
    const policy = policyOf({ function: "wait_when_proceed", count: 1, window: "20s" }, { retry: { limit: 0 } });
    await checkStorm(MEMORY, fileOf([policy]), storm);
  });

  test("one pause is over before the next begins, also when nothing was decided between them", async () => {
    const storm: Step[] = [
      { do: "pause" },
      { do: "fire", names: [0], host: 0 },
      { do: "resume", held: "keep" },
      { do: "resolve", name: 0, host: 0 },
      { do: "pause" },
      { do: "fire", names: [0], host: 0 },
    ];
    const policy = policyOf({ function: "skip_when_success", count: 1, window: "20s" }, { retry: { limit: 0 } });
    await checkStorm(MEMORY, fileOf([policy]), storm);
  });

  test("a timer that was due and had not fired when a person acted has not fired before", async () => {
    const storm: Step[] = [
      { do: "answer", which: 0, how: "approval.granted", by: "ada" },
      { do: "fire", names: [0], host: 0 },
      { do: "wait", ms: 6_000 },
      { do: "wait", ms: 500 },
      { do: "resolve", name: 1, host: 0 },
      { do: "wait", ms: 500 },
      { do: "answer", which: 0, how: "end", by: "ada" },
      { do: "resolve", name: 0, host: 0 },
      { do: "wait", ms: WINDOW_MS + 1 },
    ];
    const policy = policyOf(
      { function: "trigger", count: 2, window: "20s" },
      { retry: { limit: 0 }, again: { after: "7s", limit: 2 } },
    );
    await checkStorm(MEMORY, fileOf([policy]), storm);
  });

  test("the end that nobody noticed of an alert whose instance had failed for good comes after it", async () => {
    const storm: Step[] = [
      { do: "fire", names: [0], host: 0 },
      { do: "end attempt", which: 0, how: "done" },
      { do: "wait", ms: WINDOW_MS + 1 },
      { do: "resolve", name: 0, host: 0 },
      { do: "fire", names: [0], host: 0 },
      { do: "end attempt", which: 0, how: "done" },
    ];
    const rest = { retry: { limit: 0 }, verify: { resolved_within: "5s" } };
    const policy = policyOf({ function: "skip_when_success", count: 1, window: "20s" }, rest);
    await checkStorm(MEMORY, fileOf([policy]), storm);
  });

  test("the end that nobody noticed of an alert that began again while its instance waited for a retry", async () => {
    const storm: Step[] = [
      { do: "fire", names: [0], host: 0 },
      { do: "resolve", name: 0, host: 0 },
      { do: "end attempt", which: 0, how: "failed" },
      { do: "wait", ms: 500 },
      { do: "fire", names: [0], host: 0 },
      { do: "wait", ms: 6_000 },
    ];
    const rest = { retry: { limit: 1, delay: "3s" }, verify: { resolved_within: "5s" } };
    for (const more of [[], [{ do: "end attempt", which: 0, how: "failed" } as const]]) {
      const policy = policyOf({ function: "skip_when_success", count: 1, window: "20s" }, rest);
      await checkStorm(MEMORY, fileOf([policy]), [...storm, ...more]);
    }
  });

  test("a timer that was due and had not fired when the alert ended has not fired before", async () => {
    const storm: Step[] = [
      { do: "silence", host: 1, seconds: 3 },
      { do: "wait", ms: 2_500 },
      { do: "fire", names: [1], host: 1 },
      { do: "wait", ms: 500 },
      { do: "resolve", name: 1, host: 1 },
      { do: "wait", ms: 2_500 },
    ];
    for (const waitMs of [1, 100, 200, 300, 400]) {
      const policy = policyOf({ function: "skip_when_success", count: 1, window: "20s" }, { retry: { limit: 0 } });
      await checkStorm(MEMORY, fileOf([policy]), [{ do: "wait", ms: waitMs }, ...storm]);
    }
  });

  test("two alerts of one moment of which the second found the first waiting for a person", async () => {
    const storm: Step[] = [
      { do: "fire", names: [0], host: 0 },
      { do: "end attempt", which: 0, how: "failed" },
      { do: "answer", which: 0, how: "end", by: "ada" },
      { do: "fire", names: [1, 2], host: 0 },
      { do: "answer", which: 4, how: "cancel", by: "ada" },
    ];
    const policy = policyOf({ function: "approve_when_failed", count: 1, window: "20s" }, { retry: { limit: 0 } });
    await checkStorm(MEMORY, fileOf([policy]), storm);
  });

  test("a retry that was due when the alert ended and had not fired when the record ends is not made", async () => {
    const storm: Step[] = [
      { do: "fire", names: [0], host: 0 },
      { do: "end attempt", which: 0, how: "failed" },
      { do: "wait", ms: 500 },
      { do: "expire" },
      { do: "wait", ms: 2_500 },
      { do: "resolve", name: 0, host: 0 },
      { do: "silence", host: 0, seconds: 3 },
      { do: "wait", ms: 1 },
    ];
    const retry = { limit: 1, delay: "3s" };
    const policy = policyOf({ function: "skip_when_success", count: 1, window: "20s" }, { retry });
    await checkStorm(MEMORY, fileOf([policy]), storm);
  });

  test("the end of an alert that one policy's instance found over, and another's would not have survived later", async () => {
    const storm: Step[] = [
      { do: "fire", names: [2], host: 0 },
      { do: "resolve", name: 2, host: 0 },
      { do: "end attempt", which: 0, how: "failed" },
      { do: "end attempt", which: 0, how: "done" },
    ];
    const again: Step[] = [
      { do: "wait", ms: 500 },
      { do: "fire", names: [2], host: 0 },
    ];
    const verify = { resolved_within: "5s" };
    const documents = [{ retry: { limit: 2, delay: "1s" } }, { retry: { limit: 0 } }].map((rest, index) =>
      policyOf(
        { function: "skip_when_success", count: 1, window: "20s" },
        { ...rest, verify, name: `policy-${index}` },
      ),
    );
    await checkStorm(MEMORY, fileOf(documents), storm);
    await checkStorm(MEMORY, fileOf(documents), [...storm, ...again]);
  });

  test("the end that nobody noticed of an alert that was silenced, and whose silence was ended early", async () => {
    const storm: Step[] = [
      { do: "silence", host: 1, seconds: 3 },
      { do: "fire", names: [1, 0], host: 1 },
      { do: "resolve", name: 0, host: 1 },
      { do: "expire" },
      { do: "fire", names: [0], host: 0 },
      { do: "fire", names: [0], host: 1 },
      { do: "wait", ms: 2_500 },
    ];
    const policy = policyOf({ function: "collect", count: 1, window: "20s" }, { retry: { limit: 0 } });
    await checkStorm(MEMORY, fileOf([policy]), storm);
  });

  test("the end of an alert whose held retry was skipped with it when the pause was lifted", async () => {
    const storm: Step[] = [
      { do: "fire", names: [0], host: 0 },
      { do: "end attempt", which: 0, how: "failed" },
      { do: "resolve", name: 0, host: 0 },
      { do: "pause" },
      { do: "fire", names: [1], host: 0 },
      { do: "wait", ms: 6_000 },
      { do: "resume", held: "decide" },
      { do: "wait", ms: 500 },
    ];
    const policy = policyOf(
      { function: "skip_when_exceed", count: 2, window: "20s" },
      { retry: { limit: 1, delay: "3s" } },
    );
    await checkStorm(MEMORY, fileOf([policy]), storm);
  });

  test("of two timers that fire together the one that was due first comes first, whatever each has to read", async () => {
    const storm: Step[] = [
      { do: "fire", names: [0, 1], host: 0 },
      { do: "wait", ms: 6_000 },
      { do: "end attempt", which: 0, how: "failed" },
      { do: "pause" },
      { do: "wait", ms: 6_000 },
    ];
    const rest = { retry: { limit: 2, delay: "1s", backoff: 2 }, again: { after: "7s", limit: 2 } };
    for (const waitMs of [1, 100, 200, 300, 400]) {
      const policy = policyOf({ function: "skip_when_proceed", count: 1, window: "20s" }, rest);
      await checkStorm(MEMORY, fileOf([policy]), [{ do: "wait", ms: waitMs }, ...storm]);
    }
  });

  test.each([["redis", () => redisKind(server)] as const, ["lmdb", lmdbKind] as const])(
    "decides every instance as the live engine did on %s, too",
    async (_, kind) => {
      const functions = fc.constantFrom(...CONVERGENCE_FUNCTIONS);
      await fc.assert(
        fc.asyncProperty(
          fc.array(steps, { minLength: 5, maxLength: 20 }),
          fc.record({ function: functions, count: fc.constantFrom(1, 2, 3) }),
          more,
          (storm, rule, rest) => checkStorm(kind(), fileOf([policyOf({ ...rule, window: "20s" }, rest)]), storm),
        ),
        { numRuns: 6 },
      );
    },
  );
});

/** One process writes to an lmdb store: all share it. */
function lmdbKind(): StoreKind {
  return {
    name: "lmdb",
    make: (clock) => {
      const store = lmdbStore(temporaryFolder(), { now: () => clock.now() });
      onTestFinished(() => store.close());
      return { connect: () => store, expireLeases: () => Promise.resolve() };
    },
  };
}
