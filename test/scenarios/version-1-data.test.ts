/** A program of version 1 was killed, and one of this version goes on from what it left: nothing is lost, and its trails hold. */
import { readFileSync } from "node:fs";
import { Redis } from "ioredis";
import { describe, expect, onTestFinished, test } from "vitest";
import { compose } from "../../src/compose.ts";
import { createEngine, type Engine } from "../../src/engine.ts";
import type { PolicyDocument } from "../../src/formats/policy-document.ts";
import { verifyChain } from "../../src/instance/audit.ts";
import { raiseFormat } from "../../src/runtime/raise-format.ts";
import { replay } from "../../src/simulate/replay.ts";
import { redisStore } from "../../src/stores/redis/redis-store.ts";
import { RAISED_FORMAT, type Store } from "../../src/stores/store.ts";
import { virtualClock } from "../../src/testing.ts";
import { useRedis } from "../support/redis-server.ts";

const FOLDER = new URL("../data/version-1/", import.meta.url);
const server = useRedis();
const ada = { by: "ada", why: "looked at it" };
const AT_REST = ["Success", "Skipped", "Failed"];

type Key = {
  readonly key: string;
  readonly type: "string" | "hash" | "zset";
  readonly value: string | string[] | Record<string, string>;
};
type Scene = { readonly acknowledged: readonly string[]; readonly keys: readonly Key[] };

function read<T>(file: string): T {
  return JSON.parse(readFileSync(new URL(file, FOLDER), "utf8")) as T;
}

const policies = read<readonly PolicyDocument[]>("policies.json");
const functions = policies.map(({ match }) => /"(.*)"/.exec(match[0] as string)?.[1] as string);

async function restore(keys: readonly Key[], namespace: string): Promise<void> {
  const client = new Redis(server.url);
  for (const { key: stored, type, value } of keys) {
    const key = stored.replace("NAMESPACE", namespace);
    if (type === "string") await client.set(key, value as string);
    else if (type === "hash") await client.hset(key, value as Record<string, string>);
    else {
      const [members, scores] = [value as string[], value as string[]];
      for (let at = 0; at < members.length; at += 2)
        await client.zadd(key, scores[at + 1] as string, members[at] as string);
    }
  }
  client.disconnect();
}

/** The alerts that the program of version 1 was sent, of as many hosts. */
function alerts(hosts: number) {
  return Array.from({ length: hosts }, (_, host) => host).flatMap((host) =>
    functions.map((fn) => ({
      labels: { alertname: "Down", fn, host: `h${host}` },
      startsAt: "2026-11-23T05:59:00Z",
      status: "firing" as const,
    })),
  );
}

/** Everything, and what is wrong with its trails. */
async function audited(engine: Engine, store: Store) {
  const faults: string[] = [];
  const { instances, quarantined, next } = await engine.list({ limit: 1_000 });
  expect([quarantined, next]).toEqual([[], null]);
  for (const { id } of instances) {
    const { instances: stored } = await store.load({
      partition: Number(id.slice(0, 2)),
      groupId: null,
      instanceIds: [id],
    });
    const value = stored.get(id)?.value ?? "";
    const fault = verifyChain((await store.history(id)) ?? [], value.slice(0, value.indexOf(" ")));
    if (fault !== null) faults.push(`${id}: line ${fault.line} ${fault.what}`);
    const { divergence } = replay(await engine.get(id).history());
    if (divergence !== null) faults.push(`${id}: version ${divergence.entry.version} diverges`);
  }
  return { instances, faults };
}

const scenes = ["at-rest", "killed-after-3-ms", "killed-after-20-ms", "killed-after-45-ms"];

describe.each(["as it is", "raised first"])("a namespace of version 1, %s", (how) => {
  test.each(scenes)(
    "%s: nothing acknowledged is lost, every trail verifies and replays, and all comes to rest",
    async (name) => {
      const { acknowledged, keys } = read<Scene>(`${name}.json`);
      const namespace = `${name}-${how.length}`;
      await restore(keys, namespace);
      const store = redisStore(server.url, { namespace });
      if (how === "raised first") {
        const raised = await raiseFormat(await compose({ store }));
        expect(raised).toMatchObject({ format: RAISED_FORMAT, unreadable: 0 });
      }
      const clock = virtualClock("2026-11-23T06:00:30Z");
      const begun: string[] = [];
      const act = ({ idempotencyKey }: { idempotencyKey: string }) => void begun.push(idempotencyKey);
      const engine = createEngine({ policies, store, clock, handlers: { act }, drainMs: 0 });
      onTestFinished(async () => {
        await engine.stop();
        await store.close();
      });
      const before = await audited(engine, store);
      expect(before.faults).toEqual([]);
      const known = new Set(before.instances.map(({ id }) => id));
      expect(acknowledged.filter((id) => !known.has(id))).toEqual([]);

      await engine.start();
      await clock.settle();
      // Every alert is sent again, as a sender does that heard nothing: what was made is found, the others are made now.
      const sent = await engine.ingest(alerts(22));
      expect(sent.rejected).toEqual([]);
      for (const { id, outcome } of sent.instances)
        expect(`${id} ${outcome}`).toBe(`${id} ${known.has(id) ? "duplicate" : "created"}`);
      expect(acknowledged.filter((id) => !sent.instances.some((one) => one.id === id))).toEqual([]);
      await clock.advance("10m");
      for (;;) {
        const { instances: held } = await engine.list({ state: "Waiting", limit: 1_000 });
        if (held.length === 0) break;
        for (const { id } of held) await engine.approve({ id }, ada).catch(() => []);
        await clock.advance("10m");
      }
      await clock.advance("2h");
      const { instances, faults } = await audited(engine, store);
      expect(faults).toEqual([]);
      expect(instances.filter(({ state }) => !AT_REST.includes(state))).toEqual([]);
      expect(instances.filter(({ kind }) => kind === "action")).toHaveLength(22 * functions.length);
      expect(new Set(begun).size).toBe(begun.length);
      for (const { id, policy } of instances.filter(({ kind }) => kind === "summary")) {
        const { notice } = (await engine.get(id).history()).birth;
        const collected = instances.filter((one) => one.policy === policy && one.reason === "collected");
        expect(notice).toMatchObject({ kind: "summary", skipped: collected.length });
      }
    },
  );
});
