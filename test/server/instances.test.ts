import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { TokenBook } from "../../src/server/auth/tokens.ts";
import { meteredStore } from "../../src/server/metrics/metered-store.ts";
import { memoryStore } from "../../src/stores/memory/memory-store.ts";
import type { Store } from "../../src/stores/store.ts";
import { send, sendJson } from "../support/http-client.ts";
import { type ServerWorld, serverWorld } from "../support/server-world.ts";

const POLICIES = `
policies:
  - name: restart
    match: ['alertname="Down"']
    action: { handler: { name: restart } }
    converge: { function: defense, by: [alertname], count: 1, window: 5m }
  - name: page
    match: ['severity="page"']
    action: { webhook: { url: "http://user:secret@127.0.0.1:9/hook?key=secret", headers: { authorization: secret } } }
`;

type Row = {
  id: string;
  state: string;
  version: number;
  alert: { labels: Record<string, string> };
  sentence: { en: string };
};
type List = { instances: Row[]; next: string | null };
type ErrorBody = { error: { code: string; message: string; details: Record<string, unknown> } };

const tokens = new TokenBook([{ caller: { name: "ann", role: "admin" }, token: "t" }]);
const AS_ANN = { authorization: "Bearer t" };

describe("instances over HTTP", () => {
  let world: ServerWorld;
  const get = async (path: string) => send(world.url + path, { headers: AS_ANN });
  const post = (path: string, body: unknown, headers = {}) =>
    sendJson(world.url + path, body, { headers: { ...AS_ANN, ...headers } });
  const held = async () => ((await get("/v1/instances?state=Waiting")).json as List).instances;

  beforeAll(async () => {
    const handlers = { restart: async () => ({ ok: true }) };
    world = await serverWorld({ policies: POLICIES, tokens, engine: { handlers } });
    const alert = (instance: string) => ({
      status: "firing",
      labels: { alertname: "Down", instance },
      startsAt: new Date().toISOString(),
    });
    for (const instance of ["a", "b", "c", "d", "e", "f", "g", "h"]) await post("/v1/alerts", [alert(instance)]);
    await vi.waitUntil(async () => (await held()).length === 7, { timeout: 30_000 });
  });
  afterAll(() => world.close());

  test("are listed newest first with what made them and why, in pages", async () => {
    const first = (await get("/v1/instances?policy=restart&limit=5")).json as List;
    expect(first.instances).toHaveLength(5);
    expect(first.instances[0]).toMatchObject({ policy: "restart", alert: { labels: { alertname: "Down" } } });
    expect(first.instances[0]?.sentence.en).toMatch(/\w/);
    const second = (await get(`/v1/instances?policy=restart&limit=5&cursor=${first.next}`)).json as List;
    const ids = [...first.instances, ...second.instances].map(({ id }) => id);
    // Eight alerts, and the request that asks for the approval of seven.
    expect(new Set(ids).size).toBe(9);
    expect(second.next).toBeNull();
  });

  test("are found by labels, a text in them, reason and time, a page at a time", async () => {
    const found = async (query: Record<string, string>) => {
      const list = (await get(`/v1/instances?${new URLSearchParams(query).toString()}`)).json as List;
      return list.instances.map(({ alert }) => alert?.labels["instance"] ?? "").sort((a, b) => (a < b ? -1 : 1));
    };
    expect(await found({ labels: 'instance=~"a|b"' })).toEqual(["a", "b"]);
    expect(await found({ labels: 'instance!~"a|b",alertname="Down"', limit: "3" })).toHaveLength(3);
    expect(await found({ text: "dOW", labels: 'instance="c"' })).toEqual(["c"]);
    expect(await found({ text: "nobody" })).toEqual([]);
    expect(await found({ reason: "limit_reached", labels: 'instance="a"' })).toEqual([]);
    expect(await found({ since: "1h", labels: 'instance="a"' })).toEqual(["a"]);
    expect(await found({ since: new Date(Date.now() + 60_000).toISOString() })).toEqual([]);
  });

  test.each(["limit=0", "labels=(", "since=yesterday", "reason=because", "limit=x", "limit=1001"])(
    "refuse the filter %s",
    async (query) => {
      const { status, json } = await get(`/v1/instances?${query}`);
      expect(status).toBe(400);
      expect(json).toMatchObject({ error: { code: "BECALM_ARGUMENT_INVALID" } });
    },
  );

  test("refuse a state that there is not, and say which there are and which was meant", async () => {
    const message = async (state: string) => {
      const { status, json } = await get(`/v1/instances?state=${state}`);
      return [status, (json as { error: { code: string; message: string } }).error.message];
    };
    const states = "Idle, Processing, Proceeding, Success, Failed, Defense, Waiting, Skipped";
    expect(await message("Nowhere")).toEqual([400, expect.stringContaining(`one of ${states}, not "Nowhere".`)]);
    expect(await message("waitng")).toEqual([400, expect.stringContaining('not "waitng". Did you mean Waiting?')]);
  });

  test("refuse a filter that they do not have, which would otherwise show everything, and say what was meant", async () => {
    for (const list of ["instances", "groups", "approvals"]) {
      const { status, json } = await get(`/v1/${list}?polcy=restart`);
      expect(status).toBe(400);
      expect(json).toMatchObject({ error: { message: 'A list has no filter "polcy". Did you mean policy?' } });
    }
  });

  test("show one with its version as ETag, its history and its picture", async () => {
    const [row] = await held();
    const { status, headers, json } = await get(`/v1/instances/${row?.id}`);
    expect([status, headers["etag"]]).toEqual([200, `"${row?.version}"`]);
    expect(json).toMatchObject({ id: row?.id, state: "Waiting", path: expect.arrayContaining(["Defense", "Waiting"]) });
    const history = (await get(`/v1/instances/${row?.id}/history`)).json as { entries: { sentence: { en: string } }[] };
    expect(history.entries.length).toBeGreaterThan(0);
    const picture = await get(`/v1/instances/${row?.id}/drawing.svg`);
    expect(picture.headers["content-type"]).toBe("image/svg+xml");
    expect(picture.headers["content-security-policy"]).toContain("default-src 'none'");
    expect(picture.text).toMatch(/^<svg/);
  });

  test.each(["03-000000000000000000000000", "99-000000000000000000000000", "x", "__proto__", "%00"])(
    "say that there is no %s",
    async (id) => {
      expect((await get(`/v1/instances/${id}`)).status).toBe(404);
      expect((await post(`/v1/instances/${id}/approve`, { why: "x" })).status).toBe(404);
    },
  );

  test("an approval is by the token's name, and the loser is told who won and when", async () => {
    const [row] = await held();
    const path = `/v1/instances/${row?.id}`;
    const won = await post(`${path}/approve`, { by: "somebody else", why: "looked at it" });
    expect(won.status).toBe(200);
    const lost = await post(`${path}/deny`, { why: "too late" });
    expect(lost.status).toBe(409);
    const history = (await get(`${path}/history`)).json as { entries: { actor: string }[] };
    expect(history.entries.some(({ actor }) => actor === "ann")).toBe(true);
    const { error } = lost.json as ErrorBody;
    expect(error.code).toBe("BECALM_EVENT_REFUSED");
    expect(error.details["last"]).toMatchObject({ at: expect.stringMatching(/Z$/), actor: expect.any(String) });
  });

  test("412 comes before 409: who saw an older version is told so, and nothing is written", async () => {
    const [row] = await held();
    const path = `/v1/instances/${row?.id}`;
    const old = { "if-match": `"${(row?.version ?? 0) - 1}"` };
    const refused = await post(`${path}/approve`, { why: "x" }, old);
    expect(refused.status).toBe(412);
    expect((refused.json as ErrorBody).error.details).toMatchObject({ version: row?.version, state: "Waiting" });
    const denied = await post(`${path}/deny`, { why: "no" }, { "if-match": `"${row?.version}"` });
    expect(denied.status).toBe(200);
    expect((await post(`${path}/deny`, { why: "no" }, old)).status).toBe(412);
    expect((await post(`${path}/deny`, { why: "no" })).status).toBe(409);
  });

  test("two answers to the same version: one is taken, and the other is told that it moved on, by whom", async () => {
    const [row] = await held();
    const path = `/v1/instances/${row?.id}`;
    const seen = { "if-match": `"${row?.version}"` };
    const answers = await Promise.all([
      post(`${path}/approve`, { why: "yes" }, seen),
      post(`${path}/deny`, { why: "no" }, seen),
    ]);
    expect(answers.map(({ status }) => status).sort((a, b) => a - b)).toEqual([200, 412]);
    const lost = answers.find(({ status }) => status === 412)?.json as ErrorBody;
    expect(lost.error.details["last"]).toMatchObject({ actor: expect.any(String) });
    expect((await post(`${path}/deny`, { why: "no" }, { "if-match": "nonsense" })).status).toBe(412);
  });

  test("take events that are sent, and refuse those that there are not", async () => {
    const [row] = await held();
    const path = `/v1/instances/${row?.id}/events`;
    expect((await post(path, { type: "nope", why: "x" })).status).toBe(400);
    expect((await post(path, { type: "cancel" })).status).toBe(400);
    const cancelled = await post(path, { type: "cancel", why: "wrong host" });
    expect(cancelled.json).toMatchObject({ id: row?.id, state: "Skipped" });
  });

  test("are held in a number that no page cuts, since the first of them, whatever the page shows", async () => {
    type Approval = { held: number; since: string; instances: string[] };
    const pages = ["/v1/approvals", "/v1/approvals?limit=2"];
    const [whole, cut] = (await Promise.all(pages.map(get))).map(
      ({ json }) => json as { approvals: Approval[]; next: string },
    );
    const [all] = whole?.approvals ?? [];
    expect(cut?.approvals).toMatchObject([
      { held: all?.held, since: all?.since, instances: all?.instances.slice(0, 2) },
    ]);
    const second = (await get(`/v1/approvals?limit=1000&cursor=${cut?.next}`)).json as { approvals: Approval[] };
    expect(second.approvals).toMatchObject([{ held: all?.held }]);
  });

  test("are answered for a whole group at once", async () => {
    const { approvals } = (await get("/v1/approvals")).json as {
      approvals: { group: string; instances: string[]; held: number }[];
    };
    expect(approvals).toHaveLength(1);
    const [storm] = approvals;
    expect(storm).toMatchObject({
      action: { kind: "handler", name: "restart" },
      shown: storm?.instances.map((id) => ({ id, labels: { alertname: "Down" } })),
    });
    expect(storm?.instances).toHaveLength(storm?.held ?? 0);
    const { groups } = (await get("/v1/groups")).json as { groups: { id: string }[] };
    expect(groups.map(({ id }) => id)).toContain(storm?.group);
    const path = `/v1/groups/${encodeURIComponent(storm?.group ?? "")}`;
    const open = { executed: expect.any(Number), until: expect.stringMatching(/Z$/) };
    expect((await get(path)).json).toMatchObject({
      id: storm?.group,
      policy: "restart",
      dimensions: { alertname: "Down" },
      open,
      held: storm?.held,
    });
    const { status, json } = await post(`${path}/approve`, { why: "go" });
    expect([status, (json as List).instances.length]).toEqual([200, storm?.held]);
    expect((await post(`${path}/approve`, { why: "go" })).status).toBe(404);
    expect((await get("/v1/groups/nope")).status).toBe(404);
  });

  test("show the policies, without what is secret in them", async () => {
    const { text, json } = await get("/v1/policies");
    expect(text).not.toContain("secret");
    const { policies } = json as { policies: { name: string; version: string }[] };
    const [policy] = policies;
    expect((await get(`/v1/policies/${policy?.name}@${policy?.version}`)).json).toMatchObject({ name: policy?.name });
    expect((await get(`/v1/policies/${policy?.name}`)).json).toMatchObject({ version: policy?.version });
    expect((await get("/v1/policies/nope@1")).status).toBe(404);
  });
});

describe("what became of each alert", () => {
  let world: ServerWorld;
  beforeAll(async () => {
    world = await serverWorld({ policies: POLICIES, engine: { handlers: { restart: async () => ({}) } } });
  });
  afterAll(() => world.close());

  test("is told alert by alert; the good ones of a bad body are taken", async () => {
    const startsAt = new Date().toISOString();
    const alerts = [
      { status: "firing", labels: { alertname: "Down", instance: "a" }, startsAt },
      { status: "broken", labels: { alertname: "Down" }, startsAt },
      { status: "firing", labels: { alertname: "Other" }, startsAt },
    ];
    const body = { version: "4", status: "firing", alerts, truncatedAlerts: 7 };
    const { status, json } = await sendJson(`${world.url}/v1/alerts`, body);
    expect(status).toBe(400);
    expect(json).toMatchObject({
      truncated: 7,
      taken: 1,
      unmatched: 1,
      rejected: 1,
      alerts: [
        { index: 0, outcome: "taken", instances: [{ policy: "restart", outcome: "created" }] },
        { index: 1, outcome: "rejected", code: "BECALM_ALERT_INVALID" },
        { index: 2, outcome: "unmatched", instances: [] },
      ],
    });
    expect((await send(`${world.url}/api/v2/alerts`)).json).toHaveLength(2);
    expect((await sendJson(`${world.url}/api/v2/alerts`, [{ labels: { "": "x" } }])).status).toBe(400);
    const { text } = await send(`${world.url}/metrics`);
    expect(text).toContain('becalm_alerts_received_total{outcome="rejected"} 2\n');
    expect(text).toContain("becalm_alerts_truncated_total 7\n");
  });

  test.each([{ body: {} }, { body: 1 }, { body: null }, { body: { alerts: {} } }])(
    "refuses the body $body",
    async ({ body }) => {
      expect((await sendJson(`${world.url}/v1/alerts`, body)).status).toBe(400);
    },
  );

  test("names of a prototype are labels like any other", async () => {
    const labels = JSON.parse('{"__proto__":"x","constructor":"y","toString":"z","severity":"page"}') as object;
    expect((await sendJson(`${world.url}/api/v2/alerts`, [{ labels }])).status).toBe(200);
    const { json } = await send(`${world.url}/api/v2/alerts?filter=severity=page`);
    expect((json as { labels: object }[])[0]?.labels).toEqual(labels);
    expect(Object.keys(Object.prototype)).toEqual([]);
    expect(({} as Record<string, unknown>)["x"]).toBeUndefined();
  });

  test("is held while everything is paused, and decided when the pause is lifted so", async () => {
    const ask = (method: string, query = "") =>
      sendJson(`${world.url}/v1/pause${query}`, { by: "bob", why: "stop" }, { method });
    expect((await ask("PUT")).json).toMatchObject({ by: "bob (unauthenticated)", policy: null });
    expect((await ask("PUT")).status).toBe(409);
    expect((await send(`${world.url}/v1/pause`)).json).toMatchObject({ pauses: [{ why: "stop" }] });
    await sendJson(`${world.url}/api/v2/alerts`, [{ labels: { severity: "page", instance: "paused" } }]);
    const waiting = async () => ((await send(`${world.url}/v1/instances?state=Waiting`)).json as List).instances;
    expect((await waiting()).map(({ alert }) => alert?.labels["instance"])).toContain("paused");
    expect((await ask("DELETE", "?decide=true")).json).toMatchObject({ decided: 1 });
    expect((await ask("DELETE")).status).toBe(404);
    expect((await send(`${world.url}/v1/pause?by=bob&why=over`, { method: "DELETE" })).status).toBe(404);
    expect((await send(`${world.url}/v1/pause`, { method: "DELETE" })).status).toBe(400);
  });

  test("an answer without a token is marked as unproved", async () => {
    const { json } = await send(`${world.url}/v1/instances?policy=restart`);
    const [row] = (json as List).instances;
    await sendJson(`${world.url}/v1/instances/${row?.id}/events`, { type: "end", by: "bob", why: "done" });
    const { text } = await send(`${world.url}/v1/instances/${row?.id}/history`);
    expect(text).toContain("bob (unauthenticated)");
  });
});

describe("what a list reads", () => {
  const calls = { history: 0, list: 0 };
  const counted = (store: Store): Store =>
    new Proxy(store, {
      get: (target, name: keyof Store) => {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== "function") return value;
        return (...given: unknown[]) => {
          if (name === "history" || name === "list") calls[name] += 1;
          return (value as (...given: unknown[]) => unknown).apply(target, given);
        };
      },
    });
  const hosts = Array.from({ length: 60 }, (_, index) => `host-${index}`);
  let world: ServerWorld;
  const read = async (path: string) => {
    Object.assign(calls, { history: 0, list: 0 });
    return (await send(world.url + path)).json as List & { groups: { id: string; held: number }[] };
  };

  beforeAll(async () => {
    const handlers = { restart: async () => ({ ok: true }) };
    world = await serverWorld({ policies: POLICIES, store: counted(memoryStore()), engine: { handlers } });
    for (const alertname of ["Down", "Other"])
      await sendJson(
        `${world.url}/api/v2/alerts`,
        hosts.map((instance) => ({ labels: { alertname, instance, severity: alertname === "Other" ? "page" : "" } })),
      );
  });
  afterAll(() => world.close());

  test("is one history a row, and no history to find rows by their labels", async () => {
    expect((await read("/v1/instances?limit=20")).instances).toHaveLength(20);
    expect(calls.history).toBe(20);
    expect((await read(`/v1/instances?labels=${encodeURIComponent('instance="host-7"')}`)).instances).toHaveLength(2);
    expect(calls.history).toBe(2);
    expect((await read("/v1/instances?text=host-5&state=Waiting")).instances.length).toBeGreaterThan(9);
    expect(calls.list).toBeLessThanOrEqual(2);
  });

  test("that does not see everything says so", async () => {
    const partly = new Proxy(memoryStore(), {
      get: (target, name: keyof Store) => {
        const value: unknown = Reflect.get(target, name, target);
        if (name === "list") return async () => ({ instances: [], next: "1:00-a", unreached: [3] });
        return typeof value === "function" ? (value.bind(target) as unknown) : value;
      },
    });
    const other = await serverWorld({ store: partly });
    const ask = async (path: string) => (await send(other.url + path)).json;
    for (const list of ["instances", "approvals", "groups"])
      expect(await ask(`/v1/${list}`)).toMatchObject({ [list]: [], unreached: [3] });
    expect(await ask("/v1/groups")).toMatchObject({ isCut: true });
    const message = expect.stringMatching(/newest 10000 .* GET \/v1\/instances\?group=old /);
    expect(await ask("/v1/groups/old")).toMatchObject({ error: { code: "BECALM_NOT_FOUND", message } });
    await other.close();
  });

  test("of groups is their own records, and of approvals one history a group", async () => {
    const { groups, next } = await read("/v1/groups?limit=1");
    expect(groups).toMatchObject([{ policy: "restart", held: 59 }]);
    expect([next, calls.history]).toEqual([null, 0]);
    await read("/v1/approvals?limit=1000");
    expect(calls.history).toBe(1);
    await read("/v1/storm");
    expect(calls.history).toBe(0);
  });
});

test("a call of the store that fails is counted, whichever call the serving of requests makes", async () => {
  const failing = new Proxy({} as Store, { get: () => () => Promise.reject(new Error("no store")) });
  const failed: string[] = [];
  const ignored = () => {};
  const meter = { committed: ignored, emitted: ignored, settled: ignored, timersFound: ignored };
  const store = meteredStore(failing, { ...meter, failed: (call) => void failed.push(call) });
  const calls = ["load", "tally", "renewEpisodes", "dueTimes", "commit", "timers", "history"] as const;
  for (const call of calls)
    await expect((store[call] as (request: unknown) => unknown)({})).rejects.toThrow("no store");
  expect(failed).toEqual(calls);
});
