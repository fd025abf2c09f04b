/** Very many timers that are due at once. */
import { describe, expect, test } from "vitest";
import { Turns } from "../../src/runtime/workers/turns.ts";
import {
  alertOf,
  EngineWorld,
  everything,
  MEMORY,
  MINUTE_MS,
  policyOf,
  SECOND_MS,
  take,
} from "../support/engine-world.ts";
import { ManualClock } from "../support/manual-clock.ts";
import type { StoreCall } from "../support/watched-store.ts";

describe("very many timers that are due at once", () => {
  test("are read a page at a time, not one by one", async () => {
    const world = new EngineWorld(MEMORY);
    let loads = 0;
    const count = ({ method }: StoreCall) => {
      loads += method === "load" ? 1 : 0;
      return "pass" as const;
    };
    const asking = policyOf({ function: "defense", count: 1 }, { approval: { timeout: "2m" } });
    const engine = await world.engine([asking], { fateOf: count });
    world.outcome = () => "done";
    await take(engine, ...Array.from({ length: 200 }, (_, index) => alertOf(`a${index}`)));
    await world.elapse(MINUTE_MS);
    loads = 0;
    await world.until(
      "all approvals are over",
      async () => (await engine.list({ state: "Waiting" })).instances.length === 0,
      30 * SECOND_MS,
    );
    expect(
      new Set((await everything(engine)).filter(({ kind }) => kind === "action").map(({ state }) => state)),
    ).toEqual(new Set(["Success", "Skipped"]));
    // Once for the page, once for the batch that it becomes; the rest are looks at pauses and lists.
    expect(loads).toBeLessThan(120);
  });
});

describe("turns", () => {
  test("come one after the other, in order, and one that lasts too long is passed", async () => {
    const clock = new ManualClock(0);
    const turns = new Turns(clock, 250);
    const begun: string[] = [];
    const begin = (name: string) =>
      turns.take().then((end) => {
        begun.push(name);
        return end;
      });
    const settled = () => new Promise((resolve) => setImmediate(resolve));
    const first = begin("a");
    const second = begin("b");
    void begin("c");
    await settled();
    expect(begun).toEqual(["a"]);
    (await first)();
    await settled();
    expect(begun).toEqual(["a", "b"]);
    clock.set(300);
    clock.advance(0);
    await settled();
    expect(begun).toEqual(["a", "b", "c"]);
    // It has been passed: its end is nobody's turn.
    (await second)();
    void begin("d");
    await settled();
    expect(begun).toEqual(["a", "b", "c"]);
  });
});
