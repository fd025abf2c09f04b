/** Namespaces that were made when an alert's start was part of what it is. */
import { Redis } from "ioredis";
import { afterAll, describe, expect, onTestFinished, test } from "vitest";
import { type AlertInput, createEngine, type Engine, type PolicyDocument } from "../../src/index.ts";
import { redisStore } from "../../src/stores/redis/redis-store.ts";
import { RAISED_FORMAT } from "../../src/stores/store.ts";
import { useRedis } from "../support/redis-server.ts";

const server = useRedis();
const STARTS_AT = Date.parse("2026-11-23T10:00:00Z");
const POLICIES: readonly PolicyDocument[] = [
  { name: "each", match: [], action: { handler: { name: "act" } } },
  {
    name: "host",
    match: [],
    action: { handler: { name: "act" } },
    converge: { function: "skip_when_exceed", by: ["host"], count: 9, window: "1h" },
  },
];
const clients: Redis[] = [];

afterAll(() => {
  for (const client of clients) client.disconnect();
});

function alertOf(name: string, more: Partial<AlertInput> = {}): AlertInput {
  return { labels: { alertname: name, host: "h" }, startsAt: STARTS_AT, status: "firing", ...more } as AlertInput;
}

async function engineOn(namespace: string): Promise<Engine> {
  const store = redisStore(server.url, { namespace });
  const engine = createEngine({ policies: POLICIES, store, handlers: { act: () => {} } });
  onTestFinished(async () => {
    await engine.stop();
    await store.close();
  });
  return engine;
}

/** A namespace as a version before there were episodes left it. */
async function earlier(namespace: string): Promise<Redis> {
  const store = redisStore(server.url, { namespace });
  await store.open({ mode: "live", partitions: 16 });
  await store.close();
  const client = new Redis(server.url);
  clients.push(client);
  await client.hdel(`becalm:${namespace}:meta`, "format");
  return client;
}

const idsOf = async (engine: Engine, ...alerts: AlertInput[]) =>
  (await engine.ingest(alerts)).instances.map(({ id, outcome }) => `${outcome} ${id}`);

describe("a namespace of an earlier version", () => {
  test("is worked on as that version does: a start is another alert, and no record is kept", async () => {
    const client = await earlier("unraised");
    const engine = await engineOn("unraised");
    const made = await idsOf(engine, alertOf("a"), alertOf("a", { startsAt: STARTS_AT + 1 }));
    expect(new Set(made).size).toBe(4);
    // Made of (policy, fingerprint, start) as ever.
    expect(made.every((one) => one.startsWith("created "))).toBe(true);
    expect(await idsOf(engine, alertOf("a"))).toEqual(
      made.slice(0, 2).map((one) => one.replace("created", "duplicate")),
    );
    const keys = await client.keys("becalm:{*}:unraised:episodes");
    const fields = (await Promise.all(keys.map((key) => client.hkeys(key)))).flat();
    expect(fields.filter((field) => /^[0-9a-f]{16}/.test(field))).toEqual([]);
  });

  test("that was raised finds what was made before as the duplicates of its alerts, and ends it with them", async () => {
    await earlier("raised");
    const before = await engineOn("raised");
    const made = await idsOf(before, alertOf("a"));
    await before.stop();
    const store = redisStore(server.url, { namespace: "raised" });
    await store.open({});
    expect(await store.raiseFormat(RAISED_FORMAT)).toBe(RAISED_FORMAT);
    await store.close();
    const engine = await engineOn("raised");
    const again = made.map((one) => one.replace("created", "duplicate"));
    expect(await idsOf(engine, alertOf("a"))).toEqual(again);
    expect(await idsOf(engine, alertOf("a"))).toEqual(again);
    const resolved = alertOf("a", { status: "resolved", endsAt: STARTS_AT + 5 });
    expect(await idsOf(engine, resolved)).toEqual(made.map((one) => one.replace("created", "ignored")));
    // What begins now is an episode.
    const fresh = await idsOf(engine, alertOf("b"));
    expect(await idsOf(engine, alertOf("b", { startsAt: STARTS_AT + 7 }))).toEqual(
      fresh.map((one) => one.replace("created", "duplicate")),
    );
  });
});
