/** What retention removes is exported before: nothing goes that is not in a bundle. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { describe, expect, onTestFinished, test } from "vitest";
import { readBundle } from "../../src/cli/bundle-file.ts";
import { compose } from "../../src/compose.ts";
import { policySetFrom } from "../../src/formats/policy-file.ts";
import { allowUnexported, markExported, namespaceMark } from "../../src/runtime/workers/export-mark.ts";
import { RepeatedFaults } from "../../src/runtime/workers/repeated-faults.ts";
import { type ExportRemoved, sweep } from "../../src/runtime/workers/retention.ts";
import { RetentionPump } from "../../src/runtime/workers/retention-pump.ts";
import type { Store } from "../../src/stores/store.ts";
import { storeBetween } from "../../src/stores/store-between.ts";
import { silentLogger } from "../../src/system/logger.ts";
import { becalm, jsonLines } from "../support/command.ts";
import {
  alertOf,
  EngineWorld,
  MEMORY,
  MINUTE_MS,
  policyOf,
  redisKind,
  START_MS,
  take,
} from "../support/engine-world.ts";
import { useRedis } from "../support/redis-server.ts";

const server = useRedis();
const HOUR_MS = 60 * MINUTE_MS;
const RETENTION = { retentionMs: 8 * HOUR_MS };
const NOTHING_UNREADABLE = { onUnreadable: () => {} };

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "becalm-removed-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const filesOf = (folder: string) => readdirSync(folder).map((name) => join(folder, name));

/** Reads to the end of each: throws for one that is not whole. */
async function idsIn(folder: string): Promise<string[]> {
  const ids: string[] = [];
  for (const file of filesOf(folder)) for await (const { instance } of readBundle(file)) ids.push(instance.id);
  return ids;
}

async function isGone(world: EngineWorld): Promise<boolean> {
  return (await world.stored()).length === 0;
}

describe.each([MEMORY, redisKind(server)])("on $name", (kind) => {
  test("each instance that is removed is in one bundle, and one that stays is in none", async () => {
    const world = new EngineWorld(kind, { partitions: 1 });
    world.outcome = ({ alert }) => (alert?.labels["name"] === "running" ? undefined : "done");
    const folder = newFolder();
    const exportRemoved = { folder, namespace: "world" };
    const engine = await world.engine([policyOf(null)], { ...RETENTION, exportRemoved, concurrency: 100 });
    // More than a page.
    const names = Array.from({ length: 300 }, (_, index) => `n${index}`);
    const removed = await take(engine, ...names.map((name) => alertOf(name)));
    const running = await take(engine, alertOf("running"));
    await world.until("all but one are at rest", () => world.underway.length === 1);
    await world.elapse(9 * HOUR_MS);
    await world.until("all but one are removed", async () => (await world.stored()).length === 1);
    expect((await world.stored()).map(({ id }) => id)).toEqual(running);
    expect((await idsIn(folder)).sort()).toEqual(removed.sort());
    expect(readdirSync(folder)).toHaveLength(2);
    expect(engine.status().failedExports).toBe(0);
  });

  test("nothing is removed as long as the folder cannot be written, and the next sweep tries again", async () => {
    const world = new EngineWorld(kind);
    world.outcome = () => "done";
    const folder = newFolder();
    const exportRemoved = { folder, namespace: "world" };
    const engine = await world.engine([policyOf(null)], { ...RETENTION, exportRemoved });
    const ids = await take(engine, alertOf("a"), alertOf("b"), alertOf("c"));
    rmSync(folder, { recursive: true });
    writeFileSync(folder, "in the way");
    await world.elapse(9 * HOUR_MS);
    await world.until("a failure is counted", () => (engine.status().failedExports ?? 0) > 0);
    expect((await world.stored()).map(({ id }) => id).sort()).toEqual(ids.sort());
    expect(world.faults).toEqual([
      expect.stringMatching(/^retention: .*removed-.* cannot be written: .*the next sweep/),
    ]);
    rmSync(folder);
    mkdirSync(folder);
    await world.elapse(HOUR_MS);
    await world.until("all are removed", () => isGone(world));
    expect((await idsIn(folder)).sort()).toEqual(ids.sort());
  });

  test("an engine that exports nothing leaves removing to one that does, also while that one is gone", async () => {
    const world = new EngineWorld(kind);
    world.outcome = () => "done";
    const folder = newFolder();
    const exporting = { ...RETENTION, exportRemoved: { folder, namespace: "world" } };
    const lines: string[] = [];
    const keep = (_: unknown, line?: string) => void lines.push(line ?? "");
    const logger = { debug: () => {}, info: () => {}, warn: keep, error: keep };
    const plain = await world.engine([policyOf(null)], { ...RETENTION, logger });
    const ids = await take(plain, alertOf("a"), alertOf("b"), alertOf("c"));
    const first = await world.engine([policyOf(null)], exporting);
    // It sweeps once beside the other, and finds nothing that is old enough.
    await world.elapse(HOUR_MS);
    await world.stop(first);
    for (let hours = 0; hours < 9; hours += 1) await world.elapse(HOUR_MS);
    expect((await world.stored()).map(({ id }) => id).sort()).toEqual(ids.sort());
    expect(lines.filter((line) => /removes nothing from now on/.test(line))).toHaveLength(1);
    await world.engine([policyOf(null)], exporting);
    await world.elapse(HOUR_MS);
    await world.until("all are removed", () => isGone(world));
    expect((await idsIn(folder)).sort()).toEqual(ids.sort());
  });

  test("where removals are marked as exported, nothing goes without an export until a person takes the mark away", async () => {
    const world = new EngineWorld(kind);
    world.outcome = () => "done";
    const exportRemoved = { folder: newFolder(), namespace: "world" };
    const lines: string[] = [];
    const keep = (_: unknown, line?: string) => void lines.push(line ?? "");
    const logger = { debug: () => {}, info: keep, warn: keep, error: keep };
    const said = () => lines.splice(0).filter((line) => line.includes("remove"));
    const first = await world.engine([policyOf(null)], { ...RETENTION, exportRemoved });
    const ids = await take(first, alertOf("a"), alertOf("b"), alertOf("c"));
    const runtime = await compose({ store: await world.outside(), clock: world.clock });
    if (runtime.store.processes !== null)
      await expect(allowUnexported(runtime, "ann")).rejects.toMatchObject({ code: "BECALM_EVENT_REFUSED" });
    await world.stop(first);
    for (const _ of ["an engine", "the same after a restart"]) {
      const plain = await world.engine([policyOf(null)], { ...RETENTION, logger });
      const to = `exports to ${exportRemoved.folder} (since ${new Date(START_MS).toISOString()})`;
      expect(said()).toEqual([expect.stringContaining(to)]);
      for (let hours = 0; hours < 9; hours += 1) await world.elapse(HOUR_MS);
      expect((await world.stored()).map(({ id }) => id).sort()).toEqual(ids.toSorted());
      expect(said()).toEqual([]);
      await world.stop(plain);
    }
    await world.engine([policyOf(null)], { ...RETENTION, logger });
    expect(said()).toHaveLength(1);
    const nowMs = world.clock.now();
    expect(await allowUnexported(runtime, "ann")).toMatchObject({ isExported: true, sinceMs: START_MS });
    expect(await allowUnexported(runtime, "ann")).toBeNull();
    expect(await namespaceMark(runtime)).toEqual({ isExported: false, by: "ann", sinceMs: nowMs });
    await world.elapse(HOUR_MS);
    await world.until("all are removed", () => isGone(world));
    expect(said()).toEqual([expect.stringContaining("removes again")]);
    expect(await idsIn(exportRemoved.folder)).toEqual([]);
  });

  test("a sweep that is under way when an engine announces its export removes nothing more", async () => {
    const world = new EngineWorld(kind, { partitions: 1 });
    world.outcome = () => "done";
    const engine = await world.engine([policyOf(null)], { retentionMs: 100 * HOUR_MS });
    const ids = await take(engine, alertOf("a"), alertOf("b"), alertOf("c"));
    await world.elapse(9 * HOUR_MS);
    const runtime = await compose({ store: await world.outside(), clock: world.clock });
    const late = async (request: Parameters<Store["oldest"]>[0]) => {
      const rows = await runtime.store.oldest(request);
      await markExported(runtime, { by: "another", to: "/archive" });
      return rows;
    };
    const store = storeBetween(runtime.store, new Map([["oldest", late]]));
    const faults = new RepeatedFaults(world.clock, (what) => world.faults.push(what));
    const options = { ...RETENTION, removedExport: undefined, processName: "plain", faults, logger: silentLogger };
    await new RetentionPump({ ...runtime, store }, options).sweep();
    expect((await world.stored()).map(({ id }) => id).sort()).toEqual(ids.toSorted());
    expect(world.faults).toEqual([]);
  });

  test("what the export did not write stays, and an instance whose alert came during the export", async () => {
    const world = new EngineWorld(kind, { partitions: 1 });
    world.outcome = () => "done";
    const engine = await world.engine([policyOf(null)], { retentionMs: 10 * HOUR_MS });
    const alerts = ["removed", "unwritten", "sent again"].map((name) => alertOf(name));
    const [, unwritten, sentAgain] = (await take(engine, ...alerts)) as [string, string, string];
    await world.elapse(9 * HOUR_MS);
    const runtime = await compose({
      store: await world.outside(),
      clock: world.clock,
      policies: policySetFrom([policyOf(null)]),
      mode: "live",
      partitions: 1,
    });
    const exportRemoved: ExportRemoved = async ({ instances }) => {
      await take(engine, alertOf("sent again"));
      await world.settle();
      return new Set(instances.map(({ id }) => id).filter((id) => id !== unwritten));
    };
    expect(await sweep(runtime, { ...RETENTION, ...NOTHING_UNREADABLE, exportRemoved })).toBe(1);
    expect((await world.stored()).map(({ id }) => id).sort()).toEqual([unwritten, sentAgain].sort());
  });
});

test.each([
  ["exported before", true, "it cannot be exported: "],
  ["not exported", false, "it cannot be read: "],
])(
  "an instance whose history cannot be read stays, is reported, and keeps no other one; %s",
  async (_, isExported, why) => {
    const world = new EngineWorld(redisKind(server), { partitions: 1 });
    world.outcome = () => "done";
    const folder = newFolder();
    const exportRemoved = isExported ? { exportRemoved: { folder, namespace: "world" } } : {};
    const engine = await world.engine([policyOf(null)], { ...RETENTION, ...exportRemoved });
    // An alert of its own: the same one has the same id in every namespace of the server.
    const [whole, broken] = (await take(engine, alertOf("whole"), alertOf(`broken, ${why}`))) as [string, string];
    await world.until("both have ended", async () => (await world.stored()).every(({ version }) => version === 2));
    const client = new Redis(server.url);
    onTestFinished(() => client.disconnect());
    const [key = "none", ...others] = await client.keys(`*:i:${broken}`);
    expect(others).toEqual([]);
    const [checkpoint, ...lines] = ((await client.get(key)) ?? "").split("\n");
    await client.set(key, [checkpoint, "no birth", ...lines.slice(1)].join("\n"));
    await world.elapse(9 * HOUR_MS);
    await world.until("one is removed", async () => (await world.stored()).length === 1);
    expect(await idsIn(folder)).toEqual(isExported ? [whole] : []);
    expect((await world.stored()).map(({ id }) => id)).toEqual([broken]);
    expect(world.faults).toEqual([expect.stringContaining(`${broken} stays, ${why}`)]);
  },
);

test("a bundle of removed instances verifies, replays and is compared without the store", async () => {
  const world = new EngineWorld(MEMORY, { partitions: 1 });
  world.outcome = () => "done";
  const folder = newFolder();
  const policies = [policyOf({ function: "trigger", count: 2 })];
  const engine = await world.engine(policies, { ...RETENTION, exportRemoved: { folder, namespace: "world" } });
  await take(engine, alertOf("a"), alertOf("b"), alertOf("c"));
  await world.until("all are at rest", () => world.attempts.length > 0 && world.underway.length === 0);
  await world.elapse(9 * HOUR_MS);
  await world.until("all are removed", () => isGone(world));
  const [file = "none"] = filesOf(folder);
  const given = join(newFolder(), "policies.json");
  writeFileSync(given, JSON.stringify({ policies }));
  const [verified, replayed, compared] = await Promise.all([
    becalm(["audit", "verify", "--file", file, "--json"]),
    becalm(["replay", "--file", file, "--json"]),
    becalm(["diff", "--policies", given, "--from", file, "--fail-if", "changed != 0", "--json"]),
  ]);
  const summaryOf = (stdout: string) => jsonLines<{ summary?: object }>(stdout).at(-1)?.summary;
  expect([verified.code, summaryOf(verified.stdout)]).toMatchObject([0, { instances: 3, broken: 0 }]);
  expect([replayed.code, summaryOf(replayed.stdout)]).toMatchObject([0, { instances: 3, different: 0 }]);
  expect([compared.code, summaryOf(compared.stdout)]).toMatchObject([0, { alerts: 3, changed: 0 }]);
});
