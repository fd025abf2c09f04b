/** `becalm doctor` on namespaces that are well, and on such as somebody has damaged or left alone. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { createEngine, type Engine, type EngineOptions } from "../../src/engine.ts";
import { redisStore } from "../../src/stores/redis/redis-store.ts";
import type { Clock } from "../../src/system/clock.ts";
import { systemClock } from "../../src/system/system-clock.ts";
import { becalm, type Ended, jsonLines, useFiles } from "../support/command.ts";
import { alertOf, policyOf, START_MS } from "../support/engine-world.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { useRedis } from "../support/redis-server.ts";
import { serverWorld } from "../support/server-world.ts";

type Row = { readonly what: string; readonly is: string; readonly advice?: string };

const redis = useRedis();
const file = useFiles();
let client: Redis;
beforeAll(() => {
  client = new Redis(redis.url);
});
afterAll(() => client.disconnect());

/** The first of a group runs, and what follows waits for a person. */
const POLICIES = `policies:
  - { name: all, match: [], action: { log: {} }, converge: { function: defense, by: [cluster], count: 1, window: 5m } }
`;

let namespaces = 0;

/** An engine that was there for a while. `before`: what it left, as others find it now. */
async function left(
  clock: Clock,
  before: (engine: Engine) => Promise<unknown>,
  more: Partial<EngineOptions> = {},
): Promise<string> {
  namespaces += 1;
  const namespace = `doctor-${namespaces}`;
  const store = redisStore(redis.url, { namespace });
  const engine = createEngine({
    policies: [policyOf({ function: "defense", count: 1 })],
    handlers: { act: () => {} },
    store,
    clock,
    partitions: 4,
    drainMs: 0,
    ...more,
  });
  await before(engine);
  await engine.stop();
  await store.close();
  return namespace;
}

function doctor(namespace: string, ...args: string[]): Promise<Ended> {
  return becalm(["doctor", "--store", redis.url, "--namespace", namespace, ...args]);
}

async function rowsOf(namespace: string): Promise<{ code: number | null; rows: Map<string, Row> }> {
  const { code, stdout } = await doctor(namespace, "--json");
  return { code, rows: new Map(jsonLines<Row>(stdout).map((row) => [row.what, row])) };
}

describe("becalm doctor", () => {
  test("names who keeps the format from being raised, does not raise it while one lives, and then says who stays behind", async () => {
    const namespace = await left(systemClock(), (engine) => engine.start());
    await client.hdel(`becalm:${namespace}:meta`, "format");
    const store = redisStore(redis.url, { namespace });
    onTestFinished(() => store.close());
    await store.open({});
    const say = (more: object) => {
      const record = JSON.stringify({ form: 2, format: 1, isSharing: false, name: "old:1", sinceMs: 0, ...more });
      return store.processes?.beat({ id: "old", record, leaseMs: 60_000 });
    };
    await say({});
    expect((await rowsOf(namespace)).rows.get("format")).toMatchObject({
      is: expect.stringMatching(/^1, made by an earlier version/),
      advice: expect.stringMatching(/^bring old:1 to this version; when no engine/),
    });
    const refused = await doctor(namespace, "--raise-format");
    expect([refused.code, refused.stderr]).toEqual([4, expect.stringMatching(/NAMESPACE_FORMAT.*old:1 would not/s)]);
    expect(await store.open({})).toMatchObject({ format: 1 });
    await say({ knows: 2 });
    expect((await doctor(namespace, "--raise-format")).stdout).toMatch(/format: 2; 0 instances looked at/);
    expect((await rowsOf(namespace)).rows.get("format")).toMatchObject({
      is: "2, and old:1 decides by an earlier one",
      advice: expect.stringMatching(/^look again in a moment/),
    });
    await store.processes?.leave("old");
    expect((await rowsOf(namespace)).rows.get("format")).toEqual({ what: "format", is: "2" });
  });

  test("says that removals are exported, that no engine does so any longer, and lets engines remove again on request", async () => {
    const folder = mkdtempSync(join(tmpdir(), "becalm-doctor-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const exporting = { exportRemoved: { folder, namespace: "kept" } };
    const namespace = await left(systemClock(), (engine) => engine.start(), exporting);
    const isExported = expect.stringMatching(/^what is removed is exported to .*becalm-doctor-.*, since 20/);
    expect((await rowsOf(namespace)).rows.get("exports")).toEqual({ what: "exports", is: isExported });
    const store = redisStore(redis.url, { namespace });
    onTestFinished(() => store.close());
    await store.open({});
    const record = JSON.stringify({ form: 2, format: 3, isSharing: false, name: "plain:1", sinceMs: 0 });
    await store.processes?.beat({ id: "plain", record, leaseMs: 60_000 });
    expect((await rowsOf(namespace)).rows.get("exports")).toMatchObject({
      is: isExported,
      advice: expect.stringMatching(/^no engine that runs exports, so nothing is removed/),
    });
    expect((await doctor(namespace, "--allow-unexported-removal")).stdout).toMatch(
      /exports: from now on every engine may remove without an export; .* had exported to .*becalm-doctor-/,
    );
    expect((await rowsOf(namespace)).rows.get("exports")).toEqual({
      what: "exports",
      is: expect.stringMatching(/^what is removed is no longer exported, since 20.*becalm doctor on/),
    });
  });

  test("says of a namespace that is well what it and its store are like, and ends with 0", async () => {
    const namespace = await left(systemClock(), async (engine) => {
      await engine.start();
      await engine.ingest([alertOf("a", { startsAt: Date.now() })]);
    });
    const { code, rows } = await rowsOf(namespace);
    expect([...rows.values()].filter(({ advice }) => advice !== undefined)).toEqual([]);
    expect(code).toBe(0);
    expect([...rows.keys()]).toEqual([
      "namespace",
      "format",
      "store",
      "role",
      "durability",
      "eviction",
      "rights",
      "clock",
      "quarantine",
      "timers",
      "outbox",
      "dead letters",
      "claims",
      "stuck",
    ]);
    expect(rows.get("namespace")?.is).toBe(`${namespace}, live, 4 partitions, 1 version of a policy`);
    expect(rows.get("durability")?.is).toMatch(/^async: /);
    expect(rows.get("clock")?.is).toContain("agree within 1s");
    const { stdout } = await doctor(namespace);
    expect(
      stdout
        .trimEnd()
        .split("\n")
        .every((line) => line.startsWith("✓ ")),
    ).toBe(true);
  });

  test("names what nobody moves: timers that are overdue, and attempts that wait", async () => {
    const ids: string[] = [];
    const namespace = await left(new ManualClock(START_MS), async (engine) => {
      const { instances } = await engine.ingest([alertOf("a"), alertOf("b")]);
      ids.push(...instances.map(({ id }) => id));
    });
    const { code, rows } = await rowsOf(namespace);
    expect(code).toBe(1);
    expect(rows.get("timers")).toMatchObject({
      is: expect.stringMatching(new RegExp(`^1 are overdue, the oldest by .*\\(${ids[1]}\\)`)),
      advice: expect.stringContaining("start an engine"),
    });
    expect(rows.get("outbox")).toMatchObject({
      is: expect.stringMatching(new RegExp(`for more than 10m, the oldest for .*${ids[0]}`)),
      advice: expect.stringContaining("see that an engine runs"),
    });
  });

  test("names what is damaged: a checkpoint, a claim, an attempt that is gone", async () => {
    const ids: string[] = [];
    const namespace = await left(systemClock(), async (engine) => {
      const alerts = ["a", "b", "c"].map((host) => alertOf(host, { host, startsAt: Date.now() }));
      const { instances } = await engine.ingest(alerts);
      ids.push(...instances.map(({ id }) => id));
    });
    const [broken, unclaimed, gone] = ids as [string, string, string];
    const keyOf = async (id: string, end: string) => {
      const [key] = await client.keys(`*:${namespace}:i:${id}`);
      return (key as string).replace(/:i:.*$/, `:${end}`);
    };
    await client.set(await keyOf(broken, `i:${broken}`), "1 rubbish");
    const member = async (id: string) =>
      (await client.hkeys(await keyOf(id, "effects"))).find((effectId) => effectId.startsWith(id)) as string;
    await client.zrem(await keyOf(unclaimed, "claims"), await member(unclaimed));
    const goneEffect = await member(gone);
    await client.hdel(await keyOf(gone, "effects"), goneEffect);
    await client.zrem(await keyOf(gone, "claims"), goneEffect);
    const { code, rows } = await rowsOf(namespace);
    expect(code).toBe(1);
    expect(rows.get("quarantine")).toMatchObject({
      is: expect.stringContaining(`1 cannot be read (${broken})`),
      advice: expect.stringContaining("becalm ls --quarantined"),
    });
    expect(rows.get("claims")).toMatchObject({ is: expect.stringContaining(unclaimed), advice: expect.any(String) });
    expect(rows.get("stuck")).toMatchObject({ is: expect.stringContaining(gone), advice: expect.any(String) });
  });

  test("says when the store's memory is nearly full", async () => {
    const namespace = await left(systemClock(), (engine) => engine.ingest([]));
    await client.config("SET", "maxmemory", "1gb");
    expect((await rowsOf(namespace)).rows.get("memory")).not.toHaveProperty("advice");
    await client.config("SET", "maxmemory", "1mb");
    const full = await rowsOf(namespace);
    await client.config("SET", "maxmemory", "0");
    expect(full.code).toBe(1);
    expect(full.rows.get("memory")).toMatchObject({
      is: expect.stringMatching(/^\d+\.\d MiB used of 1\.0 MiB/),
      advice: expect.stringContaining("BECALM_STORE_FULL"),
    });
  });

  test("says when the store evicts, is a replica, or its user may only look", async () => {
    const namespace = await left(systemClock(), (engine) => engine.ingest([]));
    await client.config("SET", "maxmemory", "100mb", "maxmemory-policy", "allkeys-lru");
    const evicting = await rowsOf(namespace);
    await client.config("SET", "maxmemory", "0", "maxmemory-policy", "noeviction");
    expect(evicting.code).toBe(1);
    expect(evicting.rows.get("eviction")).toMatchObject({ advice: expect.stringContaining("noeviction") });
    await client.acl("SETUSER", "looker", "on", ">secret", "~*", "+@read", "+@scripting", "+@connection", "+info");
    const url = `redis://looker:secret@127.0.0.1:${redis.port}`;
    const { code, stdout } = await becalm(["doctor", "--store", url, "--namespace", namespace, "--json"]);
    expect(code).toBe(0);
    const rights = jsonLines<Row>(stdout).find(({ what }) => what === "rights");
    expect(rights?.is).toMatch(/may look; an engine would need .*\+set/);
    await client.acl("DELUSER", "looker");
  });

  test("has no namespace to look at: 3", async () => {
    expect((await doctor("nothing-here")).code).toBe(3);
  });

  test("names the processes that share a namespace, through a server as beside the store; so do ls and show", async () => {
    const store = redisStore(redis.url, { namespace: "shared" });
    const world = await serverWorld({ store, policies: POLICIES });
    onTestFinished(() => world.close().then(() => store.close()));
    await world.engine.start();
    const name = `${hostname()}:${process.pid}`;
    const beside = ["--store", redis.url, "--namespace", "shared"];
    const row = expect.objectContaining({
      what: "processes",
      is: `1 share 16 partitions: ${name} owns 16; 0 letters wait`,
    });
    const { instances } = await world.engine.ingest([alertOf("a", { startsAt: Date.now() })]);
    const id = instances[0]?.id ?? "";
    const through = ["--server", world.url];
    await expect
      .poll(async () => jsonLines<Row>((await becalm(["doctor", "--json", ...through])).stdout))
      .toContainEqual(row);
    expect((await becalm(["show", id, ...through])).stdout).toContain(`start  by ${name}`);
    const [listed] = jsonLines<object>((await becalm(["ls", "--json", ...beside])).stdout);
    expect(listed).toMatchObject({ decidedBy: { process: expect.stringMatching(/^[0-9a-f]{8}$/), name } });
    const held = await world.engine.ingest([alertOf("b", { startsAt: Date.now() })]);
    const waiting = held.instances[0]?.id ?? "";
    await becalm(["approve", waiting, "--by", "ann", "--why", "looked", ...beside]);
    const answered = await (await fetch(`${world.url}/v1/instances/${waiting}/history`)).json();
    const { entries } = answered as { entries: { event: { type: string }; decidedBy: { name: string } }[] };
    expect(entries.map(({ event, decidedBy }) => [event.type, decidedBy.name])).toEqual(
      expect.arrayContaining([
        ["start", name],
        ["approval.granted", `becalm approve on ${hostname()}`],
      ]),
    );
  });

  test("names them in a bundle as in the store; in a redacted one only their ids are left", async () => {
    const store = redisStore(redis.url, { namespace: "named" });
    const world = await serverWorld({ store, policies: POLICIES });
    onTestFinished(() => world.close().then(() => store.close()));
    await world.engine.start();
    await world.engine.ingest([alertOf("a", { startsAt: Date.now() })]);
    const { instances } = await world.engine.ingest([alertOf("b", { startsAt: Date.now() })]);
    const id = instances[0]?.id ?? "";
    const beside = ["--store", redis.url, "--namespace", "named"];
    await becalm(["approve", id, "--by", "ann", "--why", "looked", ...beside]);
    const [whole, redacted, given] = ["whole", "redacted", "given"].map((name) => file(`${name}.bundle`, "")) as [
      string,
      string,
      string,
    ];
    await becalm(["export", "--out", whole, ...beside]);
    await becalm(["export", "--out", redacted, "--redact", "host", ...beside]);
    file("given.bundle", await (await fetch(`${world.url}/v1/instances/${id}/bundle`)).text());
    const decidedBy = async (path: string) => {
      const { stdout } = await becalm(["show", id, "--json", "--store", `bundle:${path}`]);
      const [shown] = jsonLines<{ entries: { decidedBy: { name: string | null } }[] }>(stdout);
      return new Set(shown?.entries.map(({ decidedBy: { name } }) => name));
    };
    const names = new Set([`${hostname()}:${process.pid}`, `becalm approve on ${hostname()}`]);
    expect([await decidedBy(whole), await decidedBy(given), await decidedBy(redacted)]).toEqual([
      names,
      names,
      new Set([null]),
    ]);
    // A short host name may stand in a hash by chance.
    const bundle = readFileSync(redacted, "utf8");
    for (const name of names) expect(bundle).not.toContain(name);
    expect(bundle).not.toContain(`"${hostname()}`);
  });

  test("asks an lmdb store, and a running server", async () => {
    const path = file("db", "").replace(/db$/, "becalm-data");
    const alerts = file("alerts.jsonl", `${JSON.stringify({ alerts: [{ labels: { a: "b" }, status: "firing" }] })}\n`);
    const policies = file("policies.yaml", "policies:\n  - { name: all, match: [], action: { log: {} } }\n");
    await becalm(["run", "--policies", policies, "--alerts", alerts, "--store", `lmdb:${path}`]);
    const local = await becalm(["doctor", "--store", `lmdb:${path}`]);
    expect(local).toMatchObject({ code: 0, stdout: expect.stringContaining("durability: always") });
    const world = await serverWorld();
    onTestFinished(() => world.close());
    const asked = await becalm(["doctor", "--server", world.url]);
    expect(asked).toMatchObject({ code: 0, stdout: expect.stringContaining("durability: none") });
  });
});
