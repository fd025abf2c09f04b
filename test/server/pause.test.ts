import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TokenBook } from "../../src/server/auth/tokens.ts";
import { send, sendJson } from "../support/http-client.ts";
import { type ServerWorld, serverWorld } from "../support/server-world.ts";

const POLICIES = `
policies:
  - name: restart
    match: ['alertname="Down"']
    action: { handler: { name: restart } }
`;

const tokens = new TokenBook([
  { caller: { name: "ann", role: "operate" }, token: "t" },
  { caller: { name: "eve", role: "read" }, token: "r" },
]);

describe("the emergency stop over HTTP", () => {
  let world: ServerWorld;
  const ran: string[] = [];
  const as = (token: string) => ({ authorization: `Bearer ${token}` });
  const ask = (call: string, body: unknown, token = "t") => {
    const [method = "", path] = call.split(" ");
    return sendJson(`${world.url}${path}`, body, { method, headers: as(token) });
  };
  const alert = (instance: string) => ({ status: "firing", labels: { alertname: "Down", instance } });
  const post = (...instances: string[]) => ask("POST /v1/alerts", instances.map(alert));
  const states = async () => {
    const { json } = await send(`${world.url}/v1/instances?policy=restart`, { headers: as("r") });
    return (json as { instances: { state: string; kind: string }[] }).instances
      .filter(({ kind }) => kind === "action")
      .map(({ state }) => state);
  };

  beforeAll(async () => {
    const handlers = {
      restart: ({ alert: it }: { alert: { labels: Record<string, string> } | null }) =>
        void ran.push(it?.labels["instance"] ?? ""),
    };
    world = await serverWorld({ policies: POLICIES, tokens, engine: { handlers } });
  });
  afterAll(() => world.close());

  test("holds what would run, says who and why, and decides it when it is lifted so", async () => {
    expect((await ask("PUT /v1/pause", { why: "the racks move" }, "r")).status).toBe(403);
    const unknown = await ask("PUT /v1/pause", { why: "the racks move", policy: "restrat" });
    expect([unknown.status, unknown.text]).toEqual([404, expect.stringContaining("It has: restart.")]);
    expect((await ask("PUT /v1/pause", { why: "the racks move" })).json).toMatchObject({ policy: null, by: "ann" });
    expect((await ask("PUT /v1/pause", { why: "again" })).status).toBe(409);
    await post("a", "b");
    const { json } = await send(`${world.url}/v1/pause`, { headers: as("r") });
    expect(json).toMatchObject({ pauses: [{ policy: null, by: "ann", why: "the racks move" }] });
    expect(await states()).toEqual(["Waiting", "Waiting"]);
    expect(ran).toEqual([]);
    expect((await ask("DELETE /v1/pause?decide=true&deny=true", { why: "done" })).status).toBe(400);
    expect((await ask("DELETE /v1/pause?decide=true", { why: "done" })).json).toMatchObject({ decided: 2 });
    await expect.poll(() => ran.length).toBe(2);
  });
});
