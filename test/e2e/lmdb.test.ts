/** The command on an lmdb store: the same bytes as on every store, also after a kill; a backup; and who may write. */
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { lmdbBackup } from "../../src/stores/lmdb/lmdb-backup.ts";
import { lmdbStore } from "../../src/stores/lmdb/lmdb-store.ts";
import { temporaryFolder } from "../contract/lmdb-world.ts";
import { commitOf, everythingIn, newInstance } from "../contract/store-fixtures.ts";
import { becalm, jsonLines, ROOT, startBecalm } from "../support/command.ts";

const RUN = [
  "run",
  "--policies",
  join(ROOT, "demo/policies.yaml"),
  "--alerts",
  join(ROOT, "demo/storm.jsonl"),
  "--json",
];

describe("becalm run on an lmdb store", () => {
  test("gives the bytes of a run in memory, and again after a kill at any moment", async () => {
    const store = `lmdb:${temporaryFolder()}`;
    const startedAtMs = performance.now();
    const { stdout } = await becalm(RUN);
    const inMemoryMs = performance.now() - startedAtMs;
    // Half as long again as in memory is about what it takes on a disk.
    for (const [index, share] of [0.8, 1.2].entries()) {
      const { child, ended } = startBecalm([...RUN, "--store", store, "--namespace", `killed-${index}`]);
      const timer = setTimeout(() => child.kill("SIGKILL"), share * inMemoryMs);
      await ended;
      clearTimeout(timer);
      const again = await becalm([...RUN, "--store", store, "--namespace", `killed-${index}`]);
      expect([again.code, again.stdout === stdout]).toEqual([0, true]);
    }
    const verified = await becalm(["audit", "verify", "--store", store, "--namespace", "killed-0"]);
    expect(verified.code).toBe(0);
  });

  test("leaves a store that commands read from its backup, and that another writer is kept from", async () => {
    const folder = temporaryFolder();
    const [path, copy] = [join(folder, "data"), join(folder, "copy.mdb")];
    const ran = await becalm([...RUN, "--store", `lmdb:${path}`]);
    expect(ran.code).toBe(0);
    const saved = await becalm(["backup", copy, "--store", `lmdb:${path}`, "--json"]);
    expect(jsonLines(saved.stdout)).toEqual([{ file: copy, bytes: expect.any(Number), namespaces: ["default"] }]);
    const [listed, restored] = await Promise.all(
      [path, copy].map((from) => becalm(["ls", "--json", "--limit", "1000", "--store", `lmdb:${from}`])),
    );
    expect(restored?.stdout).toBe(listed?.stdout);
    expect(jsonLines(listed?.stdout ?? "").length).toBeGreaterThan(100);

    const again = await becalm(["backup", copy, "--store", `lmdb:${path}`]);
    expect([again.code, again.stderr]).toEqual([2, expect.stringContaining("exists already")]);
    const unmade = await becalm(["backup", "/dev/null/x", "--store", `lmdb:${path}`]);
    expect([unmade.code, unmade.stderr]).toEqual([1, expect.stringMatching(/OUTPUT_FAILED: .*Give another place/)]);
    const missing = await becalm(["backup", join(folder, "x"), "--store", `lmdb:${folder}`]);
    expect([missing.code, missing.stderr]).toEqual([3, expect.stringContaining("BECALM_NOT_FOUND")]);
    const unknown = await becalm(["ls", "--store", `lmdb:${path}`, "--namespace", "storm"]);
    expect([unknown.code, unknown.stderr]).toEqual([3, expect.stringContaining("It has default. Check --namespace")]);
    const nowhere = await becalm(["ls", "--store", `lmdb:${folder}`]);
    expect([nowhere.code, nowhere.stderr]).toEqual([3, expect.stringContaining(`no store at lmdb:${folder}.`)]);
    const redis = await becalm(["backup", join(folder, "x"), "--store", "redis://127.0.0.1:1"]);
    expect([redis.code, redis.stderr]).toEqual([2, expect.stringContaining("BGSAVE")]);

    const writer = lmdbStore(path);
    await writer.open({ mode: "simulated" });
    const refused = await becalm([...RUN, "--store", `lmdb:${path}`]);
    expect([refused.code, refused.stderr]).toEqual([4, expect.stringContaining(`Process ${process.pid} on `)]);
    await writer.close();
  });
});

test("a backup of a store that is being written is one that commits left, and becomes the store again", async () => {
  const folder = temporaryFolder();
  const path = join(folder, "data");
  const store = lmdbStore(path);
  await store.open({ mode: "live", partitions: 2 });
  let isDone = false;
  const writing = (async () => {
    for (let at = 0; !isDone; at += 1) {
      const id = `00-${String(at).padStart(5, "0")}`;
      const instances = [newInstance(id, { createdAtMs: at }), newInstance(`${id}b`, { createdAtMs: at })];
      await store.commit(commitOf({ instances }));
    }
  })();
  const counts: number[] = [];
  for (const name of ["one", "two", "three"]) {
    const target = join(folder, name);
    await lmdbBackup(path, target);
    const copy = lmdbStore(target);
    expect(await copy.open({ mode: "live", partitions: 2 })).toMatchObject({ partitions: 2 });
    const { instances, histories } = await everythingIn(copy);
    expect(instances.length % 2).toBe(0);
    expect(histories.every((lines) => lines?.length === 1)).toBe(true);
    expect(await copy.commit(commitOf({ instances: [newInstance(`00-in-the-copy-${name}`)] }))).toBe("applied");
    counts.push(instances.length);
    await copy.close();
  }
  isDone = true;
  await writing;
  await store.close();
  expect(counts).toEqual(counts.toSorted((left, right) => left - right));
  expect(counts.at(-1)).toBeGreaterThan(0);
});

test("becalm detect numbers its alerts on an lmdb store as it does without one", async () => {
  const args = [
    "detect",
    "--strategies",
    join(ROOT, "demo/strategies.yaml"),
    "--records",
    join(ROOT, "demo/host-metrics.csv"),
    "--json",
  ];
  const [plain, stored] = [await becalm(args), await becalm([...args, "--store", `lmdb:${temporaryFolder()}`])];
  expect([stored.code, stored.stdout]).toEqual([plain.code, plain.stdout]);
});
