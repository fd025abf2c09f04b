/** What a store guarantees of the processes that share its namespace. One that only one process can use has none. */
import { beforeEach, describe, expect, test } from "vitest";
import { LETTER_COUNT_MAX, type Processes } from "../../src/stores/processes.ts";
import type { StoreWorld } from "./store-contract.ts";

const LONG_MS = 600_000;
const SHORT_MS = 30;

export function processesContract(name: string, makeWorld: () => Promise<StoreWorld>, partitions: number): void {
  describe(`${name}: the processes of a namespace`, () => {
    let world: StoreWorld;
    let processes: Processes | null;

    beforeEach(async () => {
      world = await makeWorld();
      await world.store.open({ mode: "live", partitions });
      processes = world.store.processes;
    });

    /** Runs nothing where there can be only one process. */
    function several(what: string, run: (processes: Processes) => Promise<void>): void {
      test(what, async ({ skip }) => (processes === null ? skip() : run(processes)));
    }

    several(
      "that have said that they live are listed by id, each with its record, until their leases run out",
      async (all) => {
        await all.beat({ id: "b", record: '{"name": "B b"}', leaseMs: LONG_MS });
        const living = await all.beat({ id: "a", record: "A", leaseMs: SHORT_MS });
        expect(living.map(({ id, record }) => [id, record])).toEqual([
          ["a", "A"],
          ["b", '{"name": "B b"}'],
        ]);
        expect(living[0]?.leftMs).toBeLessThanOrEqual(SHORT_MS);
        await world.outlast(SHORT_MS + 1);
        expect((await all.living()).map(({ id }) => id)).toEqual(["b"]);
      },
    );

    several("renew their leases and their records by saying it again", async (all) => {
      await all.beat({ id: "a", record: "1", leaseMs: SHORT_MS });
      await all.beat({ id: "a", record: "2", leaseMs: LONG_MS });
      await world.outlast(SHORT_MS + 1);
      expect(await all.living()).toMatchObject([{ id: "a", record: "2" }]);
    });

    several("that leave are gone at once, with what is in their inbox", async (all) => {
      await all.beat({ id: "a", record: "A", leaseMs: LONG_MS });
      await all.send("a", ["unread"]);
      await all.leave("a");
      expect(await all.living()).toEqual([]);
      expect(await all.waiting("a")).toBe(0);
    });

    several("receive letters in the order in which they were sent, each once, so many at a time", async (all) => {
      const letters = Array.from({ length: LETTER_COUNT_MAX + 5 }, (_, index) => `letter ${index} \u00e9\n`);
      await all.send("a", letters.slice(0, 2));
      await all.send("a", letters.slice(2));
      expect(await all.waiting("a")).toBe(letters.length);
      expect(await all.receive("a")).toEqual(letters.slice(0, LETTER_COUNT_MAX));
      expect(await all.receive("a")).toEqual(letters.slice(LETTER_COUNT_MAX));
      expect(await all.waiting("a")).toBe(0);
      await all.leave("a");
    });

    several("wait for a letter, each in its own inbox", async (all) => {
      const received = Promise.all([all.receive("a"), all.receive("b")]);
      await all.send("b", ["to b"]);
      await all.send("a", ["to a"]);
      expect(await received).toEqual([["to a"], ["to b"]]);
      await Promise.all([all.leave("a"), all.leave("b")]);
    });

    several("are known by what they were called when they live no longer, by id", async (all) => {
      await all.enrol({ id: "a", record: "host a: 1", sinceMs: 1 });
      await all.enrol({ id: "b", record: "", sinceMs: 2 });
      await all.enrol({ id: "a", record: "host a: 2", sinceMs: 3 });
      expect([...(await all.enrolled(["b", "none", "a"]))]).toEqual([
        ["b", ""],
        ["a", "host a: 2"],
      ]);
      expect((await all.enrolled([])).size).toBe(0);
    });

    several("that leave while they wait for a letter wait no longer", async (all) => {
      const received = all.receive("a");
      await all.leave("a");
      expect(await received).toEqual([]);
    });
  });
}
