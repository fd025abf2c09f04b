import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { splitLine } from "../../src/instance/history-lines.ts";
import { redisStore } from "../../src/stores/redis/redis-store.ts";
import { becalm, jsonLines, ROOT, startBecalm, useFiles } from "../support/command.ts";
import { useRedis } from "../support/redis-server.ts";
import { type Delivery, startWebhookTarget, type WebhookTarget } from "../support/webhook-target.ts";

const STORM = join(ROOT, "demo/storm.jsonl");
const CONCURRENCY = 4;

const redis = useRedis();
const file = useFiles();
let target: WebhookTarget;
let policies: string;
/** What a run that nobody disturbs says, and what it delivers. */
let undisturbed: { stdout: string; keys: string[]; results: string[] };

/** Disks fail twice, so that retries and their timers are under way; the rest depends on the policy alone. */
function statusOf({ body }: Delivery): number {
  return body.policy === "disks" && body.attempt < 3 ? 503 : body.policy === "hopeless" ? 500 : 200;
}

function policyFile(url: string): string {
  const action = `action: { webhook: { url: "${url}" } }`;
  return `policies:
  - { name: each-error, match: ['alertname="HighErrorRate"'], ${action} }
  - { name: disks, match: ['alertname=~"DiskAlmostFull|DiskFull"'], ${action}, converge: { function: skip_when_success, by: [cluster], count: 1, window: 5m }, retry: { limit: 2, delay: 10s } }
  - { name: one-by-one, match: ['alertname="InstanceDown"'], ${action}, converge: { function: wait_when_proceed, by: [rack], count: 1, window: 5m } }
  - { name: hopeless, match: ['alertname="InstanceDown"', 'rack="r1"'], ${action}, converge: { function: approve_when_failed, by: [cluster], count: 1, window: 10m }, retry: { limit: 1, delay: 5m } }
  - { name: latency, match: ['alertname="HighLatency"'], ${action}, converge: { function: collect, by: [region], count: 1, window: 5m } }
`;
}

function runArgs(namespace: string): string[] {
  const where = ["--store", redis.url, "--namespace", namespace];
  return [
    "run",
    "--execute",
    "--policies",
    policies,
    "--alerts",
    STORM,
    "--json",
    "--concurrency",
    String(CONCURRENCY),
    ...where,
  ];
}

beforeAll(async () => {
  target = await startWebhookTarget(statusOf);
  policies = file("policies.yaml", policyFile(target.url));
  const { code, stdout } = await becalm(runArgs("undisturbed"));
  expect(code).toBe(0);
  undisturbed = {
    stdout,
    keys: target.deliveries.map(({ key }) => key),
    results: await acceptedResults("undisturbed"),
  };
});

afterAll(() => target.stop());

beforeEach(() => {
  target.deliveries.length = 0;
  target.onDelivery = () => {};
});

/** Runs until the target has got `count` more deliveries, and kills the command before the last of them is answered. */
async function killAtDelivery(namespace: string, count: number): Promise<void> {
  const { child, ended } = startBecalm(runArgs(namespace));
  const before = target.deliveries.length;
  target.onDelivery = (_delivery, total) => {
    if (total === before + count) child.kill("SIGKILL");
  };
  const { signal } = await ended;
  target.onDelivery = () => {};
  expect(signal).toBe("SIGKILL");
}

type Accepted = { readonly type: string; readonly attempt: number };

/** Results that the audit trails hold, as `<instance> <attempt>`. */
async function acceptedResults(namespace: string): Promise<string[]> {
  const store = redisStore(redis.url, { namespace });
  try {
    await store.open({});
    const { instances } = await store.list({ limit: 10_000 });
    const results: string[] = [];
    for (const { id } of instances) {
      for (const line of (await store.history(id)) ?? []) {
        const { event } = JSON.parse(splitLine(line).json) as { event?: Accepted };
        if (event?.type?.startsWith("effect.")) results.push(`${id} ${event.attempt}`);
      }
    }
    return results;
  } finally {
    await store.close();
  }
}

/** What a kill may cost: the deliveries that were under way come again, under the same keys. */
function expectNothingLostOrNew(kills: number): void {
  const keys = target.deliveries.map(({ key }) => key);
  expect(new Set(keys)).toEqual(new Set(undisturbed.keys));
  expect(keys.length - undisturbed.keys.length).toBeLessThanOrEqual(kills * CONCURRENCY);
}

async function expectAcceptedOnce(namespace: string): Promise<void> {
  const results = await acceptedResults(namespace);
  expect(results.length).toBe(new Set(results).size);
  expect(results.toSorted()).toEqual(undisturbed.results.toSorted());
}

describe("a run that is killed", () => {
  test("has something to lose: the undisturbed one delivers dozens of effects, with retries, waiters, approvals and a summary", () => {
    const { summary } = jsonLines<{ summary: Record<string, number> }>(undisturbed.stdout).at(-1) as {
      summary: Record<string, number>;
    };
    expect(undisturbed.keys.length).toBeGreaterThan(80);
    expect(undisturbed.keys.length).toBe(new Set(undisturbed.keys).size);
    expect(summary["waiting"]).toBeGreaterThan(0);
    expect(summary["summaries"]).toBe(1);
  });

  test.each([1, 2, 17, 60])(
    "at its %ith delivery says the same when it is run again, and no result is accepted twice",
    async (count) => {
      const namespace = `killed-at-${count}`;
      await killAtDelivery(namespace, count);
      const { code, stdout } = await becalm(runArgs(namespace));
      expect(code).toBe(0);
      expect(stdout).toBe(undisturbed.stdout);
      expectNothingLostOrNew(1);
      await expectAcceptedOnce(namespace);
    },
  );

  test("again and again, after its last line too, ends where the undisturbed one ends", async () => {
    const total = undisturbed.keys.length;
    const steps = [3, 20, 40, 15];
    for (const count of steps) await killAtDelivery("killed-often", count);
    const left = total - new Set(target.deliveries.map(({ key }) => key)).size;
    expect(left).toBeGreaterThan(2);
    await killAtDelivery("killed-often", left - 1);
    const { stdout } = await becalm(runArgs("killed-often"));
    expect(stdout).toBe(undisturbed.stdout);
    expectNothingLostOrNew(steps.length + 1);
    await expectAcceptedOnce("killed-often");
    const { code } = await becalm(["audit", "verify", "--store", redis.url, "--namespace", "killed-often"]);
    expect(code).toBe(0);
  });
});

describe("a run that is asked to stop", () => {
  test("by SIGTERM ends after its line with 143, says how to go on, and a second run ends as the undisturbed one", async () => {
    const { child, ended } = startBecalm(runArgs("stopped"));
    target.onDelivery = (_delivery, total) => {
      if (total === 10) child.kill("SIGTERM");
    };
    const stopped = await ended;
    expect(stopped.code).toBe(143);
    expect(stopped.stdout).toBe("");
    expect(stopped.stderr).toContain("run the same command again");
    const { stdout } = await becalm(runArgs("stopped"));
    expect(stdout).toBe(undisturbed.stdout);
    expectNothingLostOrNew(0);
  });
});

describe("two runs of one namespace at the same time", () => {
  test("are refused: the second says that the other works there, with exit 4, and the first is not disturbed", async () => {
    let release = () => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    const isUnderWay = new Promise<void>((resolve) => {
      target.onDelivery = () => {
        resolve();
        return held;
      };
    });
    const first = startBecalm(runArgs("busy"));
    await isUnderWay;
    const second = await becalm(runArgs("busy"));
    release();
    expect(second.code).toBe(4);
    expect(second.stderr).toContain("BECALM_NAMESPACE_BUSY");
    expect((await first.ended).stdout).toBe(undisturbed.stdout);
    expectNothingLostOrNew(0);
  });
});
