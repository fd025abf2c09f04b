import { createHmac } from "node:crypto";
import type { LookupAddress } from "node:dns";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { AddressGuard } from "../../src/effects/address-guard.ts";
import { type LocalEffectOptions, runAttempt } from "../../src/effects/local-effects.ts";
import type { WebhookAction } from "../../src/effects/webhook-request.ts";
import { EFFECT_ID, requestOf } from "../support/effect-request.ts";

type Seen = { method: string; url: string; headers: IncomingHttpHeaders; body: string };

const folder = mkdtempSync(join(tmpdir(), "becalm-secrets-"));
const seen: Seen[] = [];
/** Echoes what it was sent, with a status that says failure when asked to. */
const server = createServer((request, response) => {
  let body = "";
  request.setEncoding("utf8").on("data", (piece: string) => (body += piece));
  request.on("end", () => {
    const { method = "", url = "", headers } = request;
    seen.push({ method, url, headers, body });
    response.writeHead(url.includes("fail") ? 500 : 200).end(JSON.stringify({ url, headers, body }));
  });
});
let origin = "";
beforeAll(async () => {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
beforeEach(() => seen.splice(0));
afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true });
});

function secretFile(name: string, text: string): string {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
}

function run(changes: Partial<WebhookAction>, options: LocalEffectOptions = {}) {
  const action: WebhookAction = { kind: "webhook", url: `${origin}/`, timeoutMs: 5_000, headers: {}, ...changes };
  return runAttempt(requestOf(action), options);
}

describe("a webhook's request", () => {
  test("is what the policy says: method, headers and body with the alert's fields in them", async () => {
    const body =
      '{"what":"{{ alert.annotations.summary ?? none }}","all":{{ json alert.labels }},"n":{{ json attempt }}}';
    const result = await run({
      method: "PUT",
      url: `${origin}/job/{{ alert.labels.instance }}`,
      headers: { "X-Who": "{{ policy }}" },
      body,
    });
    expect(result).toMatchObject({ ok: true });
    expect(seen[0]).toMatchObject({
      method: "PUT",
      url: "/job/db-1",
      headers: { "x-who": "disk-cleanup", "idempotency-key": EFFECT_ID },
    });
    // Nobody traces here.
    expect(seen[0]?.headers["traceparent"]).toBeUndefined();
    expect(JSON.parse(seen[0]?.body ?? "")).toEqual({
      what: 'disk "/" is full',
      all: { alertname: "DiskFull", instance: "db-1", 磁盘: "数据" },
      n: 2,
    });
  });

  test("is a form where its content type says so", async () => {
    await run({
      headers: { "Content-Type": "application/x-www-form-urlencoded" },
      body: "s={{ alert.annotations.summary ?? }}&x=1",
    });
    expect(new URLSearchParams(seen[0]?.body)).toEqual(new URLSearchParams({ s: 'disk "/" is full', x: "1" }));
    expect(seen[0]?.headers["content-type"]).toBe("application/x-www-form-urlencoded");
  });

  test("is not sent when a field is missing, and the sentence says which and what to write", async () => {
    const result = await run({ body: '{"a":"{{ alert.labels.nope }}"}' });
    expect(result).toMatchObject({ ok: false, error: expect.stringContaining("{{ alert.labels.nope ?? TEXT }}") });
    expect(seen).toEqual([]);
  });

  test("cannot be given another header by an alert", async () => {
    const result = await run({
      headers: { "X-Host": "{{ secret.two }}" },
      secrets: { two: { file: secretFile("two", "a\r\nX-Evil: 1") } },
    });
    expect(result).toMatchObject({ ok: false, error: expect.stringContaining("line break") });
  });

  test("is signed as Standard Webhooks has it, over what was sent", async () => {
    const key = Buffer.from("0123456789abcdef").toString("base64");
    for (const secret of ["a plain secret", `whsec_${key}`]) {
      await run({ sign: { file: secretFile("sign", `${secret}\n`) } }, { now: () => 1_700_000_000_999 });
      const { headers, body } = seen.at(-1) as Seen;
      const bytes = secret.startsWith("whsec_") ? Buffer.from(key, "base64") : Buffer.from(secret);
      const mac = createHmac("sha256", bytes).update(`${EFFECT_ID}.1700000000.${body}`).digest("base64");
      expect([headers["webhook-id"], headers["webhook-timestamp"], headers["webhook-signature"]]).toEqual([
        EFFECT_ID,
        "1700000000",
        `v1,${mac}`,
      ]);
    }
  });

  test("takes its secrets from files and the environment, anew for each attempt", async () => {
    process.env["BECALM_TEST_SECRET"] = "from-the-environment";
    const action = {
      headers: { Authorization: "Bearer {{ secret.token }}" },
      url: `${origin}/services/{{ secret.path }}`,
      secrets: { token: { file: secretFile("token", "first\n") }, path: { env: "BECALM_TEST_SECRET" } },
    };
    await run(action);
    secretFile("token", "second");
    await run(action);
    expect(seen.map(({ url, headers }) => [url, headers.authorization])).toEqual([
      ["/services/from-the-environment", "Bearer first"],
      ["/services/from-the-environment", "Bearer second"],
    ]);
    delete process.env["BECALM_TEST_SECRET"];
    expect(await run(action)).toMatchObject({
      ok: false,
      error: expect.stringContaining("BECALM_TEST_SECRET holds no secret"),
    });
  });

  test.each(["", "fail"])(
    "leaves no secret behind, though its target repeats all that it was sent: %j",
    async (path) => {
      const secret = 'p"ss wörd/+=';
      const result = await run({
        url: `${origin}/${path}?k={{ secret.s }}`,
        headers: { "X-Encoded": Buffer.from(secret).toString("base64") },
        body: '{"a":"{{ secret.s }}"}',
        secrets: { s: { file: secretFile("echoed", secret) } },
      });
      expect(seen[0]?.body).toContain('p\\"ss wörd/+=');
      const kept = JSON.stringify(result);
      expect(kept).toContain("[hidden]");
      for (const form of [secret, encodeURIComponent(secret), Buffer.from(secret).toString("base64"), "wörd"])
        expect(kept).not.toContain(form);
    },
  );
});

describe("link-local and metadata addresses", () => {
  test.each([
    "169.254.169.254",
    "2852039166",
    "0xa9fea9fe",
    "[::ffff:169.254.169.254]",
    "[fe80::1]",
    "[fd00:ec2::254]",
    "100.100.100.200",
    "168.63.129.16",
    "[64:ff9b::a9fe:a9fe]",
  ])("are refused however they are spelled: %s", async (host) => {
    const result = await run({ url: `http://${host}/latest/meta-data/`, timeoutMs: 500 });
    expect(result).toMatchObject({ ok: false, error: expect.stringContaining("BECALM_FORBIDDEN") });
  });

  const resolving = (addresses: LookupAddress[], allowed: string[] = []) =>
    new AddressGuard(allowed, (_name, _options, done) => done(null, addresses));
  const v4 = (address: string) => ({ address, family: 4 });

  test("are refused behind a name, also where only one of its addresses is such", async () => {
    const { port } = server.address() as AddressInfo;
    const url = `http://metadata.example:${port}/`;
    for (const addresses of [[v4("169.254.169.254")], [v4("127.0.0.1"), v4("169.254.1.1")]])
      expect(await run({ url }, { guard: resolving(addresses) })).toMatchObject({
        ok: false,
        error: expect.stringContaining("link-local"),
      });
    expect(await run({ url }, { guard: resolving([v4("127.0.0.1")]) })).toMatchObject({ ok: true });
  });

  test("are reached where somebody has allowed them, and nothing else of the kind is", () => {
    const guard = new AddressGuard(["169.254.20.0/24", "fe80::5"]);
    for (const host of ["169.254.20.10", "[fe80::5]", "10.0.0.1", "127.0.0.1", "example"]) guard.requireAllowed(host);
    for (const host of ["169.254.21.10", "[fe80::6]"]) expect(() => guard.requireAllowed(host)).toThrow("link-local");
    expect(() => new AddressGuard(["nowhere"])).toThrow("is not an address");
  });
});
