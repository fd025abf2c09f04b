/** Turns that start from what the process knows instead of reading: they save reads, and nothing else is different. */
import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { type ConvergeDocument, createEngine, type Engine, memoryStore, type Store } from "../../src/index.ts";
import { verifyChain } from "../../src/instance/audit.ts";
import type { Commit, CommitOutcome } from "../../src/stores/store.ts";
import type { Clock } from "../../src/system/clock.ts";
import { systemClock } from "../../src/system/system-clock.ts";
import { type StoreCall, type StoreFate, watchStore } from "../support/watched-store.ts";

const THRESHOLD = 3;
const RULE: ConvergeDocument = { function: "skip_when_exceed", by: ["cluster"], count: THRESHOLD, window: "5m" };
/** More than a commit holds. */
const MANY = 700;

const alertOf = (number: number) => ({
  labels: { alertname: "Down", cluster: "core", host: `h-${number}` },
  startsAt: "2026-11-23T06:49:54Z",
});
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index);
const alerts = (from: number, count: number) => Array.from({ length: count }, (_, index) => alertOf(from + index));

/** A store that does what it is asked at once and answers long afterwards. */
function slowToAnswer(store: Store): Store {
  return new Proxy(store, {
    get: (target, name) => {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== "function") return member;
      const method = member.bind(target) as (...given: unknown[]) => unknown;
      if (name !== "commit" && name !== "load") return method;
      return async (given: unknown) => {
        const answer = await method(given);
        await turns(10);
        return answer;
      };
    },
  });
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await nextTurn();
}

async function engineOn(store: Store, fateOf?: (call: StoreCall) => StoreFate, given: object = RULE) {
  const rule = given as ConvergeDocument;
  const calls: StoreCall[] = [];
  const outcomesOfCommits: CommitOutcome[] = [];
  const watched = watchStore(store, {
    isFar: true,
    onOutcome: (outcome) => outcomesOfCommits.push(outcome),
    fateOf: (call) => {
      calls.push(call);
      return fateOf?.(call) ?? "pass";
    },
  });
  // Engines that do not hear of each other: whoever is given an alert decides it.
  Object.defineProperty(store, "processes", { value: null });
  const policies = [{ name: "act", match: [], action: { handler: { name: "act" } }, converge: rule }];
  const engine = createEngine({ policies, store: watched.store, handlers: { act: () => {} }, partitions: 1 });
  await engine.start();
  const counted = (method: StoreCall["method"]) => calls.filter((call) => call.method === method).length;
  const lost = () => outcomesOfCommits.filter((outcome) => outcome === "conflict").length;
  return { engine, counted, lost };
}

async function outcomes(engine: Engine, given: ReturnType<typeof alerts>): Promise<string[]> {
  const { instances, rejected } = await engine.ingest(given);
  expect(rejected).toEqual([]);
  return instances.map(({ outcome }) => outcome);
}

/** Which of the alerts ran, by number. `count`: how many were sent. */
async function executed(engine: Engine, count: number): Promise<number[]> {
  const ids = new Map((await engine.ingest(alerts(0, count))).instances.map(({ id, alert }) => [id, alert]));
  const { instances } = await engine.list({ limit: 1_000 });
  expect(instances).toHaveLength(count);
  const ran = instances.filter(({ attempt }) => attempt > 0).map(({ id }) => ids.get(id) as number);
  return ran.sort((left, right) => left - right);
}

describe("a group that this process knows", () => {
  test("is not read again for alerts that are new", async () => {
    const { engine, counted } = await engineOn(memoryStore());
    await engine.ingest(alerts(0, 10));
    const before = counted("load");
    for (let from = 10; from < 60; from += 10)
      expect(await outcomes(engine, alerts(from, 10))).not.toContain("duplicate");
    expect(counted("load")).toBe(before);
    await engine.stop();
  });

  test("is read when its alerts are sent again: then each turn costs a read and no lost commit", async () => {
    const { engine, counted } = await engineOn(memoryStore());
    await engine.ingest(alerts(0, 10));
    await engine.ingest(alerts(0, 10));
    const before = { load: counted("load"), commit: counted("commit") };
    for (let round = 0; round < 5; round += 1)
      expect(new Set(await outcomes(engine, alerts(0, 10)))).toEqual(new Set(["duplicate"]));
    expect({ load: counted("load"), commit: counted("commit") }).toEqual({ ...before, load: before.load + 5 });
    await engine.stop();
  });

  test("is decided on what is stored when another process has written since", async () => {
    const store = memoryStore();
    const [one, other] = [await engineOn(store), await engineOn(store)];
    await one.engine.ingest(alerts(0, 2));
    await other.engine.ingest(alerts(2, 10));
    expect(await outcomes(one.engine, alerts(5, 10))).toEqual([
      ...Array.from({ length: 7 }, () => "duplicate"),
      ...Array.from({ length: 3 }, () => "created"),
    ]);
    expect(await executed(one.engine, 15)).toEqual([0, 1, 2]);
    await one.engine.stop();
    await other.engine.stop();
  });
});

test("a group that another process writes too is read for some turns after a lost one", async () => {
  const store = memoryStore();
  // Each alert that is held changes the group.
  const rule: ConvergeDocument = { ...RULE, function: "defense" };
  const [one, other] = [await engineOn(store, undefined, rule), await engineOn(store, undefined, rule)];
  const lostBy = async (from: number) => {
    await other.engine.ingest(alerts(from, 1));
    const before = one.counted("commit");
    await one.engine.ingest(alerts(from + 1, 1));
    return one.counted("commit") - before - 1;
  };
  await one.engine.ingest(alerts(0, 2 * THRESHOLD + 1));
  // The attempts, and the request for an approval, end.
  await turns(200);
  const lost: number[] = [];
  for (let from = 10; from < 30; from += 2) lost.push(await lostBy(from));
  expect(lost).toEqual([1, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
  await one.engine.stop();
  await other.engine.stop();
});

describe("a group of which nothing is known", () => {
  /** Of a group of its own. */
  const loner = (number: number) => ({
    ...alertOf(number),
    labels: { ...alertOf(number).labels, cluster: `c-${number}` },
  });
  /** What a request with an alert for each of these groups costs. */
  const costOf = async (
    { engine, counted, lost }: Awaited<ReturnType<typeof engineOn>>,
    numbers: readonly number[],
  ) => {
    const before = { loads: counted("load"), lost: lost() };
    const { instances } = await engine.ingest(numbers.map(loner));
    const [outcome, ...others] = new Set(instances.map((one) => one.outcome));
    expect(others).toEqual([]);
    return { loads: counted("load") - before.loads, lost: lost() - before.lost, outcome };
  };
  const collect = { ...RULE, function: "collect", count: 1 };

  test("is taken for new without reading, once 64 such groups have been new", async () => {
    const one = await engineOn(memoryStore(), undefined, collect);
    expect(await costOf(one, range(0, 64))).toEqual({ loads: 64, lost: 0, outcome: "created" });
    expect(await costOf(one, range(64, 70))).toEqual({ loads: 0, lost: 0, outcome: "created" });
    await one.engine.stop();
  });

  test("is decided on what is stored when there is one, and so are the next 64 of which nothing is known", async () => {
    const store = memoryStore();
    const [one, other] = [await engineOn(store, undefined, collect), await engineOn(store, undefined, collect)];
    await costOf(one, range(0, 64));
    await costOf(other, range(100, 101));
    expect(await costOf(one, [100])).toEqual({ loads: 1, lost: 1, outcome: "duplicate" });
    expect(await costOf(one, range(200, 264))).toEqual({ loads: 64, lost: 0, outcome: "created" });
    expect(await costOf(one, [264])).toEqual({ loads: 0, lost: 0, outcome: "created" });
    await one.engine.stop();
    await other.engine.stop();
  });

  test("is read after a restart, so that alerts that are sent again lose no commits", async () => {
    const store = memoryStore();
    const one = await engineOn(store, undefined, collect);
    await costOf(one, range(0, 100));
    await one.engine.stop();
    const next = await engineOn(store, undefined, collect);
    expect(await costOf(next, range(0, 100))).toEqual({ loads: 100, lost: 0, outcome: "duplicate" });
    await next.engine.stop();
  });

  test("but that it has expired is not new: its alerts are sent again and lose no commits", async () => {
    let aheadMs = 0;
    const store = memoryStore({ now: () => Date.now() + aheadMs });
    const one = await engineOn(store);
    await costOf(one, range(0, 200));
    await one.engine.stop();
    aheadMs = 30 * 24 * 3_600_000;
    const next = await engineOn(store);
    for (let from = 0; from < 200; from += 50)
      expect(await costOf(next, range(from, from + 50))).toEqual({ loads: 50, lost: 0, outcome: "duplicate" });
    await next.engine.stop();
  });
});

describe("a full batch behind another one of its group", () => {
  const resolved = (number: number) => ({ ...alertOf(number), status: "resolved" as const });

  test("waits while that one is still being read: what it resolves is there", async () => {
    let end = () => {};
    const rule: ConvergeDocument = { ...RULE, function: "skip_when_success", count: 1 };
    const policies = [{ name: "act", match: [], action: { handler: { name: "act" } }, converge: rule }];
    const act = () => new Promise<void>((resolve) => (end = resolve));
    const engine = createEngine({ policies, store: slowToAnswer(memoryStore()), handlers: { act }, partitions: 1 });
    await engine.start();
    await engine.ingest([alertOf(0)]);
    await turns(40);
    const firing = engine.ingest(range(1, 193).map(alertOf));
    await turns(4);
    const ended = await engine.ingest(range(1, 193).map(resolved));
    expect(new Set(ended.instances.map(({ outcome }) => outcome))).toEqual(new Set(["resolved"]));
    end();
    await firing;
    await engine.stop();
  });

  test("waits when it has to be read and that one guessed wrong: what it resolves is there", async () => {
    const { engine } = await engineOn(slowToAnswer(memoryStore()), undefined, {
      ...RULE,
      function: "defense",
      count: 1,
    });
    await engine.ingest([alertOf(0)]);
    await turns(60);
    await engine.ingest([alertOf(1_000)]);
    const given = [alertOf(1_000), ...range(1, 192).map(alertOf), ...range(1, 192).map(resolved), resolved(0)];
    const { instances } = await engine.ingest(given);
    expect(instances.filter(({ outcome }) => outcome === "resolved")).toHaveLength(191);
    expect((await engine.list({ state: "Waiting" })).instances.map(({ id }) => id)).toEqual([instances[0]?.id]);
    await engine.stop();
  });
});

test("a group that was lost and made again by another process up to the same version is not mistaken for the old one", async () => {
  let aheadMs = 0;
  const store = memoryStore({ now: () => Date.now() + aheadMs });
  const rule = { ...RULE, count: 4 };
  const [one, other] = [await engineOn(store, undefined, rule), await engineOn(store, undefined, rule)];
  const ranOn = async ({ engine }: typeof one, number: number) => {
    const id = (await engine.ingest([alertOf(number)])).instances[0]?.id as string;
    await engine.get(id).waitFor(({ state }) => state === "Success");
    return id;
  };
  await ranOn(one, 0);
  aheadMs = 30 * 24 * 3_600_000;
  const made = await ranOn(other, 1);
  await ranOn(one, 2);
  const { group } = await store.load({
    partition: 0,
    groupId: (await one.engine.get(made).snapshot()).group,
    instanceIds: [],
  });
  expect(group?.value).toContain(made);
  await one.engine.stop();
  await other.engine.stop();
});

test("the result of an attempt whose instance was lost and made again is decided on what is stored", async () => {
  let aheadMs = 0;
  const store = memoryStore({ now: () => Date.now() + aheadMs });
  const ends: (() => void)[] = [];
  const act = () => new Promise<void>((resolve) => void ends.push(resolve));
  const make = (name: string) => {
    const policies = [{ name: "act", match: [], action: { handler: { name } } }];
    return createEngine({ policies, store, handlers: { act }, partitions: 1 });
  };
  const [one, other] = [make("act"), make("act")];
  await one.start();
  const id = (await one.ingest([alertOf(0)])).instances[0]?.id as string;
  await turns(5);
  await store.remove(id, 1);
  aheadMs = 30 * 24 * 3_600_000;
  await turns(5);
  await other.ingest([{ ...alertOf(0), annotations: { made: "again" } }]);
  ends[0]?.();
  await one.get(id).waitFor(({ state }) => state === "Success");
  const head = (await store.load({ partition: 0, groupId: null, instanceIds: [id] })).instances
    .get(id)
    ?.value.split(" ")[0];
  expect(verifyChain((await store.history(id)) ?? [], head ?? "")).toBeNull();
  await one.stop();
  await other.stop();
});

test("times of a clock that counts fractions are stored whole, and can be read by the next process", async () => {
  let asked = 0;
  const now = () => {
    asked += 1;
    return Date.now() + (asked % 7) / 8;
  };
  const system = systemClock();
  const clock: Clock = { now, schedule: (delayMs, fn) => system.schedule(delayMs, fn) };
  const store = memoryStore();
  const policies = [{ name: "act", match: [], action: { handler: { name: "act" } }, converge: RULE }];
  const make = () => createEngine({ policies, store, clock, handlers: { act: () => {} }, partitions: 1 });
  const first = make();
  await first.start();
  for (const number of [0, 1]) {
    const { instances } = await first.ingest([alertOf(number)]);
    await first.get(instances[0]?.id as string).waitFor(({ state }) => state === "Success");
  }
  await first.stop();
  const second = make();
  expect((await second.ingest([alertOf(2)])).rejected).toEqual([]);
  await second.stop();
});

test("a group whose members take the lock is decided one batch after the other: none meets the lock of the one before", async () => {
  // Nobody executes, so the lock is taken for ever; with this count it has one slot.
  const { engine } = await engineOn(slowToAnswer(memoryStore()), undefined, { ...RULE, function: "collect_alarm" });
  await engine.ingest(alerts(0, MANY));
  await engine.ingest(alerts(MANY, MANY));
  const reasons: (string | null)[] = [];
  for (let cursor: string | undefined, isLast = false; !isLast; ) {
    const page = await engine.list({ limit: 1_000, ...(cursor === undefined ? {} : { cursor }) });
    reasons.push(...page.instances.map(({ reason }) => reason));
    cursor = page.next ?? undefined;
    isLast = page.next === null;
  }
  expect(reasons).toHaveLength(2 * MANY);
  expect(reasons).not.toContain("lock_busy");
  await engine.stop();
});

describe("more alerts of one group than a commit holds", () => {
  test("are decided in their order, with two commits under way", async () => {
    const follows: (string | null)[] = [];
    const watch = ({ method, argument }: StoreCall): StoreFate => {
      if (method === "commit") follows.push((argument as Commit).afterCommitId);
      return "pass";
    };
    // Each of its commits writes the group: it counts what goes into the summary.
    const { engine } = await engineOn(slowToAnswer(memoryStore()), watch, { ...RULE, function: "collect" });
    await engine.ingest(alerts(0, THRESHOLD));
    expect(new Set(await outcomes(engine, alerts(THRESHOLD, MANY - THRESHOLD)))).toEqual(new Set(["created"]));
    expect(follows.filter((commit) => commit !== null).length).toBeGreaterThan(1);
    expect(await executed(engine, MANY)).toEqual([0, 1, 2]);
    await engine.stop();
  });

  test.each([1, 2, 3])(
    "are decided in their order although commit %i of theirs loses to another writer",
    async (lost) => {
      let count = 0;
      const { engine } = await engineOn(memoryStore(), ({ method, argument }) => {
        if (method !== "commit" || (argument as Commit).settledEffectIds.length > 0) return "pass";
        count += 1;
        return count === lost ? { outcome: "conflict" } : "pass";
      });
      expect(await outcomes(engine, alerts(0, MANY))).toEqual(Array.from({ length: MANY }, () => "created"));
      expect(await executed(engine, MANY)).toEqual([0, 1, 2]);
      await engine.stop();
    },
  );

  test.each([1, 2, 3])(
    "are refused or decided as a whole batch when commit %i of theirs fails, and sent again each is there once",
    async (failing) => {
      let count = 0;
      const { engine } = await engineOn(memoryStore(), ({ method, argument }) => {
        if (method !== "commit" || (argument as Commit).settledEffectIds.length > 0) return "pass";
        count += 1;
        return count === failing ? "lose the reply" : "pass";
      });
      const { rejected } = await engine.ingest(alerts(0, MANY));
      expect(rejected.length).toBeGreaterThan(0);
      await engine.ingest(rejected.map(({ alert }) => alertOf(alert)));
      expect(await executed(engine, MANY)).toEqual([0, 1, 2]);
      await engine.stop();
    },
  );
});
