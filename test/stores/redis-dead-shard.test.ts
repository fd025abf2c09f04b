/** A cluster of which one shard is away: each partition stands alone, and a list says what it could not reach. */
import { describe, expect, onTestFinished, test } from "vitest";
import { redisStore } from "../../src/stores/redis/redis-store.ts";
import type { Store } from "../../src/stores/store.ts";
import { commitOf, effectOf, newInstance, timerOf } from "../contract/store-fixtures.ts";
import { ownMs } from "../support/own-time.ts";
import { type RedisServer, startRedisCluster } from "../support/redis-server.ts";

const PARTITIONS = [0, 1, 2, 3, 4, 5];
/** Of three masters the first has the first third of the slots, and of the partitions. */
const AWAY = [0, 1];
const THERE = [2, 3, 4, 5];

async function world(): Promise<{ store: Store; first: RedisServer }> {
  // A cluster that answers for the slots that it has, as one must that is to lose a shard.
  const cluster = await startRedisCluster({ masters: 3, args: ["--cluster-require-full-coverage", "no"] });
  onTestFinished(() => cluster.stop());
  const store = redisStore(`redis+cluster://127.0.0.1:${cluster.addresses[1]?.port}`, { callTimeoutMs: 1_500 });
  onTestFinished(() => store.close());
  await store.open({ mode: "live", partitions: PARTITIONS.length });
  for (const partition of PARTITIONS) {
    const id = `0${partition}-a`;
    const about = { partition, instances: [newInstance(id)], effects: [effectOf(`${id}_1_1`, { partition })] };
    const timersArmed = [timerOf(id, 5, { partition })];
    expect(await store.commit(commitOf({ commitId: id, ...about, effectClaimMs: null, timersArmed }))).toBe("applied");
  }
  return { store, first: cluster.nodes[0] as RedisServer };
}

const partitionsOf = (rows: readonly { id: string }[]) =>
  rows.map(({ id }) => Number(id.slice(0, 2))).sort((a, b) => a - b);

describe("beside a shard that is away", () => {
  test("lists go on and name what they could not reach; claims, timers and their prolonging go on", async () => {
    const { store, first } = await world();
    expect((await store.list({ limit: 10 })).unreached).toBeUndefined();
    await first.kill9();
    const listed = await store.list({ limit: 10 });
    expect(partitionsOf(listed.instances)).toEqual(THERE);
    expect(listed.unreached).toEqual(AWAY);
    const claimed = await store.claimEffects({ owner: "o", leaseMs: 60_000, limit: 10 });
    expect(partitionsOf(claimed)).toEqual(THERE);
    const [one] = claimed;
    for (const partition of THERE)
      expect(await store.timers({ lane: "work", untilMs: 9, limit: 9, partition })).toHaveLength(1);
    // Of a shard that is away nothing can be prolonged; that of the others is, before the call says so.
    const effectIds = ["00-a_1_1", one?.id as string];
    await expect(store.extendClaims({ owner: "o", leaseMs: 1, effectIds })).rejects.toMatchObject({
      code: "BECALM_STORE_UNAVAILABLE",
    });
    await expect
      .poll(async () => (await store.claimEffects({ owner: "p", leaseMs: 60_000, limit: 10 })).map(({ id }) => id))
      .toContain(one?.id);
    // What could be claimed by name is not lost for what could not.
    await store.releaseClaims({ owner: "o", effectIds: ["05-a_1_1"] });
    const named = await store.outbox.claim({ owner: "q", leaseMs: 60_000, effectIds: ["00-a_1_1", "05-a_1_1"] });
    expect(partitionsOf(named)).toEqual([5]);
    // Who knows that it is away waits for it no more.
    const tookMs = await ownMs(async () => expect((await store.list({ limit: 10 })).unreached).toEqual(AWAY));
    expect(tookMs).toBeLessThan(500);
    await first.restart();
    await expect.poll(async () => (await store.list({ limit: 10 })).unreached).toBeUndefined();
  });
});
