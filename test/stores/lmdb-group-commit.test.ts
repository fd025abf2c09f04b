/** Rows that wait for the disk, and the transactions that they go in. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compareCodePoints } from "../../src/model/utf8.ts";
import { GroupCommit } from "../../src/stores/lmdb/group-commit.ts";
import { Journal } from "../../src/stores/lmdb/journal.ts";
import type { Database } from "../../src/stores/lmdb/load-lmdb.ts";
import { PendingRows } from "../../src/stores/lmdb/pending-rows.ts";
import type { ReadRows, WriteRows } from "../../src/stores/lmdb/rows.ts";
import type { Change } from "../../src/stores/lmdb/rows-in-front.ts";

/** The obvious rows: a map, sorted whenever somebody asks. */
function plainRows(map: Map<string, string>): WriteRows {
  const sorted = () => [...map].map(([key, value]) => ({ key, value })).sort((a, b) => compareCodePoints(a.key, b.key));
  const isBefore = (a: string, b: string) => compareCodePoints(a, b) < 0;
  return {
    get: (key) => map.get(key),
    put: (key, value) => void map.set(key, value),
    remove: (key) => void map.delete(key),
    ascending: (from, to) => sorted().filter(({ key }) => !isBefore(key, from) && isBefore(key, to)),
    descending: (from, to) =>
      sorted()
        .filter(({ key }) => isBefore(from, key) && isBefore(key, to))
        .toReversed(),
  };
}

const KEYS = fc.constantFrom("a", "a\u{1f525}", "a\uffff", "ab", "b", "b\0", "c", "\u{10ffff}");
const STEP = fc.oneof(
  fc.record({ kind: fc.constant("put" as const), key: KEYS, value: fc.string({ maxLength: 3 }) }),
  fc.record({ kind: fc.constant("remove" as const), key: KEYS }),
  fc.record({ kind: fc.constant("look" as const), from: KEYS, to: KEYS }),
);

test("pending rows over pending rows read as the rows will be, and a write that throws leaves nothing", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(KEYS, fc.string({ maxLength: 3 }))),
      fc.array(fc.record({ steps: fc.array(STEP), throws: fc.boolean() })),
      fc.nat(4),
      (stored, writes, split) => {
        const model = new Map(stored);
        let pending = new PendingRows(plainRows(new Map(stored)));
        for (const [at, { steps, throws }] of writes.entries()) {
          if (at === split) pending = new PendingRows(pending);
          const before = new Map(model);
          const run = (rows: WriteRows) => {
            const obvious = plainRows(model);
            for (const step of steps)
              if (step.kind === "look") {
                expect([...rows.ascending(step.from, step.to)]).toEqual([...obvious.ascending(step.from, step.to)]);
                expect([...rows.descending(step.from, step.to)]).toEqual([...obvious.descending(step.from, step.to)]);
              } else
                for (const each of [rows, obvious])
                  if (step.kind === "put") each.put(step.key, step.value);
                  else each.remove(step.key);
            if (throws) throw new Error("as it was asked to");
          };
          if (!throws) pending.attempt(run);
          else {
            expect(() => pending.attempt(run)).toThrow("as it was asked to");
            model.clear();
            for (const [key, value] of before) model.set(key, value);
          }
          for (const [key, value] of model) expect(pending.get(key)).toBe(value);
          expect([...pending.ascending("", "\u{10ffff}~")].map(({ key }) => key)).toEqual(
            [...model.keys()].sort(compareCodePoints),
          );
        }
      },
    ),
  );
});

test("a key that the binding would refuse is refused before anything is handed to it", () => {
  const rows = new PendingRows(plainRows(new Map()));
  expect(() => rows.attempt((each) => each.put("磁".repeat(700), "v"))).toThrow(RangeError);
  expect(rows.changes.size).toBe(0);
});

const SCATTERED_KEYS = fc.constantFrom(
  "1:i00-a",
  "1:i00-b",
  "1:i01-c",
  "1:s00x\0",
  "2:i00-a",
  "2:s01\u{1f525}",
  "1:c00a",
  "!numbers",
);
const TRANSACTION = fc.record({
  changes: fc.array(fc.tuple(SCATTERED_KEYS, fc.option(fc.string({ maxLength: 3 }))), { maxLength: 4 }),
  fails: fc.boolean(),
  isRead: fc.boolean(),
  isSeenEarly: fc.boolean(),
});

test("rows that go by a journal are there at once, for readers, after a kill, and in their tables at the end", () => {
  fc.assert(
    fc.property(fc.array(TRANSACTION, { maxLength: 40 }), fc.integer({ min: 1, max: 6 }), (transactions, countMax) => {
      const model = new Map<string, string>();
      const file = new Map<string, string>();
      const rows = plainRows(file);
      const write = (writes: readonly Change[]) => {
        for (const [key, value] of writes)
          if (value === null) rows.remove(key);
          else rows.put(key, value);
      };
      const everythingIn = (seen: ReadRows) =>
        [...seen.ascending('"', "\u{10ffff}")].map(({ key, value }) => [key, value]);
      const expected = () => everythingIn(plainRows(model));
      const [journal, reader] = [new Journal({ countMax }), new Journal()];
      journal.load(rows);
      for (const { changes, fails, isRead, isSeenEarly } of transactions) {
        const { writes, durable } = journal.plan(new Map(changes));
        journal.catchUp(rows);
        expect(everythingIn(journal.over(rows))).toEqual(expected());
        if (fails) continue;
        write(writes);
        for (const [key, value] of new Map(changes))
          if (value === null) model.delete(key);
          else model.set(key, value);
        if (isSeenEarly) {
          journal.catchUp(rows);
          expect(everythingIn(journal.over(rows))).toEqual(expected());
        }
        durable();
        expect(everythingIn(journal.over(rows))).toEqual(expected());
        for (const [key] of changes) expect(journal.over(rows).get(key)).toBe(model.get(key));
        const opened = new Journal();
        opened.load(rows);
        expect(everythingIn(opened.over(rows))).toEqual(expected());
        if (!isRead) continue;
        reader.load(rows);
        expect(everythingIn(reader.over(rows))).toEqual(expected());
      }
      const { writes, durable } = journal.planOfEnd();
      write(writes);
      durable();
      expect(everythingIn(rows)).toEqual(expected());
      expect([...file.keys()].filter((key) => key.startsWith("!journal"))).toEqual([]);
    }),
  );
});

describe("writes in groups", () => {
  /** A binding whose commits end when the test says so. */
  function world() {
    const stored = new Map<string, string>();
    const rows: ReadRows = plainRows(stored);
    const commits: { changes: [string, string | null][]; end: (error?: Error) => void }[] = [];
    let changes: [string, string | null][] = [];
    const database = {
      put: (key: string, value: string) => void changes.push([key, value]),
      remove: (key: string) => void changes.push([key, null]),
      resetReadTxn: () => {},
      batch: (fill: () => void) => {
        changes = [];
        fill();
        const own = changes;
        return new Promise<void>((resolve, reject) => {
          const end = (error?: Error) => {
            if (error !== undefined) return reject(error);
            for (const [key, value] of own)
              if (value === null) stored.delete(key);
              else stored.set(key, value);
            resolve();
          };
          commits.push({ changes: own, end });
        });
      },
    } as unknown as Database;
    const group = new GroupCommit(database, {
      journal: new Journal(),
      stored: rows,
      toError: async (error) => error as Error,
    });
    const add = (run: (rows: WriteRows) => unknown) =>
      new Promise<unknown>((resolve, reject) => group.add({ run, resolve, reject }));
    /** A few turns of the event loop that bring nothing. */
    const quiet = async () => {
      for (let time = 0; time < 4; time += 1) await new Promise((resolve) => setImmediate(resolve));
    };
    return { stored, commits, add, quiet, group };
  }

  const counted = (rows: WriteRows) => {
    const count = Number(rows.get("count") ?? "0") + 1;
    rows.put("count", `${count}`);
    return count;
  };

  test("are answered by the commit that they are in, and see what is being written before them", async () => {
    const { commits, add, quiet } = world();
    const answers: unknown[] = [];
    const counts = (times: number) => {
      for (let time = 0; time < times; time += 1) void add(counted).then((answer) => answers.push(answer));
    };
    counts(2);
    await quiet();
    counts(3);
    await quiet();
    expect(commits.map(({ changes }) => changes)).toEqual([[["count", "2"]]]);
    expect(answers).toEqual([]);
    commits[0]?.end();
    await quiet();
    expect(answers).toEqual([1, 2]);
    expect(commits[1]?.changes).toEqual([["count", "5"]]);
    commits[1]?.end();
    await quiet();
    expect(answers).toEqual([1, 2, 3, 4, 5]);
  });

  test("that were run on a commit that failed are run again on what is stored, and only its own writes fail", async () => {
    const { stored, commits, add, quiet } = world();
    const first = add(counted);
    await quiet();
    const second = add(counted);
    const third = add((rows) => rows.get("count"));
    commits[0]?.end(new Error("no disk"));
    await expect(first).rejects.toThrow("no disk");
    // The next transaction waits a moment after one that failed.
    await expect.poll(() => commits.length).toBe(2);
    commits[1]?.end();
    expect(await Promise.all([second, third])).toEqual([1, "1"]);
    expect([...stored]).toEqual([["count", "1"]]);
  });

  test("that come while the journal is put away at the end wait for that, and are answered before it is over", async () => {
    const { stored, commits, add, quiet, group } = world();
    const first = add((rows) => rows.put("1:i00-a", "a"));
    await quiet();
    commits[0]?.end();
    await first;
    const ended = group.end();
    await quiet();
    const late = add((rows) => rows.put("1:i00-b", "b"));
    await quiet();
    expect(commits).toHaveLength(2);
    commits[1]?.end();
    await quiet();
    commits[2]?.end();
    await Promise.all([late, ended]);
    expect([...stored.keys()]).toEqual(["1:i00-a", expect.stringMatching(/^!journal/)]);
  });

  test("one that throws fails alone, and one that changes nothing waits for those before it", async () => {
    const { commits, add, quiet } = world();
    const first = add(counted);
    const thrown = add((rows) => {
      rows.put("count", "99");
      throw new Error("not this one");
    });
    await expect(thrown).rejects.toThrow("not this one");
    await quiet();
    let seen: unknown = null;
    void add((rows) => rows.get("count")).then((value) => {
      seen = value;
    });
    await quiet();
    expect(seen).toBeNull();
    commits[0]?.end();
    expect(await first).toBe(1);
    await quiet();
    expect(seen).toBe("1");
    expect(commits).toHaveLength(1);
  });
});
