import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TokenBook } from "../../src/server/auth/tokens.ts";
import { AnswerLog } from "../../src/server/console/answer-log.ts";
import { StormView } from "../../src/server/console/storm-view.ts";
import { BundleReader } from "../../src/simulate/bundle.ts";
import { memoryStore } from "../../src/stores/memory/memory-store.ts";
import type { Store } from "../../src/stores/store.ts";
import { ROOT } from "../support/command.ts";
import { send, sendJson } from "../support/http-client.ts";
import { type ServerWorld, serverWorld } from "../support/server-world.ts";

const MINUTE_MS = 60_000;
const GZIP_BYTES_MAX = 60 * 1_024;
const step = (more: object) =>
  ({
    id: "00-a",
    policy: "p",
    group: "g",
    version: 1,
    atMs: 0,
    event: "start",
    from: null,
    verdict: null,
    snapshot: () => ({ kind: "action" }),
    ...more,
  }) as never;

type Storm = {
  readonly totals: Record<string, number>;
  readonly buckets: readonly { alerts: number; executed: number; skipped: number }[];
  readonly reasons: readonly { reason: string; count: number }[];
  readonly groups: readonly { id: string; instances: number }[];
};

describe("the console's numbers", () => {
  test("count alerts in, actions out, and why nothing was done, by the minute", () => {
    let nowMs = 1_000 * MINUTE_MS;
    const view = new StormView(() => nowMs);
    view.received(5);
    view.stepped([step({ to: "Processing" }), step({ to: "Skipped", reason: "limit_reached" })]);
    view.stepped([step({ to: "Processing", group: null, snapshot: () => ({ kind: "approval-request" }) })]);
    nowMs += MINUTE_MS;
    view.received(2);
    view.stepped([step({ from: "Waiting", to: "Skipped", reason: "approval_denied" })]);
    const { totals, buckets, reasons, groups } = view.json(3) as Storm;
    expect(totals).toEqual({ alerts: 7, executed: 1, skipped: 2 });
    expect(buckets.slice(-2).map(({ alerts, executed, skipped }) => [alerts, executed, skipped])).toEqual([
      [5, 1, 1],
      [2, 0, 1],
    ]);
    expect(reasons.map(({ reason, count }) => [reason, count])).toEqual([
      ["limit_reached", 1],
      ["approval_denied", 1],
    ]);
    expect(groups.map(({ id, instances }) => [id, instances])).toEqual([["g", 2]]);
  });

  test("of a group that is touched while the store is read after a start are those of the store, not of a moment", () => {
    const view = new StormView(() => 1_000);
    view.stepped([step({ id: "00-new", to: "Processing", atMs: 900 })]);
    const stored = { policy: "p", newestId: "00-old", instances: 5_001, executed: 4, skipped: 4_990, atMs: 800 };
    view.restore([{ id: "g", ...stored }]);
    expect((view.json(0) as Storm).groups).toMatchObject([
      { id: "g", newestId: "00-new", instances: 5_001, executed: 4, skipped: 4_990 },
    ]);
  });

  test("of answers know an answer once that was given while the store was read after a start", () => {
    const log = new AnswerLog();
    const answer = (id: string, atMs: number, group: string | null = null) =>
      step({ id, group, atMs, event: "approval.granted" });
    log.stepped([answer("00-a", 7), answer("00-b", 8, "g"), answer("00-c", 8, "g")]);
    log.restore([answer("00-x", 1), answer("00-a", 7), answer("00-b", 8, "g")]);
    const known = log.newest().map(({ instances, count }) => [count, ...instances]);
    expect(known).toEqual([
      [2, "00-b", "00-c"],
      [1, "00-a"],
      [1, "00-x"],
    ]);
  });

  test("forget what is older than three hours, and keep a bounded number of groups", () => {
    let nowMs = 1_000 * MINUTE_MS;
    const view = new StormView(() => nowMs);
    view.received(9);
    view.stepped(Array.from({ length: 3_000 }, (_, index) => step({ group: `g${index}`, to: "Success" })));
    nowMs += 181 * MINUTE_MS;
    const { totals, buckets, groups } = view.json(0) as Storm;
    expect(totals["alerts"]).toBe(0);
    expect(buckets.length).toBeLessThanOrEqual(180);
    expect(groups[0]?.id).toBe("g2999");
  });
});

const POLICIES = `
policies:
  - name: restart
    match: ['alertname="Down"']
    action: { webhook: { url: "http://127.0.0.1:9/hook?key=secret" } }
    converge: { function: defense, by: [cluster], count: 1, window: 5m }
`;

describe("what the console asks of its server", () => {
  const tokens = new TokenBook([
    { caller: { name: "ann", role: "operate" }, token: "t" },
    { caller: { name: "eve", role: "read" }, token: "r" },
  ]);
  const AS_ANN = { authorization: "Bearer t" };
  const store = memoryStore();
  let world: ServerWorld;
  const get = (path: string) => send(world.url + path, { headers: AS_ANN });
  const post = (path: string, body: unknown) => sendJson(world.url + path, body, { headers: AS_ANN });
  const held = async () =>
    ((await get("/v1/instances?state=Waiting")).json as { instances: readonly { id: string }[] }).instances;

  beforeAll(async () => {
    world = await serverWorld({ policies: POLICIES, store, tokens });
    const labels = (instance: string) => ({ alertname: "Down", cluster: "core", instance });
    await post(
      "/api/v2/alerts",
      ["a", "b", "c", "d", "e"].map((instance) => ({ labels: labels(instance) })),
    );
    const [one, , , group] = await held();
    await post(`/v1/instances/${one?.id}/deny`, { why: "under repair" });
    const { approvals } = (await get("/v1/approvals")).json as { approvals: readonly { group: string }[] };
    await post(`/v1/groups/${encodeURIComponent(approvals[0]?.group ?? "")}/approve`, { why: "go" });
    expect(group?.id).toBeDefined();
  });
  afterAll(() => world.close());

  test("tells who decided what, when and why: one line for a storm, also after a restart", async () => {
    const expected = [
      { event: "approval.granted", policy: "restart", by: "ann", why: "go", count: 3 },
      { event: "approval.denied", by: "ann", why: "under repair", count: 1, labels: { cluster: "core" } },
    ];
    expect((await get("/v1/decided")).json).toMatchObject({ decided: expected });
    const again = await serverWorld({ policies: POLICIES, store: keptOpen(store), tokens });
    const told = async () => (await send(`${again.url}/v1/decided`, { headers: AS_ANN })).json;
    await expect.poll(told).toMatchObject({ decided: expected });
    const { groups } = (await send(`${again.url}/v1/storm`, { headers: AS_ANN })).json as Storm;
    expect(groups).toMatchObject([{ policy: "restart", instances: 5, dimensions: { cluster: "core" } }]);
    await again.close();
  });

  test("gives an instance as a bundle that can be read, without what is secret in its policy", async () => {
    const { instances } = (await get("/v1/instances?labels=instance%3D%22a%22")).json as {
      instances: readonly { id: string }[];
    };
    const { text, status } = await get(`/v1/instances/${instances[0]?.id}/bundle`);
    expect(status).toBe(200);
    expect(text).not.toContain("key=secret");
    const reader = new BundleReader("bundle");
    const entries = text
      .trimEnd()
      .split("\n")
      .map((line) => reader.read(line));
    expect(entries.map(({ type }) => type)).toEqual(["header", "policy", "instance", "end"]);
    expect((await get("/v1/instances/03-000000000000000000000000/bundle")).status).toBe(404);
  });

  test("gives the machine as code for an editor, and what the reasons mean", async () => {
    expect((await get("/v1/machine")).text).toMatch(/^createMachine\(\{.*"Waiting".*\}\);\n$/s);
    const { reasons } = (await get("/v1/reasons")).json as { reasons: Record<string, object> };
    expect(reasons["limit_reached"]).toMatchObject({ en: expect.any(String), zh: expect.any(String) });
  });
});

test("an instance that takes several steps in one commit is created once, and leaves the state that it had reached", async () => {
  const world = await serverWorld({ policies: POLICIES });
  const alert = (instance: string) => ({
    labels: { alertname: "Down", cluster: "core", instance },
    startsAt: "2026-11-23T06:00:00Z",
  });
  // The second one joins the defense of the group and is over again, all in one body.
  const over = { ...alert("b"), endsAt: "2026-11-23T06:10:00Z" };
  expect((await sendJson(`${world.url}/v1/alerts`, [alert("a"), alert("b"), over])).status).toBe(200);
  const { instances } = (await send(`${world.url}/v1/instances`)).json as { instances: readonly { state: string }[] };
  expect(instances.map(({ state }) => state)).toContain("Skipped");
  const { groups } = (await send(`${world.url}/v1/storm`)).json as Storm;
  expect(groups).toMatchObject([{ instances: 2, skipped: 1 }]);
  const { text } = await send(`${world.url}/metrics`);
  const changes = text.split("\n").filter((line) => line.startsWith("becalm_state_changes_total{"));
  const counted = changes.filter((line) => line.includes('from="none"')).map((line) => Number(line.split(" ").at(-1)));
  expect(counted.reduce((sum, count) => sum + count, 0)).toBe(instances.length);
  expect(changes).toContain('becalm_state_changes_total{policy="restart",from="Waiting",to="Skipped"} 1');
  await world.close();
});

test("groups of a policy that came with a reload are shown with their dimensions", async () => {
  const world = await serverWorld();
  await expect.poll(async () => (await send(`${world.url}/v1/storm`)).status).toBe(200);
  const converge = "{ function: skip_when_success, by: [cluster], window: 5m }";
  const match = "['alertname=\"Down\"']";
  world.setPolicies(`policies:\n  - { name: fresh, match: ${match}, action: { log: {} }, converge: ${converge} }\n`);
  expect((await sendJson(`${world.url}/-/reload`, {})).status).toBe(200);
  await sendJson(`${world.url}/api/v2/alerts`, [{ labels: { alertname: "Down", cluster: "core" } }]);
  const { groups } = (await send(`${world.url}/v1/storm`)).json as Storm;
  expect(groups).toMatchObject([{ policy: "fresh", dimensions: { cluster: "core" } }]);
  await world.close();
});

/** Of a server that is closed while another still uses its store. */
function keptOpen(store: Store): Store {
  return new Proxy(store, {
    get: (target, name: keyof Store) => {
      const value: unknown = Reflect.get(target, name, target);
      if (name === "close") return async () => {};
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}

describe("the console's files", () => {
  const read = (name: string) => readFileSync(join(ROOT, "dist/src/console", name));

  test("are at most 60 KB, compressed", () => {
    const files = ["index.html", "app.css", "app.js"].map(read);
    expect(files.reduce((sum, file) => sum + gzipSync(file).length, 0)).toBeLessThan(GZIP_BYTES_MAX);
  });

  test("name nothing on another host", () => {
    const addresses = ["index.html", "app.css", "app.js"].flatMap(
      (name) =>
        read(name)
          .toString("utf8")
          .match(/https?:\/\/[^"'`\s)]+/g) ?? [],
    );
    // Names of XML vocabularies are no addresses that anything asks, and Stately's editor is a link that somebody follows.
    const asked = addresses.filter((address) => !address.startsWith("http://www.w3.org/"));
    expect(asked).toEqual(["https://stately.ai/editor"]);
  });
});
