/** Groups of one partition make their turns beside each other: what happens to one is its own business. */
import { expect, test } from "vitest";
import { dimensionKey } from "../../src/convergence/dimension-key.ts";
import { createEngine, type Engine, memoryStore } from "../../src/index.ts";
import { groupIdOf } from "../../src/model/ids.ts";
import type { Commit } from "../../src/stores/store.ts";
import { type StoreCall, type StoreFate, watchStore } from "../support/watched-store.ts";

const RULE = { function: "skip_when_exceed", by: ["host"], count: 1, window: "5m" } as const;

const alertOn = (host: string) => ({ labels: { alertname: "Down", host }, startsAt: "2026-11-23T06:49:54Z" });

/** An engine with one partition, whose commits for the host `busy` meet the fates in turn. */
async function engineWith(fates: StoreFate[]): Promise<Engine> {
  const busy = groupIdOf("act", dimensionKey(RULE, { host: "busy" }));
  const fateOf = ({ method, argument }: StoreCall): StoreFate =>
    method === "commit" && (argument as Commit).group?.id === busy ? (fates.shift() ?? "pass") : "pass";
  const policies = [{ name: "act", match: [], action: { handler: { name: "act" } }, converge: RULE }];
  const { store } = watchStore(memoryStore(), { fateOf });
  const engine = createEngine({ policies, store, handlers: { act: () => {} }, partitions: 1 });
  await engine.start();
  return engine;
}

test("a group that loses to other writers keeps no other group of its partition waiting, and is decided in the end", async () => {
  const fates = Array.from({ length: 5 }, (): StoreFate => ({ outcome: "conflict" }));
  const engine = await engineWith(fates);
  const order: string[] = [];
  const send = async (host: string) => {
    const { instances } = await engine.ingest([alertOn(host)]);
    order.push(`${host} ${instances[0]?.outcome}`);
  };
  await Promise.all([send("busy"), send("calm")]);
  await send("calm");
  expect(order).toEqual(["calm created", "busy created", "calm duplicate"]);
  expect(fates).toEqual([]);
  await engine.stop();
});

test("a commit that fails refuses the alerts of its own group only", async () => {
  const engine = await engineWith(["fail"]);
  const first = await engine.ingest([alertOn("busy"), alertOn("calm")]);
  expect(first.instances.map(({ alert, outcome }) => [alert, outcome])).toEqual([[1, "created"]]);
  expect(first.rejected.map(({ alert, error }) => [alert, error.code])).toEqual([[0, "BECALM_STORE_UNAVAILABLE"]]);
  const again = await engine.ingest([alertOn("busy"), alertOn("calm")]);
  expect(again.instances.map(({ outcome }) => outcome)).toEqual(["created", "duplicate"]);
  await engine.stop();
});
