import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readTokens, TokenBook } from "../../src/server/auth/tokens.ts";
import { send, sendJson } from "../support/http-client.ts";
import { type ServerWorld, serverWorld } from "../support/server-world.ts";

const ALERTS = [{ labels: { alertname: "Disk" } }];

describe("a server on loopback without tokens", () => {
  let world: ServerWorld;
  beforeAll(async () => {
    world = await serverWorld({ origins: ["https://grafana.example"] });
  });
  afterAll(() => world.close());

  test.each(["localhost", "127.0.0.1", "[::1]"])("answers to the loopback name %s", async (name) => {
    const { status } = await send(`${world.url}/api/v2/alerts`, { headers: { host: `${name}:${world.port}` } });
    expect(status).toBe(200);
  });

  test.each(["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.1"])(
    "refuses the name %s, which a foreign page may have pointed here",
    async (name) => {
      const { status, json } = await send(`${world.url}/v1/instances`, { headers: { host: `${name}:${world.port}` } });
      expect(status).toBe(403);
      expect(json).toMatchObject({ error: { code: "BECALM_FORBIDDEN" } });
    },
  );

  test.each(["https://evil.example", "null", "http://127.0.0.1:1"])(
    "takes nothing from a page of %s",
    async (origin) => {
      const { status } = await sendJson(`${world.url}/api/v2/alerts`, ALERTS, { headers: { origin } });
      expect(status).toBe(403);
      expect((await world.engine.list()).instances).toEqual([]);
    },
  );

  test("takes nothing that a browser says comes from another site", async () => {
    const headers = { "sec-fetch-site": "cross-site" };
    expect((await sendJson(`${world.url}/api/v2/alerts`, ALERTS, { headers })).status).toBe(403);
  });

  test("lets an allowed page in, and names it to the browser", async () => {
    const headers = { origin: "https://grafana.example" };
    const { status, headers: given } = await sendJson(`${world.url}/api/v2/alerts`, [], { headers });
    expect(status).toBe(200);
    expect(given["access-control-allow-origin"]).toBe("https://grafana.example");
    const preflight = await send(`${world.url}/api/v2/alerts`, { method: "OPTIONS", headers });
    expect(preflight.status).toBe(200);
    expect(preflight.headers["access-control-allow-headers"]).toContain("authorization");
  });

  test("names no other page to a browser", async () => {
    const { headers } = await send(`${world.url}/api/v2/alerts`, { headers: { origin: "https://evil.example" } });
    expect(headers["access-control-allow-origin"]).toBeUndefined();
  });

  test.each(["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])(
    "takes no body of the type %s, which a page may send unasked",
    async (type) => {
      const sent = { method: "POST", headers: { "content-type": type }, body: "[]" };
      expect((await send(`${world.url}/api/v2/alerts`, sent)).status).toBe(415);
      expect((await send(`${world.url}/v1/alerts`, sent)).status).toBe(415);
    },
  );

  test("says of a compressed body that it is one, and takes nothing of it", async () => {
    const headers = { "content-type": "application/json", "content-encoding": "gzip" };
    const sent = await send(`${world.url}/v1/alerts`, {
      method: "POST",
      headers,
      body: gzipSync(JSON.stringify(ALERTS)),
    });
    expect(sent.status).toBe(415);
    expect(sent.json).toMatchObject({ error: { message: expect.stringContaining('The content encoding is "gzip"') } });
  });
});

describe("a server with tokens", () => {
  let world: ServerWorld;
  const tokens = new TokenBook([
    { caller: { name: "looker", role: "read" }, token: "read-token" },
    { caller: { name: "ann", role: "operate" }, token: "operate-token" },
    { caller: { name: "root", role: "admin" }, token: "admin-token" },
  ]);
  const as = (token: string) => ({ authorization: `Bearer ${token}` });
  beforeAll(async () => {
    world = await serverWorld({ tokens });
  });
  afterAll(() => world.close());

  test.each(["/api/v2/alerts", "/v1/instances", "/metrics", "/openapi.json", "/v1/events"])(
    "answers nobody without one at %s",
    async (path) => {
      const { status, headers } = await send(world.url + path);
      expect(status).toBe(401);
      expect(headers["www-authenticate"]).toContain("Bearer");
    },
  );

  test.each(["wrong", "read-toke", "read-token2", "READ-TOKEN", ""])("does not know the token %j", async (token) => {
    expect((await send(`${world.url}/api/v2/alerts`, { headers: as(token) })).status).toBe(401);
  });

  test.each(["/-/healthy", "/-/ready"])("tells everybody %s", async (path) => {
    expect((await send(world.url + path)).status).toBe(200);
  });

  test("lets a role do what it may, and no more", async () => {
    const read = (token: string) => send(`${world.url}/api/v2/alerts`, { headers: as(token) });
    const post = (token: string) => sendJson(`${world.url}/api/v2/alerts`, [], { headers: as(token) });
    const reload = (token: string) => send(`${world.url}/-/reload`, { method: "POST", headers: as(token) });
    const statuses = async (ask: typeof read) =>
      Promise.all(["read-token", "operate-token", "admin-token"].map(async (token) => (await ask(token)).status));
    expect(await statuses(read)).toEqual([200, 200, 200]);
    expect(await statuses(post)).toEqual([403, 200, 200]);
    expect(await statuses(reload)).toEqual([403, 403, 200]);
  });

  test("answers under any name, for the token says who calls", async () => {
    const headers = { ...as("read-token"), host: "becalm.example" };
    expect((await send(`${world.url}/api/v2/alerts`, { headers })).status).toBe(200);
  });
});

describe("a tokens file", () => {
  const folder = mkdtempSync(join(tmpdir(), "becalm-tokens-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  const file = (content: string): string => {
    const path = join(folder, "tokens.json");
    writeFileSync(path, content);
    return path;
  };

  test("names its callers, also by files that hold the tokens", () => {
    writeFileSync(join(folder, "secret"), "from-a-file\n");
    const book = readTokens(
      file(
        JSON.stringify([
          { name: "a", role: "read", token: "one" },
          { name: "b", role: "admin", token_file: join(folder, "secret") },
        ]),
      ),
    );
    expect(book.callerOf("one")).toEqual({ name: "a", role: "read" });
    expect(book.callerOf("from-a-file")).toEqual({ name: "b", role: "admin" });
    expect(book.callerOf("two")).toBeNull();
  });

  test("is refused with all its mistakes, and none of its tokens", () => {
    const bad = [
      { name: "a", role: "reader", token: "s3cret-value" },
      { name: "b", role: "read" },
      { name: "c", role: "read", token: "x", token_file: "y" },
      { name: "d", role: "read", token: "with space s3cret-value" },
      { name: "e", role: "read", token: "x", more: 1 },
    ];
    const read = () => readTokens(file(JSON.stringify(bad)));
    expect(read).toThrow(/\[0\]\.role.*\[1\].*\[2\].*\[3\]\.token.*\[4\]/s);
    expect(read).not.toThrow(/s3cret-value/);
    expect(() => readTokens(file("[{s3cret-value"))).toThrow(/is not JSON/);
    expect(() => readTokens(file("[{s3cret-value"))).not.toThrow(/s3cret-value/);
  });
});
