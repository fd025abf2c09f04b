import { getEventListeners, once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, createServer as createTcpServer, type Server } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import type { EffectRequest } from "../../src/effects/effect-port.ts";
import { runAttempt } from "../../src/effects/local-effects.ts";
import { EFFECT_ERROR_BYTES_MAX, EFFECT_RESULT_BYTES_MAX } from "../../src/model/limits.ts";
import type { Action } from "../../src/policy/policy.ts";
import { actionMessage, approval, EFFECT_ID, INSTANCE, requestOf, summary } from "../support/effect-request.ts";

type Received = {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
};

const stops: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

/** Listens on a free loopback port until the test ends; resolves to `http://127.0.0.1:<port>`. */
async function listen(server: Server): Promise<string> {
  const sockets = new Set<{ destroy(): void }>();
  server.on("connection", (socket) => sockets.add(socket));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  stops.push(() => {
    const closed = once(server, "close");
    server.close();
    for (const socket of sockets) socket.destroy();
    return closed;
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A target that reads the whole request before it answers. */
async function target(answer: (response: ServerResponse, request: Received) => void) {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { method = "", url = "", headers } = request;
      received.push({ method, url, headers, body: Buffer.concat(chunks).toString() });
      answer(response, received.at(-1) as Received);
    });
  });
  return { origin: await listen(server), received, server };
}

function webhook(url: string, changes: Partial<Action & { kind: "webhook" }> = {}): Action {
  return { kind: "webhook", url, timeoutMs: 10_000, headers: {}, ...changes };
}

function run(action: Action, changes: Partial<EffectRequest> = {}) {
  return runAttempt(requestOf(action, changes));
}

describe("what a webhook gets", () => {
  test("is one POST with the effect as JSON, the effect's id as Idempotency-Key and the policy's headers", async () => {
    const { origin, received } = await target((response) => response.end("thanks"));
    const result = await run(
      webhook(`${origin}/clean?key=1`, { headers: { Authorization: "Bearer x", "X-Team": "ops" } }),
    );
    expect(result).toEqual({ ok: true, result: { status: 200, body: "thanks" } });
    expect(received).toHaveLength(1);
    const [{ method, url, headers, body }] = received as [Received];
    expect({ method, url }).toEqual({ method: "POST", url: "/clean?key=1" });
    expect(headers).toMatchObject({
      "content-type": "application/json",
      "idempotency-key": EFFECT_ID,
      authorization: "Bearer x",
      "x-team": "ops",
    });
    expect(JSON.parse(body)).toEqual(actionMessage);
  });

  test("has the fencing token of its group's attempt in its body and a header, which the policy's cannot replace", async () => {
    const { origin, received } = await target((response) => response.end());
    await run(webhook(origin, { headers: { "Fencing-Token": "mine" } }), { token: 1_795_413_600_007 });
    const [{ headers, body }] = received as [Received];
    expect(headers["fencing-token"]).toBe("1795413600007");
    expect(JSON.parse(body)).toEqual({ ...actionMessage, fencingToken: 1_795_413_600_007 });
  });

  /** What it is about is gone. */
  const GONE = { alert: null, sentence: null, rule: null, dimensions: null };

  test("of a summary holds `summary` in place of the alert", async () => {
    const { origin, received } = await target((response) => response.end());
    await run(webhook(origin), { kind: "summary", alert: null, notice: summary });
    const { alert: _, ...rest } = actionMessage;
    expect(JSON.parse(received[0]?.body ?? "")).toEqual({
      ...rest,
      kind: "summary",
      summary: {
        group: "disk-cleanup:!sha1#00",
        opener: INSTANCE,
        skipped: 41,
        sample: [INSTANCE],
        openedAt: "2026-11-23T06:50:00.000Z",
        endsAt: "2026-11-23T07:00:00.000Z",
        ...GONE,
      },
    });
  });

  test("of an approval request holds `approval` with the instance to decide on", async () => {
    const { origin, received } = await target((response) => response.end());
    await run(webhook(origin), { kind: "approval-request", alert: null, notice: approval });
    const { alert: _, ...rest } = actionMessage;
    expect(JSON.parse(received[0]?.body ?? "")).toEqual({
      ...rest,
      kind: "approval-request",
      approval: {
        group: null,
        instance: INSTANCE,
        dueAt: "2026-11-23T07:20:00.000Z",
        held: null,
        commands: {
          approve: `becalm approve ${INSTANCE} --by WHO --why TEXT`,
          deny: `becalm deny ${INSTANCE} --by WHO --why TEXT`,
        },
        links: null,
        text: {
          en: `${INSTANCE}: 1 held. It is gone. Answer by 2026-11-23T07:20:00.000Z: becalm approve ${INSTANCE} --by WHO --why TEXT`,
          zh: expect.stringContaining("请在 2026-11-23T07:20:00.000Z 前答复") as string,
        },
        ...GONE,
      },
    });
  });

  test("keeps its type, length and Idempotency-Key whatever the policy's headers say", async () => {
    const { origin, received } = await target((response) => response.end());
    const headers = {
      "idempotency-KEY": "mine",
      "Content-Type": "text/plain",
      "Content-Length": "1",
      "Transfer-Encoding": "chunked",
    };
    expect(await run(webhook(origin, { headers }))).toMatchObject({ ok: true });
    expect(received[0]?.headers).toMatchObject({ "content-type": "application/json", "idempotency-key": EFFECT_ID });
    expect(JSON.parse(received[0]?.body ?? "")).toEqual(actionMessage);
  });

  test("names the user and password of the URL in its Authorization header only", async () => {
    const { origin, received } = await target((response) => response.end());
    await run(webhook(origin.replace("http://", "http://ops:s3cret@")));
    expect(received[0]?.headers.authorization).toBe(`Basic ${Buffer.from("ops:s3cret").toString("base64")}`);
    expect(received[0]?.url).toBe("/");
  });
});

describe("the answer of a webhook", () => {
  test.each([200, 201, 204, 299])("%i is success", async (status) => {
    const { origin } = await target((response) => response.writeHead(status).end());
    expect(await run(webhook(origin))).toEqual({ ok: true, result: { status, body: "" } });
  });

  test.each([400, 404, 429, 500, 503])("%i is a failure that records status and body", async (status) => {
    const { origin } = await target((response) => response.writeHead(status).end("no"));
    expect(await run(webhook(origin))).toEqual({
      ok: false,
      error: `The webhook to ${origin} answered ${status}; only 2xx is success.`,
      result: { status, body: "no" },
    });
  });

  test.each([301, 302, 303, 307, 308])(
    "%i is a failure that says it is a redirect, and nobody follows it",
    async (status) => {
      const other = await target((response) => response.end());
      const location = `${other.origin.replace("http://", "http://ops:s3cret@")}/there?token=s3cret`;
      const { origin } = await target((response) => response.writeHead(status, { location }).end());
      const result = await run(webhook(origin));
      expect(result).toMatchObject({ ok: false, result: { status } });
      expect(result.ok ? "" : result.error).toContain(
        `answered ${status}, a redirect (to ${other.origin}). Redirects are not followed`,
      );
      expect(JSON.stringify(result)).not.toContain("s3cret");
      expect(other.received).toEqual([]);
    },
  );

  test("that never ends is read to the limit and no further", async () => {
    let written = 0;
    const { origin } = await target((response) => {
      const write = (): void => {
        while (!response.destroyed && response.write("x".repeat(1_024))) written += 1_024;
        if (!response.destroyed) response.once("drain", write);
      };
      write();
      stops.push(async () => void (response.closed || (await once(response, "close"))));
    });
    const result = await run(webhook(origin));
    expect(result).toMatchObject({ ok: true, result: { status: 200 } });
    const { body } = result.result as { body: string };
    expect(Buffer.byteLength(body)).toBe(EFFECT_RESULT_BYTES_MAX);
    expect(body).toMatch(/^x+\.\.\. \(cut\)$/);
    // The target saw its connection close while its own buffers were filling.
    expect(written).toBeLessThan(64 * 1_024 * 1_024);
  });

  test("leaves nothing of the attempt on the signal that could have cancelled it", async () => {
    const { origin } = await target((response) => response.end());
    const { signal } = new AbortController();
    expect(await run(webhook(origin), { signal })).toMatchObject({ ok: true });
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });

  test("of exactly the limit is recorded whole, and one that is cut ends with a whole character", async () => {
    const { origin } = await target((response, { url }) =>
      response.end(url === "/full" ? "é".repeat(2_048) : `a${"é".repeat(2_048)}`),
    );
    const full = await run(webhook(`${origin}/full`));
    expect(full.result).toEqual({ status: 200, body: "é".repeat(2_048) });
    const cut = (await run(webhook(`${origin}/cut`))).result as { body: string };
    expect(cut.body).toMatch(/^aé+\.\.\. \(cut\)$/);
    expect(Buffer.byteLength(cut.body)).toBeLessThanOrEqual(EFFECT_RESULT_BYTES_MAX);
  });

  test("of bytes that are no text stays within the limit too", async () => {
    const { origin } = await target((response) => response.end(Buffer.alloc(4_000, 0xff)));
    const { body } = (await run(webhook(origin))).result as { body: string };
    expect(Buffer.byteLength(body)).toBeLessThanOrEqual(EFFECT_RESULT_BYTES_MAX);
  });

  test("counts by its status, also when its body breaks off", async () => {
    const { origin } = await target((response) => {
      response.writeHead(200, { "content-length": "100" });
      response.write("begun", () => response.destroy());
    });
    expect(await run(webhook(origin))).toEqual({ ok: true, result: { status: 200, body: "begun... (cut)" } });
  });

  test("counts by its status, also when its body is still open at the timeout", async () => {
    const { origin } = await target((response) => void response.writeHead(503).write("busy"));
    expect(await run(webhook(origin, { timeoutMs: 100 }))).toMatchObject({
      ok: false,
      result: { status: 503, body: "busy... (cut)" },
    });
  });
});

describe("a webhook without an answer", () => {
  test("fails at the action's timeout and closes its connection", async () => {
    const server = createTcpServer();
    const disconnected = new Promise<void>((resolve) => {
      server.on("connection", (socket) =>
        socket
          .on("error", () => {})
          .on("close", () => resolve())
          .resume(),
      );
    });
    const origin = await listen(server);
    const result = await run(webhook(origin, { timeoutMs: 50 }));
    expect(result).toEqual({ ok: false, error: `The webhook to ${origin} did not end within 50ms.` });
    await disconnected;
  });

  test("fails when the attempt is cancelled", async () => {
    const cancel = new AbortController();
    const server = createTcpServer((socket) => {
      socket.on("error", () => {}).resume();
      cancel.abort();
    });
    const origin = await listen(server);
    const result = await run(webhook(origin), { signal: cancel.signal });
    expect(result).toEqual({ ok: false, error: `The webhook to ${origin} was cancelled.` });
  });

  test("is not sent at all when the attempt was cancelled before", async () => {
    const { origin, received } = await target((response) => response.end());
    expect(await run(webhook(origin), { signal: AbortSignal.abort() })).toEqual({
      ok: false,
      error: "The attempt was cancelled before it began.",
    });
    expect(received).toEqual([]);
  });

  test("fails when the other end hangs up", async () => {
    const origin = await listen(createTcpServer((socket) => socket.on("error", () => {}).end()));
    const result = await run(webhook(origin));
    expect(result.ok ? "" : result.error).toMatch(
      new RegExp(`^The webhook failed: connection (reset|closed) to ${origin}\\.`),
    );
  });

  test("fails when what answers is no HTTP", async () => {
    const origin = await listen(createTcpServer((socket) => socket.on("error", () => {}).end("SSH-2.0-OpenSSH\r\n")));
    const result = await run(webhook(origin));
    expect(result.ok ? "" : result.error).toContain(`The webhook to ${origin} failed: Parse Error`);
  });

  test("fails when the server wants to speak another protocol", async () => {
    const upgrade = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n";
    const origin = await listen(createTcpServer((socket) => socket.on("error", () => {}).end(upgrade)));
    expect(await run(webhook(origin))).toMatchObject({ ok: false });
  });
});

describe("the sentence of a webhook's failure", () => {
  /** A port that nobody listens on. */
  async function closedOrigin(): Promise<string> {
    const server = createTcpServer();
    const origin = await listen(server);
    stops.pop();
    server.close();
    await once(server, "close");
    return origin;
  }

  test("says that the connection was refused, and where", async () => {
    const origin = await closedOrigin();
    expect(await run(webhook(origin))).toEqual({
      ok: false,
      error: `The webhook failed: connection refused to ${origin}. Check the address and its target.`,
    });
  });

  test("says so as well when a name stands for several addresses", async () => {
    const origin = (await closedOrigin()).replace("127.0.0.1", "localhost");
    const result = await run(webhook(origin));
    expect(result.ok ? "" : result.error).toContain(`connection refused to ${origin}`);
  });

  test.each(["refused", "503", "timeout"])("holds nothing of the URL but scheme, host and port (%s)", async (how) => {
    const { origin } = await target((response) => void (how === "503" && response.writeHead(503).end()));
    const place = how === "refused" ? await closedOrigin() : origin;
    const url = `${place.replace("http://", "http://s3cret-user:s3cret-password@")}/s3cret-path?s3cret=query#s3cret`;
    const result = await run(webhook(url, { timeoutMs: how === "timeout" ? 50 : 10_000 }));
    expect(result.ok).toBe(false);
    expect(JSON.stringify(result)).not.toContain("s3cret");
  });

  test("does not repeat a URL that cannot be read", async () => {
    const result = await run(webhook("s3cret://user:s3cret@"));
    expect(result.ok).toBe(false);
    expect(JSON.stringify(result)).not.toContain("user:s3cret");
  });

  test("is bounded", async () => {
    const result = await run(webhook(`http://127.0.0.1:1/`, { headers: { ["é".repeat(9_000)]: "x" } }));
    expect(result.ok).toBe(false);
    expect(Buffer.byteLength(result.ok ? "" : result.error)).toBeLessThanOrEqual(EFFECT_ERROR_BYTES_MAX);
  });
});
