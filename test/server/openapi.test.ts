import { spawnSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { skipUnlessThere } from "../support/debian-programs.ts";
import { send, sendJson } from "../support/http-client.ts";
import { type ServerWorld, serverWorld } from "../support/server-world.ts";

type Operation = {
  operationId: string;
  summary: string;
  requestBody?: unknown;
  responses: Record<string, unknown>;
  parameters: { name: string; in: string }[];
};
type Description = { openapi: string; paths: Record<string, Record<string, Operation>> };

let world: ServerWorld;
let description: Description;
beforeAll(async () => {
  world = await serverWorld();
  description = (await send(`${world.url}/openapi.json`)).json as Description;
});
afterAll(() => world.close());

const METHODS = ["get", "post", "put", "delete"];

describe("/openapi.json", () => {
  test("describes every operation once, with a summary and its answers", () => {
    expect(description.openapi).toBe("3.1.0");
    const operations = Object.values(description.paths).flatMap((path) => Object.values(path));
    const ids = operations.map(({ operationId }) => operationId);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { summary, responses } of operations) {
      expect(summary).toMatch(/\w/);
      expect(Object.keys(responses).length).toBeGreaterThan(0);
    }
  });

  test("names the parameters of every path", () => {
    for (const [path, operations] of Object.entries(description.paths)) {
      const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      for (const { parameters } of Object.values(operations))
        expect(parameters.filter((one) => one.in === "path").map(({ name }) => name)).toEqual(named);
    }
  });

  test("says the truth: what it describes is answered, and what it does not describe is 405", async () => {
    for (const [path, operations] of Object.entries(description.paths)) {
      if (path === "/v1/events") continue;
      const url = world.url + path.replace(/\{\w+\}/g, "x");
      for (const method of METHODS) {
        const { status } = await send(url, { method: method.toUpperCase() });
        if (method in operations) expect([method, path, status]).not.toEqual([method, path, 405]);
        else expect([method, path, status]).toEqual([method, path, 405]);
      }
    }
  });

  test("says with what it refuses: a name that is unknown, parameters and bodies that mean nothing", async () => {
    const apis = Object.entries(description.paths).filter(
      ([path]) => /^\/(v1|api)\//.test(path) && path !== "/v1/events",
    );
    for (const [path, operations] of apis)
      for (const [method, { parameters, requestBody, responses }] of Object.entries(operations)) {
        const query = parameters.filter((one) => one.in === "query").map(({ name }) => `${name}=no.such`);
        const url = `${world.url}${path.replace(/\{\w+\}/g, "x")}?${query.join("&")}`;
        const headers = { "content-type": "application/json" };
        const bodies = requestBody === undefined ? [{ headers }] : [{ headers, body: "{" }, { headers }, {}];
        for (const asked of bodies) {
          const { status } = await send(url, { method: method.toUpperCase(), ...asked });
          expect([method, path, status, status in responses]).toEqual([method, path, status, true]);
        }
      }
  });
});

describe.skipIf(skipUnlessThere())("/metrics", () => {
  test("pass Prometheus's own check, begin with becalm_ and tell what was decided", async () => {
    await sendJson(`${world.url}/api/v2/alerts`, [
      { labels: { alertname: "Disk" }, startsAt: new Date().toISOString() },
    ]);
    await expect
      .poll(async () => (await send(`${world.url}/metrics`)).text)
      .toContain('verdict="run",reason="no_rule"} 1');
    const { text } = await send(`${world.url}/metrics`);
    const { status, stderr } = spawnSync("promtool", ["check", "metrics"], { input: text, encoding: "utf8" });
    expect([status, stderr]).toEqual([0, ""]);
    const names = [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name);
    expect(names.filter((name) => name?.startsWith("becalm_") !== true)).toEqual([]);
    expect(text).not.toMatch(/[0-9]{2}-[0-9a-f]{24}/);
  });
});
