import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { TokenBook } from "../../src/server/auth/tokens.ts";
import { Links } from "../../src/server/links/links.ts";
import { Signer } from "../../src/system/signer.ts";
import { send, sendJson } from "../support/http-client.ts";
import { serverWorld } from "../support/server-world.ts";

const word = () => randomBytes(12).toString("hex");

describe("secrets", () => {
  test("appear in no log line, history, list, error, metric or status, though the target repeats them and fails", async () => {
    const [token, hook, key, linkSecret, header] = [word(), word(), word(), word(), word()];
    const folder = mkdtempSync(join(tmpdir(), "becalm-secrets-"));
    writeFileSync(join(folder, "hook"), hook);
    writeFileSync(join(folder, "key"), key);
    const bodies: string[] = [];
    const target = createServer((request, response) => {
      let body = "";
      request.on("data", (piece) => (body += String(piece)));
      request.on("end", () => {
        bodies.push(body);
        response.writeHead(500).end(`${request.url} ${JSON.stringify(request.headers)} ${body}`);
      });
    }).listen(0, "127.0.0.1");
    await once(target, "listening");
    const url = `http://127.0.0.1:${(target.address() as AddressInfo).port}`;
    const webhook = (body: string) =>
      `{ webhook: { url: "${url}/{{ secret.hook }}?k={{ secret.hook }}", headers: { X-Key: "Bearer {{ secret.hook }}" }, ${body}sign: { file: "${folder}/key" }, secrets: { hook: { file: "${folder}/hook" } } } }`;
    const policies = `policies:
  - { name: fails, match: ['a="fails"'], action: ${webhook('body: { k: "{{ secret.hook }}" }, ')}, retry: { limit: 1, delay: 10ms } }
  - { name: asks, match: ['a="asks"', 'plain!="${header}x"'], action: { log: {} }, converge: { function: defense, by: [a], count: 1, window: 5m }, approval: { notify: ${webhook("")} } }
`;
    const said: string[] = [];
    const line = (fields: object, text: string) => void said.push(JSON.stringify(fields, errors) + text);
    const world = await serverWorld({
      policies,
      tokens: new TokenBook([{ caller: { name: "ann", role: "admin" }, token }]),
      links: new Links({
        externalUrl: "http://becalm.example",
        signer: new Signer([linkSecret]),
        namespace: "default",
      }),
      engine: { logger: { debug: line, info: line, warn: line, error: line } },
    });
    const headers = { authorization: `Bearer ${token}` };
    for (const labels of [{ a: "fails" }, { a: "asks", n: "1" }, { a: "asks", n: "2" }])
      await sendJson(`${world.url}/v1/alerts`, [{ status: "firing", labels }], { headers });
    await expect.poll(() => bodies.length).toBeGreaterThanOrEqual(3);
    await expect.poll(async () => (await world.engine.list({ state: "Processing" })).instances).toEqual([]);
    expect(bodies.some((body) => body.includes(hook))).toBe(true);
    const link = bodies
      .map((body) => /v1\/answers\/([^"]+)/.exec(body)?.[1])
      .find((found) => found !== undefined) as string;
    await sendJson(`${world.url}/v1/answers/${link}`, {});
    const { instances } = await world.engine.list();
    const paths = [
      "/api/v2/status",
      "/api/v2/alerts",
      "/v1/instances",
      "/v1/approvals",
      "/v1/policies",
      "/v1/groups",
      "/metrics",
      "/openapi.json",
      "/nope",
      ...instances.flatMap(({ id }) => [`/v1/instances/${id}`, `/v1/instances/${id}/history`]),
    ];
    const answers = await Promise.all(paths.map((path) => send(world.url + path, { headers })));
    const everything = [...answers.map(({ text, headers: got }) => text + JSON.stringify(got)), ...said].join("\n");
    expect(everything).toContain("[hidden]");
    const leaked = Object.entries({ token, hook, key, linkSecret, link }).filter(([, secret]) =>
      everything.includes(secret),
    );
    expect(leaked.map(([name]) => name)).toEqual([]);
    await world.close();
    target.close();
    rmSync(folder, { recursive: true });
  });
});

function errors(_key: string, value: unknown): unknown {
  return value instanceof Error ? { message: value.message, stack: value.stack } : value;
}
