/** `engine.ingest` takes what senders post as it came, and says what it cannot take with codes. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { createEngine, type Engine, type IngestInput } from "../../src/index.ts";
import { ROOT } from "../support/command.ts";

const NOW_MS = Date.parse("2026-11-23T10:00:00Z");
const policies = [{ name: "act", match: [], action: { log: {} } }];
const engines: Engine[] = [];

function engineAt(nowMs: number): Engine {
  const engine = createEngine({ policies, clock: { now: () => nowMs, schedule: () => () => {} } });
  engines.push(engine);
  return engine;
}

function ingest(input: unknown) {
  return engineAt(NOW_MS).ingest(input as IngestInput);
}

afterEach(async () => {
  await Promise.all(engines.splice(0).map((engine) => engine.stop()));
});

const down = { labels: { alertname: "Down" }, startsAt: "2026-11-23T09:59:00Z" };
const up = { labels: { alertname: "Up" }, startsAt: "2026-11-23T09:50:00Z", endsAt: "2026-11-23T09:58:00Z" };
const webhook = {
  version: "4",
  receiver: "becalm",
  status: "firing",
  groupKey: "{}:{}",
  truncatedAlerts: 3,
  alerts: [{ ...down, status: "firing", fingerprint: "x" }, up],
};

describe("a body as it came is taken", () => {
  test.each<[string, unknown]>([
    ["a parsed webhook", webhook],
    ["its JSON text", JSON.stringify(webhook)],
    ["captured, with its headers", { receivedAt: "2026-11-23T09:00:00Z", path: "/hook", headers: {}, body: webhook }],
    ["in a list", [webhook]],
  ])("%s", async (_, input) => {
    const { instances, rejected, truncated } = await ingest(input);
    expect(rejected).toEqual([]);
    expect(truncated).toBe(3);
    // The second alert has no status and has ended: there is nothing that it could end.
    expect(instances).toMatchObject([
      { alert: 0, outcome: "created" },
      { alert: 1, outcome: "ignored" },
    ]);
  });

  test("an alert without a status has its webhook's", async () => {
    const resolved = await ingest({ status: "resolved", alerts: [down] });
    expect(resolved.instances).toMatchObject([{ outcome: "ignored" }]);
    expect((await ingest({ status: "firing", alerts: [down] })).instances).toMatchObject([{ outcome: "created" }]);
    expect((await ingest({ alerts: [down] })).rejected).toMatchObject([{ error: { details: { code: "status" } } }]);
  });

  test.each([
    ["a text", "2026-11-23T09:58:00Z"],
    ["a number", NOW_MS - 120_000],
    ["a Date", new Date(NOW_MS - 120_000)],
  ])("an alert of a webhook without a status has ended if its endsAt, %s, has passed", async (_, endsAt) => {
    const { instances } = await ingest({ status: "firing", alerts: [{ ...down, endsAt }] });
    expect(instances).toMatchObject([{ outcome: "ignored" }]);
  });

  test("one alert, and an array of API v2", async () => {
    for (const input of [down, [down]]) {
      const { instances, truncated } = await ingest(input);
      expect(instances).toMatchObject([{ alert: 0, outcome: "created" }]);
      expect(truncated).toBe(0);
    }
  });

  test("every webhook that a real Alertmanager sent in a storm", async () => {
    const lines = readFileSync(join(ROOT, "test/data/prometheus-storm/webhook-v4.jsonl"), "utf8").trim().split("\n");
    const engine = engineAt(NOW_MS);
    let count = 0;
    for (const line of lines) {
      const { instances, rejected, unmatched } = await engine.ingest((JSON.parse(line) as { body: IngestInput }).body);
      expect({ rejected, unmatched }).toEqual({ rejected: [], unmatched: [] });
      count += instances.length;
    }
    expect(count).toBe(836);
  });

  test("100,000 alerts in one body", async () => {
    const alerts = Array.from({ length: 100_000 }, (_, index) => ({
      labels: { alertname: "Down", n: `${index}` },
      startsAt: "2026-11-23T09:59:00Z",
    }));
    const { instances } = await ingest({ status: "firing", alerts });
    expect(instances).toHaveLength(100_000);
    await expect(ingest([...alerts, down])).rejects.toMatchObject({
      code: "BECALM_ALERT_INVALID",
      details: { code: "limit" },
    });
  });
});

describe("what cannot be taken", () => {
  test("an alert of many: the others are taken, and `rejected` has its index and a coded error", async () => {
    const { instances, rejected } = await ingest({ status: "firing", alerts: [down, { ...down, labels: {} }, 7] });
    expect(instances).toHaveLength(1);
    expect(rejected).toMatchObject([
      { alert: 1, error: { code: "BECALM_ALERT_INVALID", details: { code: "labels" } } },
      { alert: 2, error: { code: "BECALM_ALERT_INVALID", details: { code: "shape" } } },
    ]);
  });

  test("an alert that Alertmanager held back", async () => {
    const suppressed = { ...down, status: { state: "suppressed", silencedBy: ["s1"] } };
    const { instances, rejected } = await ingest([suppressed, { ...down, status: { state: "active" } }]);
    expect(instances).toMatchObject([{ alert: 1, outcome: "created" }]);
    expect(rejected).toMatchObject([{ alert: 0, error: { details: { code: "suppressed" } } }]);
  });

  test.each<[unknown, string, string | undefined]>([
    [undefined, "BECALM_ARGUMENT_INVALID", undefined],
    [null, "BECALM_ARGUMENT_INVALID", undefined],
    [5, "BECALM_ARGUMENT_INVALID", undefined],
    ["", "BECALM_ALERT_INVALID", "json"],
    ["{", "BECALM_ALERT_INVALID", "json"],
    ["7", "BECALM_ARGUMENT_INVALID", undefined],
    [{ status: "success", data: { alerts: [] } }, "BECALM_ALERT_INVALID", "shape"],
    [{ foo: 1 }, "BECALM_ALERT_INVALID", "shape"],
  ])("the whole of %j: one coded error", async (input, code, detail) => {
    await expect(ingest(input)).rejects.toMatchObject({ code, details: detail === undefined ? {} : { code: detail } });
  });
});
