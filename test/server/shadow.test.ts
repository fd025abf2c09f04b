import { afterEach, describe, expect, test, vi } from "vitest";
import type { ShadowReport, ShadowStatus } from "../../src/engine.ts";
import { loadPolicySet } from "../../src/formats/policy-file.ts";
import { shadowMeter } from "../../src/server/metrics/shadow-meter.ts";
import { type ShadowLook, ShadowWatch } from "../../src/server/shadow/shadow-watch.ts";
import { silentLogger } from "../../src/system/logger.ts";
import { type ServerWorld, serverWorld } from "../support/server-world.ts";

const rule = (count: number) => `policies:
  - name: shed
    match: ['team="core"']
    action: { log: {} }
    converge: { function: skip_when_exceed, by: [rack], count: ${count}, window: 10m }
`;
const shadow = loadPolicySet(rule(3).replace("'team=\"core\"'", ""), { file: "candidate.yaml" });

describe("GET /v1/shadow", () => {
  let world: ServerWorld;
  afterEach(() => world.close());
  const get = (path: string) => fetch(`${world.url}${path}`);
  const send = async (count: number, team: string) => {
    for (let index = 0; index < count; index += 1)
      await world.engine.ingest([{ labels: { rack: "r1", host: `h${index}`, team }, status: "firing" as const }]);
  };

  test("says what would have gone another way, with the alerts that only the candidate matches", async () => {
    world = await serverWorld({ policies: rule(1), engine: { shadow } });
    await send(4, "core");
    await send(2, "web");
    const answer = (await (await get("/v1/shadow?limit=2")).json()) as {
      summary: { instances: number; changed: number; was: { executed: number }; now: { executed: number } };
      changes: object[];
      more: number;
      policies: object[];
      shadow: object;
    };
    expect(answer.summary).toMatchObject({ instances: 6, was: { executed: 1 }, now: { executed: 3 } });
    expect([answer.changes.length, answer.changes.length + answer.more]).toEqual([2, answer.summary.changed]);
    expect(answer.policies).toMatchObject([{ policy: "shed", wasExecuted: 1, nowExecuted: 3 }]);
    expect(answer.shadow).toMatchObject({ unmatched: 2, forgotten: 0 });
  });

  test("is 404 without a shadow, 400 for nonsense, and then there is no metric of it", async () => {
    world = await serverWorld({ policies: rule(1) });
    expect((await get("/v1/shadow")).status).toBe(404);
    expect(await (await get("/metrics")).text()).not.toContain("becalm_shadow_");
    await world.close();
    world = await serverWorld({ policies: rule(1), engine: { shadow } });
    for (const query of ["since=yesterday", "since=", "limit=-1", "limit=many", "limit=20001"])
      expect((await get(`/v1/shadow?${query}`)).status, query).toBe(400);
    expect(await (await get("/metrics")).text()).toContain("becalm_shadow_unmatched_alerts 0");
  });

  test("the metrics say what the last look found, and how long it took", async () => {
    world = await serverWorld({ policies: rule(1), engine: { shadow } });
    await send(4, "core");
    world.metrics.registry.clear();
    const looked = shadowMeter(world.metrics.registry, () => world.engine.status().shadow);
    const watch = new ShadowWatch({ engine: world.engine, logger: silentLogger, looked });
    await watch.look();
    watch.close();
    const text = await world.metrics.registry.metrics();
    expect(text).toContain("becalm_shadow_instances 4");
    expect(text).toContain('becalm_shadow_changes{kind="newly_executed"} 2');
    expect(text).toContain('becalm_shadow_executed{side="was"} 1');
    expect(text).toContain('becalm_shadow_executed{side="now"} 3');
    expect(text).toContain('becalm_shadow_looks_total{outcome="done"} 1');
  });
});

describe("the looks of a server at its shadow", () => {
  let watch: ShadowWatch;
  afterEach(() => {
    watch.close();
    vi.useRealTimers();
  });

  /** Looks that fail as often as `failures` says. */
  function watched(failures: number) {
    vi.useFakeTimers();
    const looks: ShadowLook[] = [];
    const status: { shadow: ShadowStatus } = { shadow: { since: "first", unmatched: 10_000, forgotten: 0 } };
    let left = failures;
    let commit = () => {};
    const engine = {
      status: () => status as never,
      subscribe: (listener: never) => {
        commit = listener;
        return () => {};
      },
      shadow: () => (left-- > 0 ? Promise.reject(new Error("away")) : Promise.resolve({} as ShadowReport)),
    };
    watch = new ShadowWatch({ engine, logger: silentLogger, looked: (look) => looks.push(look) });
    const minutesLater = (minutes: number) => vi.advanceTimersByTimeAsync(minutes * 60_000);
    return { looks, status, minutesLater, commit: () => commit() };
  }

  test("come at most once a minute, and only when something was decided", async () => {
    const { looks, minutesLater, commit } = watched(0);
    await minutesLater(5);
    expect(looks.length).toBe(1);
    commit();
    await minutesLater(2);
    expect(looks.length).toBe(2);
  });

  test("come again after one that failed, although nothing was decided since", async () => {
    const { looks, minutesLater } = watched(2);
    await minutesLater(9);
    expect(looks.map(({ report }) => report !== null)).toEqual([false, false, true]);
  });

  test("come again for another candidate, and for an alert that pushed an older one out of memory", async () => {
    const { looks, minutesLater, status } = watched(0);
    await minutesLater(2);
    status.shadow = { ...status.shadow, since: "second" };
    await minutesLater(2);
    expect(looks.length).toBe(2);
    status.shadow = { ...status.shadow, forgotten: 1 };
    await minutesLater(2);
    expect(looks.length).toBe(3);
  });
});
