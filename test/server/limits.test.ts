import { afterEach, describe, expect, test } from "vitest";
import { memoryStore } from "../../src/stores/memory/memory-store.ts";
import { systemClock } from "../../src/system/system-clock.ts";
import { type Received, send, sendBytes, sendJson } from "../support/http-client.ts";
import { type ServerWorld, type ServerWorldOptions, serverWorld } from "../support/server-world.ts";

const worlds: ServerWorld[] = [];
afterEach(async () => {
  for (const world of worlds.splice(0)) await world.close();
});

async function open(options: ServerWorldOptions): Promise<ServerWorld> {
  const world = await serverWorld(options);
  worlds.push(world);
  return world;
}

const JSON_TYPE = { "content-type": "application/json" };

describe("limits of a request", () => {
  test("a body that announces too much is refused before it is read", async () => {
    const { url } = await open({ bodyBytesMax: 100 });
    const { status, json } = await send(`${url}/v1/alerts`, {
      method: "POST",
      headers: JSON_TYPE,
      body: "x".repeat(101),
    });
    expect(status).toBe(413);
    expect(json).toMatchObject({ error: { code: "BECALM_REQUEST_REFUSED" } });
  });

  test("a body that announces nothing is cut where it grows too large", async () => {
    const { port } = await open({ bodyBytesMax: 100 });
    const head =
      "POST /api/v2/alerts HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    const answer = await sendBytes(port, [head, `3e8\r\n${"x".repeat(1_000)}\r\n`, "0\r\n\r\n"]);
    expect(answer).toMatch(/^HTTP\/1.1 413 /);
  });

  test("a body as large as the limit is taken", async () => {
    const alert = JSON.stringify([{ labels: { alertname: "x" } }]);
    const { url } = await open({ bodyBytesMax: alert.length });
    expect((await send(`${url}/api/v2/alerts`, { method: "POST", headers: JSON_TYPE, body: alert })).status).toBe(200);
  });

  test("a client that does not finish its request is cut, and holds nobody else up", async () => {
    const { url, port } = await open({ requestMsMax: 300 });
    const head =
      "POST /api/v2/alerts HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n[";
    const slow = [sendBytes(port, [head]), sendBytes(port, ["GET /api/v2/alerts HTTP/1.1\r\nhost"])];
    expect((await send(`${url}/api/v2/alerts`)).status).toBe(200);
    const answers = await Promise.all(slow);
    for (const answer of answers) expect(answer).toMatch(/^(?:HTTP\/1.1 408 |$)/);
  });

  test("headers that are too large are refused", async () => {
    const { port } = await open({});
    const answer = await sendBytes(port, [`GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nx: ${"x".repeat(20_000)}\r\n\r\n`]);
    expect(answer).toMatch(/^HTTP\/1.1 431 /);
  });

  test("more bodies than the process may hold are refused for now, with a time to come back", async () => {
    // A machine that did not send another body while the first was held is given longer.
    let answer = await besideHeld(2_000);
    for (let requestMsMax = 4_000; answer === null; requestMsMax *= 2) answer = await besideHeld(requestMsMax);
    expect(answer.status).toBe(503);
    expect(answer.headers["retry-after"]).toBe("1");
  });

  /** What is answered to a body while another one is held; null: none was sent in time. */
  async function besideHeld(requestMsMax: number): Promise<Received | null> {
    const { url, port } = await open({ bodyBytesMax: 1_000, heldBytesMax: 1_000, requestMsMax });
    const head =
      "POST /api/v2/alerts HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n";
    let isHeld = true;
    const held = sendBytes(port, [head, "x".repeat(800)]).then(() => {
      isHeld = false;
    });
    const refused = async () => {
      const body = `[{"labels":{"a":"${"b".repeat(700)}"}}]`;
      return send(`${url}/api/v2/alerts`, { method: "POST", headers: JSON_TYPE, body });
    };
    let answer = await refused();
    while (answer.status === 200 && isHeld) answer = await refused();
    await held;
    expect((await refused()).status).toBe(200);
    return answer.status === 200 ? null : answer;
  }

  test("more alerts than the engine may have under way are refused for now, and taken when there is room", async () => {
    let goOn = () => {};
    const held = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    const store = memoryStore();
    const slow = new Proxy(store, {
      get: (target, name) => {
        const member = Reflect.get(target, name) as unknown;
        if (typeof member !== "function") return member;
        if (name === "commit") return (commit: never) => held.then(() => target.commit(commit));
        return member.bind(target) as unknown;
      },
    });
    const { url } = await open({ store: slow, engine: { maxAlertsUnderWay: 1 } });
    const post = (name: string) => sendJson(`${url}/api/v2/alerts`, [{ labels: { name } }]);
    const first = post("a");
    let second = await post("b");
    while (second.status !== 503) second = await post("b");
    expect(second.headers["retry-after"]).toBe("1");
    goOn();
    expect((await first).status).toBe(200);
    expect((await post("b")).status).toBe(200);
  });

  test("a store that is away makes senders come again: 503, never 500", async () => {
    const { url, engine } = await open({});
    await engine.stop();
    const { status, headers } = await sendJson(`${url}/api/v2/alerts`, [{ labels: { a: "b" } }]);
    expect(status).toBe(503);
    expect(headers["retry-after"]).toBe("1");
  });
});

test("a clock that is far from the store's makes senders come again, and is shown", async () => {
  const clock = { ...systemClock(), now: () => Date.now() + 10_000 };
  const store = Object.assign(memoryStore(), {
    pulse: async () => ({ clocks: [{ where: "the server", nowMs: Date.now() }], lost: [] }),
  });
  const { url } = await open({ store, engine: { clock, maxClockSkewMs: 5_000 } });
  const { status, headers, json } = await sendJson(`${url}/api/v2/alerts`, [{ labels: { a: "b" } }]);
  expect([status, headers["retry-after"]]).toEqual([503, "1"]);
  expect(JSON.stringify(json)).toContain("ahead of");
  const { text } = await send(`${url}/metrics`);
  expect(text).toMatch(/^becalm_clock_skew_seconds (9\.9|10)/m);
});
