import { createInspector, createWebSocketInspector } from "@statelyai/inspect";
import { describe, expect, onTestFinished, test } from "vitest";
import { createActor, type InspectionEvent } from "xstate";
import { actionInstanceMachine } from "../../machines/index.ts";
import type { Engine, History, InstanceEvent } from "../../src/index.ts";
import { replay } from "../../src/index.ts";
import { ManualClock } from "../support/manual-clock.ts";
import {
  alertOf,
  comparable,
  type Frame,
  logPolicy,
  receive,
  START_MS,
  startEngine,
  startRelay,
  startServer,
} from "./inspect-world.ts";

const LIVELY = {
  name: "lively",
  match: [],
  action: { handler: { name: "act" } },
  retry: { limit: 1, delay: "10s" },
};

/** The engine's time runs much faster than the test's. */
const WAIT = { timeoutMs: 24 * 3_600_000 };

/** An instance that fails, is tried again, succeeds, is closed and run anyway. */
async function live(engine: Engine, clock: ManualClock): Promise<History> {
  const { instances } = await engine.ingest([alertOf(1)]);
  const reference = engine.get(instances[0]?.id ?? "");
  await moving(
    clock,
    reference.waitFor(({ state }) => state === "Failed", WAIT),
  );
  await moving(
    clock,
    reference.waitFor(({ state }) => state === "Success", WAIT),
  );
  await reference.send({ type: "end", by: "ann", why: "done with it" });
  await reference.send({ type: "start", approved: true, by: "ann", why: "once more" });
  await moving(
    clock,
    reference.waitFor(({ state }) => state === "Success", WAIT),
  );
  return reference.history();
}

/** Lets the engine's time pass until the promise is settled. */
async function moving<T>(clock: ManualClock, promise: Promise<T>): Promise<T> {
  let isSettled = false;
  const settled = promise.finally(() => {
    isSettled = true;
  });
  while (!isSettled) {
    clock.advance(100);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return settled;
}

function failsFirst(): { act: () => Promise<{ freed: string }> } {
  let attempts = 0;
  return {
    act: async () => {
      attempts += 1;
      if (attempts === 1) throw new Error("no space left");
      return { freed: "3 GB" };
    },
  };
}

/** The same machine under the same events, as a live actor, through the package's own inspector and receiver. */
async function traced({ policy, entries }: History): Promise<readonly Frame[]> {
  const relay = await startRelay();
  const received = receive(relay.url);
  await relay.clientCount(1);
  const inspector = createWebSocketInspector({ url: relay.url });
  onTestFinished(() => inspector.stop());
  const input = { policy: inputOf(policy) };
  const actor = createActor(actionInstanceMachine, { input, inspect: inspector.inspect });
  await received.count(1);
  actor.start();
  await received.count(3);
  for (const [index, { event }] of entries.entries()) {
    actor.send(event as InstanceEvent);
    await received.count(5 + 2 * index);
  }
  return received.frames;
}

function inputOf(policy: History["policy"]) {
  return {
    function: null,
    retry: policy.retry,
    approvalTimeoutMs: policy.approval.timeoutMs,
    waitLimitMs: 600_000,
    keepOnResolved: false,
    verifyMs: null,
    again: null,
    isSilenceFinal: false,
  };
}

async function world(inspect: Parameters<typeof startEngine>[1]["inspect"]) {
  const clock = new ManualClock(START_MS);
  const engine = await startEngine([LIVELY], {
    clock,
    handlers: failsFirst(),
    ...(inspect === undefined ? {} : { inspect }),
  });
  return { clock, engine };
}

describe("the frames of an instance", () => {
  test("are those that the package's inspector sends for an actor that takes the same events, but for ids and times", async () => {
    const server = await startServer();
    const received = receive(server.socketUrl);
    const { clock, engine } = await world(server);
    await new Promise<void>((resolve) => server.onFirstViewer(resolve));
    const history = await live(engine, clock);
    const expected = await traced(history);
    expect(expected.map(({ type }) => type).filter((type) => type === "@xstate.snapshot")).toHaveLength(
      1 + history.entries.length,
    );
    await received.count(expected.length);
    expect(comparable(received.frames)).toEqual(comparable(expected));
    expect(Object.keys(received.frames[0] ?? {}).sort()).toEqual(Object.keys(expected[0] ?? {}).sort());
  });

  test("carry the instance's id, the times of its steps, and texts where the protocol has texts", async () => {
    const server = await startServer();
    const received = receive(server.socketUrl);
    const { clock, engine } = await world(server);
    const history = await live(engine, clock);
    await received.until(
      "the last step",
      (frames) => frames.at(-1)?.createdAt === String(history.entries.at(-1)?.atMs),
    );
    for (const frame of received.frames) {
      expect(frame).toMatchObject({
        _version: "0.7.2",
        id: null,
        sessionId: history.instance,
        rootId: history.instance,
      });
      expect(frame.createdAt).toMatch(/^\d+$/);
    }
  });

  test("are the same from a replayed history", async () => {
    const { clock, engine } = await world(undefined);
    const history = await live(engine, clock);
    const server = await startServer();
    const received = receive(server.socketUrl);
    await new Promise<void>((resolve) => server.onFirstViewer(resolve));
    replay(history, { inspect: server });
    const expected = await traced(history);
    await received.count(expected.length);
    expect(comparable(received.frames)).toEqual(comparable(expected));
  });
});

describe("an inspection observer of XState", () => {
  test.each(["function", "observer"])("given as a %s sees what it would see of an actor", async (kind) => {
    const events: InspectionEvent[] = [];
    const next = (event: InspectionEvent) => void events.push(event);
    const { clock, engine } = await world(kind === "function" ? next : { next });
    const history = await live(engine, clock);
    const actorEvents: InspectionEvent[] = [];
    const actor = createActor(actionInstanceMachine, {
      input: { policy: inputOf(history.policy) },
      inspect: (event) => void (/@xstate\.(actor|event|snapshot)/.test(event.type) && actorEvents.push(event)),
    }).start();
    for (const { event } of history.entries) actor.send(event as InstanceEvent);
    expect(events.map(({ type }) => type)).toEqual(actorEvents.map(({ type }) => type));
    const last = events.at(-1);
    expect(last?.type === "@xstate.snapshot" && JSON.parse(JSON.stringify(last.snapshot))).toEqual(
      JSON.parse(JSON.stringify(actor.getSnapshot())),
    );
    expect(last?.actorRef.getSnapshot()).toMatchObject({ value: "Success" });
    expect(new Set(events.map(({ actorRef }) => actorRef)).size).toBe(1);
    expect(last?.actorRef.sessionId).toBe(history.instance);
  });

  test("can be the package's own, of which the frames are the same as ours", async () => {
    const sent: Frame[] = [];
    const inspector = createInspector({ send: (frame) => void sent.push(JSON.parse(JSON.stringify(frame)) as Frame) });
    const { clock, engine } = await world(inspector.inspect);
    const history = await live(engine, clock);
    const expected = await traced(history);
    while (sent.length < expected.length) await new Promise((resolve) => setImmediate(resolve));
    // The package reads an actor's snapshot when it comes to it, which may be some steps later.
    const steps = (frames: readonly Frame[]) => comparable(frames).filter(({ type }) => type !== "@xstate.actor");
    expect(steps(sent)).toEqual(steps(expected));
  });

  test("that throws disturbs no step, and the error is logged", async () => {
    const errors: string[] = [];
    const logger = {
      debug: () => {},
      info: () => {},
      warn: () => {},
      error: (_: object, text: string) => void errors.push(text),
    };
    const inspect = () => {
      throw new Error("mine");
    };
    const engine = await startEngine([logPolicy()], { inspect, logger });
    const { instances } = await engine.ingest([alertOf(1)]);
    await engine.get(instances[0]?.id ?? "").waitFor(({ state }) => state === "Success");
    expect(errors[0]).toBe("an inspection observer failed: mine");
  });

  test("sees every step of a replayed history, and what it throws reaches the caller", async () => {
    const { clock, engine } = await world(undefined);
    const history = await live(engine, clock);
    const types: string[] = [];
    replay(history, { inspect: ({ type }) => void types.push(type) });
    expect(types.filter((type) => type === "@xstate.snapshot")).toHaveLength(1 + history.entries.length);
    const refuse = () => {
      throw new Error("mine");
    };
    expect(() => replay(history, { inspect: refuse })).toThrow("mine");
  });
});

describe("groups", () => {
  test("are the parents of their instances, with a chart of their own", async () => {
    const server = await startServer();
    const received = receive(server.socketUrl);
    await new Promise<void>((resolve) => server.onFirstViewer(resolve));
    const rule = { function: "trigger", by: ["alertname"], count: 1, window: "5m" };
    const engine = await startEngine([logPolicy({ converge: rule })], { inspect: server });
    await engine.ingest([alertOf(1), alertOf(2)]);
    await received.until("a group that is at rest", (frames) =>
      frames.some(({ sessionId, type }) => sessionId.startsWith("log:") && type === "@xstate.snapshot"),
    );
    const group = received.frames.find(({ name }) => name === "convergence-group") as Frame;
    expect(JSON.parse(group["definition"] as string)).toMatchObject({
      id: "convergence-group",
      states: { Open: {}, Lingering: {} },
    });
    const instances = received.frames.filter(
      ({ type, name }) => type === "@xstate.actor" && name === "action-instance",
    );
    expect(instances).toHaveLength(2);
    for (const instance of instances)
      expect(instance).toMatchObject({ parentId: group.sessionId, rootId: group.sessionId });
    expect(received.frames.indexOf(group)).toBeLessThan(received.frames.indexOf(instances[0] as Frame));
  });
});
