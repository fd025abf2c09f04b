import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runProgram, skipUnlessThere } from "../support/debian-programs.ts";
import { send } from "../support/http-client.ts";
import { type ServerWorld, serverWorld } from "../support/server-world.ts";

const RULES = "deploy/becalm-rules.yml";

describe("alert rules for Becalm itself", () => {
  let world: ServerWorld;
  beforeAll(async () => {
    world = await serverWorld();
  });
  afterAll(() => world.close());

  test("ask only for metrics that a server has", async () => {
    const { text } = await send(`${world.url}/metrics`);
    const asked = new Set([...readFileSync(RULES, "utf8").matchAll(/becalm_[a-z_]+/g)].map(([name]) => name));
    const missing = [...asked].filter((name) => !text.includes(`# TYPE ${name.replace(/_bucket$/, "")} `));
    expect(missing).toEqual([]);
  });

  test.skipIf(skipUnlessThere())("pass Prometheus's own check", () => {
    const { code, stderr } = runProgram("promtool", ["check", "rules", RULES]);
    expect([code, stderr]).toEqual([0, ""]);
  });
});
