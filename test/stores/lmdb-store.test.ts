/** What only an lmdb store guarantees: who writes, what is on the disk when it answers, and what is left after a kill. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import { findingOf } from "../../src/stores/lmdb/disk-finding.ts";
import { Environment } from "../../src/stores/lmdb/environment.ts";
import { lmdbDetectionStore } from "../../src/stores/lmdb/lmdb-detection-store.ts";
import { lmdbStore } from "../../src/stores/lmdb/lmdb-store.ts";
import { loadLmdb } from "../../src/stores/lmdb/load-lmdb.ts";
import type { Store } from "../../src/stores/store.ts";
import { temporaryFolder } from "../contract/lmdb-world.ts";
import { commitOf, effectOf, everythingIn, groupOf, newInstance, timerOf } from "../contract/store-fixtures.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const PROGRAM = [
  "--import",
  join(ROOT, "scripts/ts-loader.mjs"),
  fileURLToPath(new URL("../support/lmdb-program.ts", import.meta.url)),
];
const LIVE = { mode: "live", partitions: 4 } as const;

function storeAt(folder: string): Store {
  const store = lmdbStore(folder);
  onTestFinished(() => store.close());
  return store;
}

async function opened(folder: string): Promise<Store> {
  const store = storeAt(folder);
  await store.open(LIVE);
  return store;
}

/** A process that is gone with the test. */
function start(command: string, args: readonly string[]): ChildProcess {
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  return child;
}

const program = (...args: string[]) => start(process.execPath, [...PROGRAM, ...args]);

function linesOf(child: ChildProcess): AsyncIterator<string> {
  return createInterface({ input: child.stdout as NonNullable<ChildProcess["stdout"]> })[Symbol.asyncIterator]();
}

async function ended(child: ChildProcess): Promise<string[]> {
  let text = "";
  child.stdout?.setEncoding("utf8").on("data", (piece: string) => (text += piece));
  await once(child, "close");
  return text.split("\n").filter((line) => line !== "");
}

async function kill(child: ChildProcess): Promise<void> {
  const closed = once(child, "close");
  child.kill("SIGKILL");
  await closed;
}

describe("a writer", () => {
  test("is one process: a second one is told which, while others look at what it commits", async () => {
    const folder = temporaryFolder();
    const first = program(folder, "hold");
    const lines = linesOf(first);
    expect((await lines.next()).value).toBe("open");
    const refused = await ended(program(folder, "open"));
    expect(refused).toEqual([expect.stringContaining(`BECALM_STORE_BUSY Process ${first.pid} on `)]);

    const reader = storeAt(folder);
    expect(await reader.open({})).toMatchObject(LIVE);
    expect((await reader.list({ limit: 9 })).instances).toEqual([]);
    first.stdin?.write("go\n");
    expect((await lines.next()).value).toBe("committed");
    const [seen] = (await reader.list({ limit: 9 })).instances;
    // By its id, which the writer has in its journal only.
    expect(await reader.history(seen?.id ?? "")).toHaveLength(1);
    await expect(reader.commit(commitOf({ instances: [newInstance("00-a")] }))).rejects.toMatchObject({
      code: "BECALM_STORE_BUSY",
      details: { pid: first.pid },
    });
    await kill(first);
    expect(await reader.commit(commitOf({ instances: [newInstance("00-a")] }))).toBe("applied");
  });

  test("that was killed leaves a store that the next one opens at once", async () => {
    const folder = temporaryFolder();
    const first = program(folder, "hold");
    await linesOf(first).next();
    await kill(first);
    expect(await (await opened(folder)).open({})).toMatchObject(LIVE);
    expect(readdirSync(folder).filter((name) => name.endsWith(".sock"))).toHaveLength(1);
  });

  test("is found alive in a folder whose path is too long for a socket", async () => {
    const folder = join(temporaryFolder(), "a-long-name".repeat(9), "another-long-name".repeat(9));
    mkdirSync(folder, { recursive: true });
    const store = await opened(folder);
    expect(await ended(program(folder, "open"))).toEqual([expect.stringContaining("BECALM_STORE_BUSY")]);
    await store.close();
    expect(await ended(program(folder, "open"))).toEqual(["open"]);
  });

  test("of one process serves all stores and streams of a path, each with its own rows", async () => {
    const folder = temporaryFolder();
    const [one, two] = [await opened(folder), await opened(folder)];
    const other = lmdbStore(folder, { namespace: "other" });
    const stream = lmdbDetectionStore(folder);
    onTestFinished(async () => void (await Promise.all([other.close(), stream.close()])));
    await other.open({ mode: "virtual", partitions: 2 });
    expect(await one.commit(commitOf({ instances: [newInstance("00-a")] }))).toBe("applied");
    expect((await two.list({ limit: 9 })).instances).toHaveLength(1);
    expect((await other.list({ limit: 9 })).instances).toEqual([]);
    expect((await stream.load([])).version).toBe(0);
    expect(await stream.setCheckpoint({ strategyId: "s", itemId: 1, dimensionsMd5: "m", level: "l" }, 7)).toBe(7);
    expect(await two.lease({ groupId: "g", partition: 0, owner: "a", ttlMs: 60_000 })).toBe(true);
    expect(await one.lease({ groupId: "g", partition: 0, owner: "b", ttlMs: 60_000 })).toBe(false);
  });
});

describe("a store that is closed and opened again", () => {
  test("has everything, knows commits that are sent again, and lets others take what the last writer had claimed", async () => {
    const folder = temporaryFolder();
    const store = await opened(folder);
    const commit = commitOf({
      group: groupOf(0),
      instances: [newInstance("00-a")],
      effects: [effectOf("e1")],
      effectClaimMs: 600_000,
      timersArmed: [timerOf("00-a", 5)],
      membersAdded: [{ set: "held", instanceId: "00-a", order: 1 }],
    });
    expect(await store.commit(commit)).toBe("applied");
    await store.touch("00-a", 7);
    const before = await everythingIn(store);
    await store.close();
    const again = await opened(folder);
    expect(await everythingIn(again)).toEqual(before);
    expect(await again.commit(commit)).toBe("duplicate");
    const claim = { owner: "engine-b", leaseMs: 1_000, limit: 9 };
    expect(await again.claimEffects(claim)).toEqual([{ ...effectOf("e1"), deliveries: 2, heldBy: "engine-a" }]);
    expect(await again.claimEffects(claim)).toEqual([]);
  });

  test("at once, while its first write waits for the file, has that write", async () => {
    const folder = temporaryFolder();
    const environment = Environment.use(folder);
    const written = environment.write((rows) => rows.put("a", "1"));
    await Promise.all([written, environment.release()]);
    const again = Environment.use(folder);
    expect(await again.read((rows) => rows.get("a"))).toBe("1");
    await again.release();
  });

  test("that was only read made no file", async () => {
    const folder = join(temporaryFolder(), "none");
    expect(await storeAt(folder).open({})).toBeNull();
    expect(await storeAt(folder).open({ mode: "live" })).toBeNull();
    expect(existsSync(folder)).toBe(false);
  });
});

describe("an answer", () => {
  test("comes for everything that a killed writer acknowledged, and nothing is there by half", async () => {
    for (const lineCount of [1, 130, 777]) {
      const folder = temporaryFolder();
      const writer = program(folder, "storm");
      const lines = linesOf(writer);
      const acknowledged: number[] = [];
      while (acknowledged.length < lineCount) {
        const [number, answer] = ((await lines.next()).value as string).split(" ");
        expect(answer).toBe("applied");
        acknowledged.push(Number(number));
      }
      await kill(writer);
      for (let line = await lines.next(); line.done !== true; line = await lines.next())
        if (/^\d+ applied$/.test(line.value)) acknowledged.push(Number.parseInt(line.value, 10));

      const store = await opened(folder);
      const groups = acknowledged.map((at) => ({ partition: at % 4, id: `group ${at}` }));
      const { instances, histories, work, effects, groups: found } = await everythingIn(store, groups);
      const ids = instances.map(({ id }) => id).toSorted();
      for (const at of acknowledged) expect(ids).toContain(`0${at % 4}-${String(at).padStart(6, "0")}`);
      expect(found.every(({ group, waiters }) => group?.version === 1 && waiters.length === 1)).toBe(true);
      // What was not acknowledged is there as a whole or not at all.
      expect(work.map(({ owner }) => owner).toSorted()).toEqual(ids);
      expect(effects.map(({ id }) => id).toSorted()).toEqual(ids.map((id) => `${id}:1`));
      expect(histories.every((history) => history?.length === 1)).toBe(true);
    }
  });

  const straced = (injection: readonly string[], traced: string, ...args: string[]) =>
    start("strace", ["-f", "-q", ...injection, "-o", traced, process.execPath, ...PROGRAM, ...args]);
  const hasStrace = spawnSync("strace", ["-q", "-o", "/dev/null", "true"]).status === 0;
  if (!hasStrace)
    console.warn("strace cannot be used here: what the disk has when a commit is answered is not looked at.");

  test.skipIf(!hasStrace)("comes after the data and the page that points to it were flushed", async () => {
    const folder = temporaryFolder();
    const traced = join(folder, "trace");
    const calls = ["-e", "trace=openat,write,writev,pwrite64,pwritev,fdatasync,fsync,msync"];
    expect(await ended(straced(calls, traced, folder, "commit", "3"))).toEqual([
      "opened",
      ...Array.from({ length: 3 }, () => "answered applied"),
    ]);
    const trace = readFileSync(traced, "utf8").split("\n");
    const opened = trace.flatMap((line) => /becalm\.mdb", (\S+?)(?:, 0\d+)?\) = (\d+)$/.exec(line) ?? []);
    const through = opened[opened.findLastIndex((flags) => flags.includes("O_DSYNC")) + 1];
    expect(through).toMatch(/^\d+$/);
    const since = trace.slice(trace.findIndex((line) => line.includes('"opened')) + 1);
    const events = since.flatMap((line) => {
      if (line.includes('"answered')) return ["answer"];
      if (/fdatasync(\(| resumed)/.test(line)) return line.endsWith("= 0") ? ["flush"] : [];
      const [, descriptor] = /write(?:64|v)?\((\d+),/.exec(line) ?? [];
      if (descriptor === through) return ["meta"];
      return descriptor !== undefined && opened.includes(descriptor) ? ["data"] : [];
    });
    const order = events.filter((event, index) => event !== events[index - 1]);
    const once = ["data", "flush", "meta", "answer"];
    expect(order.slice(0, 12)).toEqual([...once, ...once, ...once]);
  });

  test.skipIf(!hasStrace)("waits as long as the disk takes", async () => {
    const folder = temporaryFolder();
    const delay = ["-e", "trace=fdatasync", "-e", "inject=fdatasync:delay_enter=400000"];
    const [said] = await ended(straced(delay, join(folder, "trace"), folder, "timed"));
    expect(said).toMatch(/^applied after /);
    expect(Number(said?.split(" ").at(-1))).toBeGreaterThanOrEqual(400);
  });

  test.skipIf(!hasStrace)(
    "is an error when the disk fails, nothing of the commit is there, and the next one is taken",
    async () => {
      const folder = temporaryFolder();
      await (await opened(folder)).close();
      // Opening flushes once for the writer's name; each thread counts its own calls, and commits have a thread of theirs.
      const fault = ["-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO:when=1"];
      const answers = await ended(straced(fault, join(folder, "trace"), folder, "commit", "2"));
      expect(answers).toContainEqual(expect.stringContaining("BECALM_STORE_FAILED"));
      const { instances } = await everythingIn(await opened(folder));
      expect(instances).toHaveLength(answers.filter((answer) => answer === "answered applied").length);
    },
  );

  // LMDB says EIO of a page of which only a part could be written.
  test.each([200, 203])("says that the disk is full after %i KiB, and what is stored stays readable", async (kib) => {
    const folder = temporaryFolder();
    const limit = `ulimit -f ${kib}; exec "$@"`;
    const child = start("bash", ["-c", limit, "bash", process.execPath, ...PROGRAM, folder, "commit", "400"]);
    const answers = (await ended(child)).slice(1);
    expect(answers[0]).toBe("answered applied");
    expect(answers.at(-1)).toMatch(/^answered BECALM_STORE_FULL/);
    const { instances } = await everythingIn(await opened(folder));
    expect(instances).toHaveLength(answers.filter((answer) => answer === "answered applied").length);
  });
});

test("tells its operator how much room is left, and what to do when it is little", async () => {
  const { findings } = await (await opened(temporaryFolder())).describe();
  expect(findings.find(({ what }) => what === "disk")?.is).toMatch(/^\d+ MB stored, [\d.]+ [MG]B free$/);
  expect(findingOf(2e9, 6e8)).toEqual({ what: "disk", is: "2.0 GB stored, 600 MB free" });
  expect([findingOf(4e9, 9e8).advice, findingOf(1e6, 9e7).advice]).toEqual(
    Array(2).fill(expect.stringMatching(/^make room/)),
  );
});

describe("what cannot be a store", () => {
  test("is reported: a file of something else, a place that cannot be written, a name or path that is none", async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "becalm.mdb"), "no store at all ".repeat(4_096));
    await expect(storeAt(folder).open({})).rejects.toMatchObject({ code: "BECALM_STORE_FAILED" });
    mkdirSync(join(folder, "folder.mdb"));
    await expect(storeAt(join(folder, "folder.mdb")).open({})).rejects.toMatchObject({
      code: "BECALM_STORE_UNAVAILABLE",
    });
    await expect(storeAt(join(folder, "becalm.mdb", "below")).open(LIVE)).rejects.toMatchObject({
      code: "BECALM_STORE_UNAVAILABLE",
    });
    // Nobody makes a folder there, not even root.
    await expect(storeAt("/proc/becalm").open(LIVE)).rejects.toMatchObject({ code: "BECALM_STORE_UNAVAILABLE" });
    expect(() => lmdbStore("")).toThrow(/Give a folder/);
    expect(() => lmdbStore(folder, { namespace: "a b" })).toThrow(/is not a valid name/);
  });

  test("a platform without the binary is named, with what to use instead", async () => {
    const missing = loadLmdb(() => Promise.reject(new Error("No native build was found\nfor this platform")));
    await expect(missing).rejects.toMatchObject({
      code: "BECALM_STORE_UNAVAILABLE",
      message: expect.stringMatching(/No native build was found\).*redis:\/\/HOST:PORT/),
    });
  });
});

test("names as long as policies may have them are kept apart, and come back whole", async () => {
  const store = await opened(temporaryFolder());
  const long = "磁".repeat(1_300);
  const ids = [`${long}/a`, `${long}/b`, "short\0name", "short"];
  for (const id of ids) {
    expect(await store.commit(commitOf({ group: groupOf(0, { id, value: id }) }))).toBe("applied");
    await store.savePolicies([{ key: id, value: "v" }]);
  }
  for (const id of ids)
    expect((await store.load({ partition: 0, groupId: id, instanceIds: [] })).group?.value).toBe(id);
  expect((await store.policies()).map(({ key }) => key)).toEqual(ids.toSorted());
  await store.commit(commitOf({ timersArmed: [timerOf("00-a", 1, { owner: `${long}/b` })] }));
  expect(await store.timers({ lane: "work", untilMs: 9, limit: 9 })).toMatchObject([{ owner: `${long}/b` }]);
  await expect(store.commit(commitOf({ instances: [newInstance(`00-${"x".repeat(600)}`)] }))).rejects.toMatchObject({
    code: "BECALM_ARGUMENT_INVALID",
  });
});
