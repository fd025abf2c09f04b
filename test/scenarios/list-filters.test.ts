import { afterEach, describe, expect, test } from "vitest";
import { createEngine, type Engine, memoryStore } from "../../src/index.ts";

const NOW_MS = 1_764_000_000_000;
let engine: Engine;

async function storm(): Promise<void> {
  let nowMs = NOW_MS;
  const clock = { now: () => nowMs, schedule: () => () => {} };
  engine = createEngine({
    policies: [
      {
        name: "restart",
        match: ['alertname="HostDown"'],
        action: { log: {} },
        converge: { function: "skip_when_exceed", by: ["cluster"], count: 1, window: "1h" },
      },
    ],
    store: memoryStore({ now: () => nowMs }),
    clock,
  });
  for (let at = 0; at < 40; at += 1) {
    nowMs = NOW_MS + at * 60_000;
    const labels = { alertname: "HostDown", cluster: at % 2 === 0 ? "core" : "edge", host: `web-${at}` };
    await engine.ingest([{ labels, startsAt: new Date(nowMs).toISOString() }]);
  }
}

afterEach(() => engine.stop());

describe("engine.list", () => {
  test("gives each instance with its alert's labels, and the sentence that says why", async () => {
    await storm();
    const { instances } = await engine.list({ labels: { host: "web-7" } });
    expect(instances[0]).toMatchObject({
      state: "Skipped",
      labels: { alertname: "HostDown", cluster: "edge", host: "web-7" },
      sentence: { en: expect.stringContaining("was converged"), zh: expect.any(String) },
    });
    const { id, labels, sentence } = instances[0] as (typeof instances)[number];
    expect(await engine.get(id).snapshot()).toMatchObject({ labels, sentence });
    const ended = await engine.get(id).send({ type: "end", by: "ada", why: "known" });
    expect(ended.labels).toEqual(labels);
    expect(ended.sentence?.en).toContain("ada");
  });

  test("finds instances by label, by matcher, by reason and by when they were made", async () => {
    await storm();
    const count = async (filter: Parameters<Engine["list"]>[0]) => (await engine.list(filter)).instances.length;
    expect(await count({ labels: { host: "web-7" } })).toBe(1);
    expect(await count({ labels: { cluster: "core" } })).toBe(20);
    expect(await count({ labels: 'cluster="core",host=~"web-1.*"' })).toBe(5);
    expect(await count({ labels: { rack: "" } })).toBe(40);
    expect(await count({ reason: "limit_reached" })).toBe(38);
    expect(await count({ reason: "limit_reached", labels: { cluster: "edge" } })).toBe(19);
    expect(await count({ since: NOW_MS + 30 * 60_000 })).toBe(10);
    expect(await count({ since: new Date(NOW_MS + 39 * 60_000).toISOString() })).toBe(1);
  });

  test("gives pages that fit together, also where few match", async () => {
    await storm();
    const seen: string[] = [];
    let cursor: string | null = null;
    do {
      const page = await engine.list({ labels: { cluster: "edge" }, limit: 3, ...(cursor === null ? {} : { cursor }) });
      seen.push(...page.instances.map(({ id }) => id));
      cursor = page.next;
    } while (cursor !== null);
    expect(new Set(seen).size).toBe(20);
    expect(seen).toHaveLength(20);
  });

  test("refuses a matcher, a time and a reason that are none", async () => {
    await storm();
    for (const filter of [{ labels: "host=~(" }, { since: "yesterday" }, { reason: "because" }])
      await expect(engine.list(filter)).rejects.toMatchObject({ code: "BECALM_ARGUMENT_INVALID" });
  });
});
