/** Each checker finds a violation that is planted into a recording in which nothing is wrong. */
import { describe, expect, test } from "vitest";
import { alertOf, EngineWorld, MEMORY, policyOf, take } from "../support/engine-world.ts";
import { CHECKERS, violationsOf } from "./all-checkers.ts";
import { recordStore } from "./record-store.ts";
import type { Recording } from "./recording.ts";
import { storyOf } from "./story.ts";
import { type Evidence, evidenceOf, type Trail } from "./trails.ts";

/** What is planted: fields of the evidence that take the place of its own. */
type Change = (evidence: Evidence) => Partial<Evidence>;

/** Three alerts of one host, a second apart, and what an engine made of them. The first attempt of a policy that retries fails. */
async function recorded(policy: object): Promise<Recording> {
  const world = new EngineWorld(MEMORY);
  const commitOrder = new Map<string, number>();
  const engine = await world.engine([policyOf(null, policy)]);
  world.outcome = ({ attempt }) => ("retry" in policy && attempt === 1 ? "failed" : "done");
  const startedAtMs = world.clock.now();
  const requests: Recording["requests"][number][] = [];
  for (const name of ["a", "b", "c"]) {
    const ids = await take(engine, alertOf(name));
    await world.settle();
    requests.push({ ...ANSWERED, taken: ids.map((id) => ({ id, outcome: "created" })) });
    for (let half = 0; half < 2; half += 1) await world.elapse(500);
  }
  for (let half = 0; half < 40; half += 1) await world.elapse(500);
  const store = await world.outside();
  const recording = await recordStore(store);
  let order = 0;
  for (const { id, version } of recording.instances.toReversed())
    for (let at = 1; at <= version; at += 1) {
      order += 1;
      commitOrder.set(`${id} ${at}`, order);
    }
  return {
    ...recording,
    requests,
    deliveries: world.attempts.map(({ instance, attempt, idempotencyKey, startedAtMs: atMs }) => {
      return { atMs, order: 1_000, instance, attempt, key: idempotencyKey, process: "engine" };
    }),
    commitOrder,
    pauses: [],
    faultLines: [],
    looksForTimers: null,
    leftovers: null,
    startedAtMs,
    endedAtMs: world.clock.now(),
    promises: {
      lateMsMax: 500,
      skewMsMax: 0,
      isDeliveredOnce: true,
      answeredWithinMs: 1_000,
      faultLinesPerSecondMax: 1,
      isAtRest: true,
      atLeast: { instances: 3, attempts: 1 },
    },
  };
}

const ANSWERED = {
  atMs: 0,
  answeredAtMs: 10,
  answeredOrder: 1_000,
  resolved: [],
  refused: [],
  error: null,
};

const PLAIN = {};
const RETRIED = { retry: { limit: 1, delay: "2s" } };
const LIMITED = { converge: { function: "skip_when_exceed", by: ["host"], count: 1, window: "5m" } };
const COLLECTED = { converge: { function: "collect", by: ["host"], count: 1, window: "10s" } };
const WAITED = { converge: { function: "wait_when_proceed", by: ["host"], count: 1, window: "5m" } };

const first = <Item>(items: readonly Item[]): Item => items[0] as Item;

/** Every trail with its steps changed. */
function withSteps(change: (steps: Trail["steps"]) => Trail["steps"]): Change {
  return ({ trails }) => ({ trails: trails.map((trail) => ({ ...trail, steps: change(trail.steps) })) });
}

type Entry = Trail["steps"][number]["entry"];

/** Every entry of an event changed. */
function withEntries(event: Entry["event"]["type"], change: (entry: Entry) => object): Change {
  return withSteps((steps) =>
    steps.map((step) =>
      step.entry.event.type === event ? { ...step, entry: { ...step.entry, ...change(step.entry) } } : step,
    ),
  );
}

/** The steps of an event stand twice. */
function twice(event: Entry["event"]["type"]): Change {
  return withSteps((steps) => steps.flatMap((step) => (step.entry.event.type === event ? [step, step] : [step])));
}

function withLines(change: (lines: readonly string[]) => readonly string[]): Change {
  return ({ instances }) => ({ instances: instances.map((one) => ({ ...one, lines: change(one.lines) })) });
}

/** All decisions of a limited group see that nobody has run, and run. */
const asTheFirst = withEntries("start", ({ observation }) => ({
  verdict: "run",
  observation: observation === null ? null : { ...observation, isNew: false, executed: 0 },
}));

/** Everything runs on, and the first one is a waiter. */
const waitingAlone: Change = ({ trails }) => ({
  trails: trails.map((trail) => {
    const last = trail.steps.at(-1);
    if (last === undefined) return trail;
    const snapshot = {
      ...last.snapshot,
      state: trail === trails[0] ? "Proceeding" : "Success",
    } as typeof last.snapshot;
    return { ...trail, steps: [{ ...last, snapshot }] };
  }),
});

const refusedAll: Change = ({ trails }) => ({
  requests: trails.map(({ birth }) => {
    const fingerprint = birth?.alert?.fingerprint ?? "";
    return { ...ANSWERED, taken: [], refused: [{ fingerprint, code: "BECALM_CONFLICT", isUnknown: false }] };
  }),
});

const secondOfOneEpisode: Change = ({ trails }) => ({
  trails: [...trails, { ...first(trails), stored: { ...first(trails).stored, id: "other" } }],
});

const running = withSteps((steps) =>
  steps.map((step) => ({ ...step, snapshot: { ...step.snapshot, state: "Processing.running" as const } })),
);

type Planted = readonly [checker: string, what: string, policy: object, change: Change];

const PLANTED: readonly Planted[] = [
  [
    "wholeChain",
    "a word that was changed",
    PLAIN,
    withLines((lines) => lines.map((line) => line.replace("succeeded", "denied"))),
  ],
  [
    "wholeChain",
    "a version that is left out",
    PLAIN,
    ({ instances }) => ({ instances: instances.map((one) => ({ ...one, version: 7 })) }),
  ],
  [
    "replayed",
    "a step that leads elsewhere",
    PLAIN,
    withSteps((steps) => steps.map((step) => ({ ...step, isEqual: false }))),
  ],
  [
    "acknowledged",
    "an acknowledged alert without an instance",
    PLAIN,
    ({ instances }) => ({ instances: instances.slice(1) }),
  ],
  [
    "acknowledged",
    "an answer before the commit",
    PLAIN,
    ({ requests }) => ({ requests: requests.map((one) => ({ ...one, answeredOrder: 0 })) }),
  ],
  [
    "acknowledged",
    "two answers that say created",
    PLAIN,
    ({ requests }) => ({ requests: [...requests, first(requests)] }),
  ],
  ["acknowledged", "a refused alert that left an instance", PLAIN, refusedAll],
  ["acknowledged", "two instances of one episode", PLAIN, secondOfOneEpisode],
  ["acceptedOnce", "a result that is accepted twice", PLAIN, twice("effect.done")],
  [
    "acceptedOnce",
    "an attempt under two keys",
    PLAIN,
    ({ deliveries }) => ({ deliveries: [...deliveries, { ...first(deliveries), key: "other" }] }),
  ],
  [
    "acceptedOnce",
    "an attempt that is delivered twice although nobody died",
    PLAIN,
    ({ deliveries }) => ({ deliveries: [...deliveries, first(deliveries)] }),
  ],
  [
    "acceptedOnce",
    "an attempt that was never begun",
    PLAIN,
    ({ deliveries }) => ({ deliveries: [{ ...first(deliveries), attempt: 9 }] }),
  ],
  [
    "acceptedOnce",
    "an attempt that is delivered before its commit",
    PLAIN,
    ({ deliveries }) => ({ deliveries: deliveries.map((one) => ({ ...one, order: -1 })) }),
  ],
  [
    "timersInTime",
    "a timer that fires early",
    RETRIED,
    withEntries("timer.elapsed", ({ atMs }) => ({ atMs: atMs - 1_900 })),
  ],
  [
    "timersInTime",
    "a timer that fires late",
    RETRIED,
    withEntries("timer.elapsed", ({ atMs }) => ({ atMs: atMs + 1_900 })),
  ],
  [
    "timersInTime",
    "a timer that nobody looked for when it was due",
    RETRIED,
    (evidence) => ({
      ...withEntries("timer.elapsed", ({ atMs }) => ({ atMs: atMs + 100 }))(evidence),
      looksForTimers: [],
    }),
  ],
  ["timersInTime", "a timer that fires twice", RETRIED, twice("timer.elapsed")],
  ["limitsKept", "two that saw the same number of peers", LIMITED, asTheFirst],
  [
    "limitsKept",
    "a group that opens once more",
    LIMITED,
    withEntries("start", ({ observation }) => ({
      observation: observation === null ? null : { ...observation, isNew: true },
    })),
  ],
  ["limitsKept", "two beside each other under a mutex", WAITED, running],
  ["waitersReleased", "a waiter whose peers have ended", WAITED, waitingAlone],
  [
    "summariesSent",
    "an opener without its summary",
    COLLECTED,
    ({ trails }) => ({ trails: trails.filter(({ birth }) => birth?.kind === "action") }),
  ],
  ["nothingStuck", "a timer that is expected and not armed", RETRIED, withSteps((steps) => steps.slice(0, 2))],
  ["nothingStuck", "an attempt that is in no outbox", PLAIN, withSteps((steps) => steps.slice(0, 1))],
  ["nothingStuck", "one that has not come to rest", WAITED, waitingAlone],
  [
    "nothingOutlives",
    "a timer that nobody expects",
    PLAIN,
    ({ instances }) => ({
      timers: [{ lane: "work", owner: first(instances).id, name: "retry", arm: 7, partition: 0, dueAtMs: 1 }],
    }),
  ],
  [
    "nothingOutlives",
    "an effect of an attempt that is over",
    PLAIN,
    ({ instances }) => ({ effects: [{ id: "e", instanceId: first(instances).id, attempt: 1 }] }),
  ],
  ["nothingOutlives", "a row that was left behind", PLAIN, () => ({ leftovers: ["episode x"] })],
  [
    "pausesHold",
    "an attempt that begins while everything is paused",
    PLAIN,
    () => ({ pauses: [{ fromOrder: 0, untilOrder: null }] }),
  ],
  [
    "answeredInTime",
    "a call that takes too long",
    PLAIN,
    ({ requests }) => ({ requests: [{ ...first(requests), answeredAtMs: 5_000 }] }),
  ],
  [
    "fewLines",
    "a flood of lines",
    PLAIN,
    () => ({ faultLines: Array.from({ length: 1_000 }, () => ({ atMs: 0, text: "again" })) }),
  ],
  ["enoughHappened", "a run in which nothing happened", PLAIN, () => ({ instances: [], deliveries: [] })],
  [
    "auditorFinds",
    "a trail that does not lead to its checkpoint",
    PLAIN,
    ({ instances }) => ({ instances: instances.map((one) => ({ ...one, value: `x${one.value}` })) }),
  ],
];

describe("a recording", () => {
  test.each([
    ["plain", PLAIN],
    ["retried", RETRIED],
    ["limited", LIMITED],
    ["collected", COLLECTED],
    ["waited", WAITED],
  ])("in which nothing is wrong (%s) has no violation, and tells its story", async (_, policy) => {
    const recording = await recorded(policy);
    expect(violationsOf(recording)).toEqual([]);
    expect(storyOf(recording).join("\n")).toContain("attempt 1");
  });

  test.each(PLANTED)("%s finds %s", async (...[name, , policy, change]) => {
    const evidence = evidenceOf(await recorded(policy));
    const checker = CHECKERS[name] as (evidence: Evidence) => unknown[];
    expect(checker(evidence)).toEqual([]);
    expect(checker({ ...evidence, ...change(evidence) })).not.toEqual([]);
  });

  test("every checker has a violation that it finds", () => {
    const planted = new Set(PLANTED.map(([checker]) => checker));
    expect(Object.keys(CHECKERS).filter((name) => !planted.has(name))).toEqual([]);
  });
});
