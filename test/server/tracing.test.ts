import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { context, trace } from "@opentelemetry/api";
import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isTracing } from "../../src/system/tracing.ts";
import { send, sendJson } from "../support/http-client.ts";
import { type ServerWorld, serverWorld } from "../support/server-world.ts";

const exporter = new InMemorySpanExporter();
const TRACE = "0af7651916cd43dd8448eb211c80319c";

describe("with a provider registered", () => {
  let world: ServerWorld;
  const received: (string | undefined)[] = [];
  const target = createServer((request, response) => {
    received.push(request.headers["traceparent"] as string | undefined);
    response.writeHead(request.url === "/fail" ? 500 : 200).end();
  });
  beforeAll(async () => {
    expect(isTracing()).toBe(false);
    new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }).register();
    expect(isTracing()).toBe(true);
    target.listen(0, "127.0.0.1");
    await once(target, "listening");
    const url = `http://127.0.0.1:${(target.address() as AddressInfo).port}`;
    world = await serverWorld({
      policies: `policies:
  - { name: good, match: ['a="good"'], action: { webhook: { url: "${url}/ok" } } }
  - { name: bad, match: ['a="bad"'], action: { webhook: { url: "${url}/fail" } } }
`,
      engine: { concurrency: 1 },
    });
  });
  afterAll(async () => {
    await world.close();
    target.close();
    trace.disable();
  });

  const spans = (name: string) => exporter.getFinishedSpans().filter((span) => span.name === name);

  test("a request, its effects and their webhooks are one trace, also those that wait for their turn", async () => {
    const alerts = ["x", "y", "z"].map((host) => ({ labels: { a: "good", host } }));
    const headers = { traceparent: `00-${TRACE}-b7ad6b7169203331-01` };
    await sendJson(`${world.url}/api/v2/alerts`, alerts, { headers });
    await expect.poll(() => spans("effect action").length).toBe(3);
    const [request] = spans("POST /api/v2/alerts");
    expect(request?.spanContext().traceId).toBe(TRACE);
    expect(request?.attributes).toMatchObject({ "http.route": "/api/v2/alerts", "http.response.status_code": 200 });
    for (const span of spans("effect action")) {
      expect(span.parentSpanContext?.spanId).toBe(request?.spanContext().spanId);
      expect(span.attributes).toMatchObject({ "becalm.policy": "good", "becalm.attempt": 1 });
    }
    const commits = spans("store commit").filter(({ attributes }) => attributes["becalm.effects"] === 1);
    expect(commits.length).toBeGreaterThan(0);
    for (const { attributes, parentSpanContext } of commits) {
      expect(parentSpanContext?.spanId).toBe(request?.spanContext().spanId);
      expect(attributes).toMatchObject({ "becalm.outcome": "applied", "becalm.instances": 1 });
    }
    const ids = spans("effect action").map((span) => `00-${TRACE}-${span.spanContext().spanId}-01`);
    expect(new Set(received)).toEqual(new Set(ids));
  });

  test("what a request reads from the store is under it, and whoever looks for work makes no span", async () => {
    const before = spans("store list").length;
    await world.engine.list();
    expect(spans("store list")).toHaveLength(before);
    const span = trace.getTracer("test").startSpan("looking");
    await context.with(trace.setSpan(context.active(), span), () => world.engine.list());
    span.end();
    const [listed] = spans("store list").slice(before);
    expect(listed?.parentSpanContext?.spanId).toBe(span.spanContext().spanId);
    expect(spans("store claimEffects")).toEqual([]);
  });

  test("an attempt that fails says so, and an address that is a proof is in no span", async () => {
    await sendJson(`${world.url}/api/v2/alerts`, [{ labels: { a: "bad" } }]);
    const failed = () => spans("effect action").find(({ attributes }) => attributes["becalm.policy"] === "bad");
    await expect.poll(failed).toBeDefined();
    expect(failed()?.status).toMatchObject({ code: 2, message: expect.stringContaining("answered 500") });
    await send(`${world.url}/v1/answers/a-proof`);
    expect(JSON.stringify(exporter.getFinishedSpans().map(({ name, attributes }) => [name, attributes]))).not.toContain(
      "a-proof",
    );
  });
});
