import { join } from "node:path";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { becalm, ROOT, useFiles } from "../support/command.ts";
import { useRedis } from "../support/redis-server.ts";
import { startWebhookTarget, type WebhookTarget } from "../support/webhook-target.ts";

const STORM = join(ROOT, "demo/storm.jsonl");

const redis = useRedis({ args: ["--appendonly", "yes", "--appendfsync", "always"] });
const file = useFiles();
let target: WebhookTarget;
let policies: string;
let undisturbed: string;

function runArgs(namespace: string): string[] {
  return [
    "run",
    "--execute",
    "--policies",
    policies,
    "--alerts",
    STORM,
    "--json",
    "--store",
    redis.url,
    "--namespace",
    namespace,
  ];
}

beforeAll(async () => {
  target = await startWebhookTarget(() => 200);
  const action = `action: { webhook: { url: "${target.url}" } }`;
  policies = file("policies.yaml", `policies:\n  - { name: each, match: ['alertname="HighErrorRate"'], ${action} }\n`);
  undisturbed = (await becalm(["run", "--execute", "--policies", policies, "--alerts", STORM, "--json"])).stdout;
});

afterAll(() => target.stop());

describe("a run whose store fails in the middle", () => {
  test("because the server was killed ends soon with 1 and says so; when it is back a second run ends as an undisturbed one", async () => {
    const killed: Promise<void>[] = [];
    const before = target.deliveries.length;
    target.onDelivery = (_delivery, count) => {
      if (count === before + 10) killed.push(redis.kill9());
    };
    const { code, stdout, stderr } = await becalm(runArgs("killed"));
    target.onDelivery = () => {};
    await Promise.all(killed);
    expect(code).toBe(1);
    expect(stdout).toBe("");
    expect(stderr).toContain("error BECALM_STORE_UNAVAILABLE");
    await redis.restart();
    expect((await becalm(runArgs("killed"))).stdout).toBe(undisturbed);
  });

  test("because it is out of memory ends with 1, has lost nothing, and goes on when there is more", async () => {
    const client = new Redis(redis.url);
    const before = target.deliveries.length;
    target.onDelivery = async (_delivery, count) => {
      if (count === before + 10) await client.config("SET", "maxmemory", "1mb");
    };
    const full = await becalm(runArgs("full"));
    target.onDelivery = () => {};
    await client.config("SET", "maxmemory", "0");
    client.disconnect();
    expect(full.code).toBe(1);
    expect(full.stderr).toContain("error BECALM_STORE_FULL");
    expect((await becalm(runArgs("full"))).stdout).toBe(undisturbed);
  });
});
