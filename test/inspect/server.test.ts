import { connect } from "node:net";
import { networkInterfaces } from "node:os";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { createMachine } from "xstate";
import { Pacer } from "../../src/inspect/pacer.ts";
import { definitionOf, type Frames, frames } from "../../src/inspect/protocol.ts";
import { REDACTED, redaction } from "../../src/inspect/redaction.ts";
import { BUFFER_BYTES_MAX, QUEUE_BYTES_MAX } from "../../src/inspect/viewer.ts";
import {
  alertOf,
  caughtUp,
  type Frame,
  logPolicy,
  receive,
  startEngine,
  startServer,
  statusOf,
} from "./inspect-world.ts";

/** The last state of each instance that a viewer was told of. */
function shown(received: readonly Frame[]): Map<string, unknown> {
  const states = new Map<string, unknown>();
  for (const { type, sessionId, snapshot } of received) {
    if (type !== "@xstate.event") states.set(sessionId, (snapshot as { value: unknown }).value);
  }
  return states;
}

async function ingest(engine: Awaited<ReturnType<typeof startEngine>>, count: number): Promise<void> {
  for (let from = 0; from < count; from += 100) {
    await engine.ingest(Array.from({ length: Math.min(100, count - from) }, (_, index) => alertOf(from + index)));
  }
}

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

function usedBytes(): number {
  collectGarbage();
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

describe("a viewer", () => {
  test("that comes late sees all 500 of 500 instances", async () => {
    const server = await startServer();
    const engine = await startEngine([logPolicy()], { inspect: server });
    await ingest(engine, 500);
    const received = receive(server.socketUrl);
    await received.count(500);
    expect(new Set(received.frames.map(({ sessionId }) => sessionId)).size).toBe(500);
    expect(received.frames.every(({ type }) => type === "@xstate.actor")).toBe(true);
  });

  test("sees every step of what happens after it came", async () => {
    const server = await startServer();
    const engine = await startEngine([logPolicy()], { inspect: server });
    await ingest(engine, 20);
    const received = receive(server.socketUrl);
    await received.count(20);
    const { instances } = await engine.ingest([alertOf(1_000)]);
    const id = instances[0]?.id;
    await received.until("its success", (all) =>
      all.some(({ sessionId, event }) => sessionId === id && (event as { type?: string })?.type === "effect.done"),
    );
    await caughtUp(server);
    const types = received.frames
      .filter(({ sessionId }) => sessionId === id)
      .map(({ type }) => type.slice("@xstate.".length));
    expect(types).toEqual(["actor", "event", "snapshot", "event", "snapshot", "event", "snapshot"]);
  });

  test("shows the final state of every instance after a storm that was too fast for it", async () => {
    const server = await startServer();
    const rule = { function: "skip_when_success", by: ["alertname"], count: 2, window: "5m" };
    const engine = await startEngine([logPolicy({ converge: rule })], { inspect: server });
    const received = receive(server.socketUrl);
    await new Promise<void>((resolve) => server.onFirstViewer(resolve));
    await ingest(engine, 10_000);
    await caughtUp(server);
    await received.until("all instances", (all) => all.length >= 10_000 && shown(all).size >= 10_001);
    const expected = new Map<string, string>();
    let cursor: string | null = null;
    do {
      const page: Awaited<ReturnType<typeof engine.list>> = await engine.list({
        limit: 1_000,
        ...(cursor === null ? {} : { cursor }),
      });
      for (const { id, state } of page.instances) expected.set(id, state);
      cursor = page.next;
    } while (cursor !== null);
    const differing = [...shown(received.frames)].filter(
      ([id, state]) => expected.has(id) && expected.get(id) !== state,
    );
    expect(expected.size).toBe(10_000);
    expect(differing).toEqual([]);
  });

  test("that stalls costs bounded memory, and is brought up to date when it goes on", async () => {
    const server = await startServer();
    const engine = await startEngine([logPolicy()], { inspect: server });
    const socket = new WebSocket(server.socketUrl);
    const COUNT = 12_000;
    const ended = new Set<string>();
    let toldAll: () => void = () => {};
    const all = new Promise<void>((resolve) => (toldAll = resolve));
    socket.on("message", (data) => {
      const { type, sessionId, snapshot } = JSON.parse((data as Buffer).toString()) as Frame;
      if (type === "@xstate.event") return;
      const { value } = snapshot as { value: unknown };
      if (value === "Success") ended.add(sessionId);
      if (ended.size === COUNT) toldAll();
    });
    await new Promise((resolve) => socket.once("open", resolve));
    await caughtUp(server);
    socket.pause();
    let mostBytes = 0;
    for (let round = 0; round < COUNT / 100; round += 1) {
      await engine.ingest(Array.from({ length: 100 }, (_, index) => alertOf(round * 100 + index)));
      mostBytes = Math.max(mostBytes, server.load.heldBytes);
    }
    // One slice of frames, or one page of checkpoints, may be handed over before the connection is looked at again.
    const MARGIN_BYTES = 3 * 1024 * 1024;
    expect(mostBytes).toBeGreaterThan(BUFFER_BYTES_MAX / 2);
    expect(mostBytes).toBeLessThan(QUEUE_BYTES_MAX + BUFFER_BYTES_MAX + MARGIN_BYTES);
    const stalledBytes = usedBytes();
    socket.resume();
    await all;
    socket.terminate();
    while (server.viewerCount > 0) await new Promise((resolve) => setImmediate(resolve));
    // What the process really holds for it: less than this, whatever the storm's size.
    expect(stalledBytes - usedBytes()).toBeLessThan(24 * 1024 * 1024);
  });
});

describe("access", () => {
  test("is refused to a page of another origin, and allowed to the own page, the inspector and tools", async () => {
    const server = await startServer({
      inspectorUrl: "https://stately.ai/inspect",
      origins: ["https://ops.example:8443"],
    });
    const at = (origin: string) => statusOf(server.socketUrl, { origin });
    expect(await at("https://evil.example")).toBe(403);
    expect(await at("http://127.0.0.1:1")).toBe(403);
    expect(await at("null")).toBe(403);
    expect(await at(`http://127.0.0.1:${server.port}`)).toBe(101);
    expect(await at(`http://localhost:${server.port}`)).toBe(101);
    expect(await at("https://stately.ai")).toBe(101);
    expect(await at("https://ops.example:8443")).toBe(101);
    expect(await statusOf(server.socketUrl)).toBe(101);
  });

  test("needs the token of this start, which is another one each time", async () => {
    const [server, other] = [await startServer(), await startServer()];
    const bare = `ws://127.0.0.1:${server.port}/`;
    const token = (url: string) => new URL(url).searchParams.get("token") as string;
    expect(token(server.url)).not.toBe(token(other.url));
    expect(token(server.url).length).toBeGreaterThanOrEqual(22);
    for (const query of ["", "?token=", `?token=${token(other.url)}`, `?token=${token(server.url)}x`]) {
      expect(await statusOf(`${bare}${query}`)).toBe(401);
      expect((await fetch(`http://127.0.0.1:${server.port}/${query}`)).status).toBe(401);
    }
    expect((await fetch(server.url)).status).toBe(200);
  });

  test("under a foreign host name is refused: a page may have made it point here", async () => {
    const server = await startServer();
    expect(await statusOf(server.socketUrl, { host: `evil.example:${server.port}` })).toBe(403);
    expect(await statusOf(server.socketUrl, { host: `localhost:${server.port}` })).toBe(101);
  });

  test("is possible on the loopback address only", async () => {
    const server = await startServer();
    const others = Object.values(networkInterfaces()).flatMap((all) => (all ?? []).filter(({ internal }) => !internal));
    for (const { address } of others) {
      const answer = await new Promise((resolve) => {
        const socket = connect({ host: address, port: server.port }, () => resolve("connected"));
        socket.on("error", () => resolve("refused"));
      });
      expect(answer).toBe("refused");
    }
    expect(new URL(server.url).hostname).toBe("127.0.0.1");
  });

  test("ends when the server closes, and a taken port is said to be taken", async () => {
    const server = await startServer();
    await expect(startServer({ port: server.port })).rejects.toMatchObject({
      code: "BECALM_ARGUMENT_INVALID",
      message: expect.stringContaining(String(server.port)),
    });
    await server.close();
    await expect(fetch(server.url)).rejects.toThrow();
  });
});

describe("a redacted field", () => {
  const SECRET = "hunter2-on-the-wire";

  test("of contexts and events is in no frame, and all else is", async () => {
    const server = await startServer({ redact: ["token", "result.body", "why"] });
    const result = { token: SECRET, body: SECRET, deep: [{ Token: SECRET }], status: 200 };
    const engine = await startEngine([logPolicy({ action: { handler: { name: "act" } } })], {
      inspect: server,
      handlers: { act: async () => result },
    });
    const texts: string[] = [];
    const socket = new WebSocket(`${server.socketUrl}&role=page`);
    socket.on("message", (data) => texts.push((data as Buffer).toString()));
    await new Promise((resolve) => socket.once("open", resolve));
    const { instances } = await engine.ingest([alertOf(1)]);
    const reference = engine.get(instances[0]?.id ?? "");
    await reference.waitFor(({ state }) => state === "Success");
    await reference.send({ type: "end", by: "ann", why: SECRET });
    while (!texts.some((text) => text.includes('"end"')))
      await new Promise((resolve) => socket.once("message", resolve));
    await caughtUp(server);
    socket.terminate();
    const all = texts.join("\n");
    expect(all).not.toContain(SECRET);
    expect(all).toContain(REDACTED);
    expect(all).toContain('"status":200');
  });

  test("is in no definition either, however deep it lies", () => {
    const machine = createMachine({
      id: "secretive",
      context: { token: SECRET, kept: "kept-1" },
      initial: "a",
      states: {
        a: {
          meta: { login: { token: SECRET } },
          initial: "b",
          states: { b: { initial: "c", states: { c: { meta: { token: SECRET } } } } },
        },
      },
    });
    expect(definitionOf(machine, redaction([]))).toContain(SECRET);
    const redacted = definitionOf(machine, redaction(["token"]));
    expect(redacted).not.toContain(SECRET);
    expect(redacted).toContain("kept-1");
    const written: Frames = frames(redaction(["token"]));
    const address = { machine, sessionId: "s", parentId: null };
    expect(written.actor(address, { state: "a", context: { token: SECRET } }, 0)).not.toContain(SECRET);
  });

  test.each([
    [
      "token",
      { token: 1, TOKEN: 1, inner: { token: 1 }, other: 2 },
      { token: REDACTED, TOKEN: REDACTED, inner: { token: REDACTED }, other: 2 },
    ],
    ["a.b", { a: { b: 1, c: 2 }, b: 3 }, { a: { b: REDACTED, c: 2 }, b: 3 }],
    ["list.*.b", { list: [{ b: 1 }, { c: 2 }] }, { list: [{ b: REDACTED }, { c: 2 }] }],
    ["context.b", { b: 1, a: { b: 2 } }, { b: REDACTED, a: { b: 2 } }],
    ["event.b", { b: 1 }, { b: 1 }],
  ])("named %s is what its path ends with", (field, value, expected) => {
    expect(redaction([field])("context", value)).toEqual(expected);
  });

  test("with an empty part is refused", async () => {
    await expect(startServer({ redact: ["a..b"] })).rejects.toMatchObject({ code: "BECALM_ARGUMENT_INVALID" });
  });
});

describe("the pace", () => {
  test("leaves the engine at least nineteen twentieths of the time while it works", async () => {
    let nowMs = 0;
    const pacer = new Pacer(() => nowMs);
    let watchedMs = 0;
    for (let round = 0; round < 15; round += 1) {
      pacer.noticeWork();
      const turn = pacer.turn();
      let isTurn = false;
      void turn.then(() => {
        isTurn = true;
      });
      while (!isTurn) {
        nowMs += 1;
        await new Promise((resolve) => setImmediate(resolve));
      }
      pacer.slice(() => {
        nowMs += 1;
        watchedMs += 1;
        return true;
      });
    }
    expect(watchedMs / nowMs).toBeLessThanOrEqual(0.055);
  });
});
