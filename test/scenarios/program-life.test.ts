/** How long an engine lives, and what its program learns when it ends. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { createEngine, lmdbStore, memoryDetectionStore, memoryStore } from "../../src/index.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const policies = [{ name: "act", match: [], action: { log: {} } }];
const alerts = [{ labels: { alertname: "Down" } }];

describe("a program", () => {
  test.each([
    ["retry", "2\n"],
    ["late", "BECALM_WAIT_TIMEOUT\n"],
    ["started", "Success\n"],
  ])("lives as long as it waits, and ends when its engine stops (%s)", (what, expected) => {
    const args = ["scripts/run-ts.mjs", "test/support/waiting-program.ts", what];
    const { stdout, status } = spawnSync(process.execPath, args, { cwd: ROOT, encoding: "utf8", timeout: 60_000 });
    expect({ stdout: stdout.slice(-expected.length), status }).toEqual({ stdout: expected, status: 0 });
  });
});

describe("who waits for an instance", () => {
  const waiting = async () => {
    const engine = createEngine({ policies });
    const { instances } = await engine.ingest(alerts);
    return { engine, instance: engine.get(instances[0]?.id ?? "") };
  };

  test("hears that the engine was stopped", async () => {
    const { engine, instance } = await waiting();
    const waited = expect(instance.waitFor(() => false)).rejects.toMatchObject({ code: "BECALM_STOPPED" });
    await engine.stop();
    await waited;
  });

  test("may stop waiting, before and later", async () => {
    const { engine, instance } = await waiting();
    const why = new Error("no longer wanted");
    const controller = new AbortController();
    const waited = expect(instance.waitFor(() => false, { signal: controller.signal })).rejects.toBe(why);
    controller.abort(why);
    await waited;
    await expect(instance.waitFor(() => true, { signal: controller.signal })).rejects.toBe(why);
    await engine.stop();
  });
});

describe("who ingests", () => {
  test("takes nothing when it was aborted before", async () => {
    const engine = createEngine({ policies });
    await expect(engine.ingest(alerts, { signal: AbortSignal.abort(new Error("gone")) })).rejects.toThrow("gone");
    expect((await engine.list()).instances).toEqual([]);
    await engine.stop();
  });

  test("waits no longer when it is aborted, and what was under way is taken once", async () => {
    const store = memoryStore();
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const commit = store.commit.bind(store);
    store.commit = async (request) => {
      await held;
      return commit(request);
    };
    const engine = createEngine({ policies, store });
    const controller = new AbortController();
    const ingested = expect(engine.ingest(alerts, { signal: controller.signal })).rejects.toThrow("gone");
    controller.abort(new Error("gone"));
    await ingested;
    release();
    const { instances } = await engine.ingest(alerts, { signal: new AbortController().signal });
    expect(instances.map(({ outcome }) => outcome)).toEqual(["duplicate"]);
    await engine.stop();
  });
});

describe("at the end of its scope", () => {
  test("an engine is stopped", async () => {
    const engine = createEngine({ policies });
    await engine[Symbol.asyncDispose]();
    await expect(engine.ingest(alerts)).rejects.toMatchObject({ code: "BECALM_STOPPED" });
  });

  test.each([
    ["memory", () => memoryStore()],
    ["lmdb", () => lmdbStore("/nonexistent/becalm")],
    ["detection", () => memoryDetectionStore()],
  ])("a store is closed (%s)", async (_, make) => {
    const store = make();
    let closed = 0;
    const close = store.close.bind(store);
    store.close = async () => {
      closed += 1;
      await close();
    };
    await store[Symbol.asyncDispose]();
    expect(closed).toBe(1);
  });
});
