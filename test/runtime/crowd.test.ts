import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import { Crowd } from "../../src/runtime/inbox/crowd.ts";
import { ManualClock } from "../support/manual-clock.ts";

/** A crowd that is full, what its batches count in, and who has begun since. */
function full() {
  const clock = new ManualClock(0);
  const crowd = new Crowd(clock);
  const begun: string[] = [];
  let counted = crowd.enter();
  for (let isFull = false; !isFull; ) {
    if (counted.batches > 10_000) throw new Error("the crowd has no bound");
    counted = crowd.enter();
    isFull = true;
    crowd.pass(() => {
      isFull = false;
    });
  }
  // The one that found it full.
  const pass = (name: string) => crowd.pass(() => begun.push(name));
  return { clock, crowd, counted, begun, pass };
}

test("whoever would begin more batches than may be under way waits until one ends, the longest waiting first", async () => {
  const { crowd, counted, begun, pass } = full();
  pass("first");
  pass("second");
  await nextTurn();
  expect(begun).toEqual([]);
  crowd.leave(counted);
  await nextTurn();
  expect(begun).toEqual(["first", "second"]);
  pass("third");
  expect(begun).toEqual(["first", "second", "third"]);
});

test("what begins counts: the next one waits again", async () => {
  const { crowd, counted, begun, pass } = full();
  crowd.pass(() => {
    crowd.enter();
    begun.push("first");
  });
  pass("second");
  crowd.leave(counted);
  await nextTurn();
  expect(begun).toEqual(["first"]);
  crowd.leave(counted);
  await nextTurn();
  expect(begun).toEqual(["first", "second"]);
});

test("batches that do not end keep others waiting no longer than 50 ms, and count for nobody once they do", async () => {
  const { clock, crowd, counted, begun, pass } = full();
  pass("first");
  clock.advance(49);
  await nextTurn();
  expect(begun).toEqual([]);
  clock.advance(1);
  await nextTurn();
  expect(begun).toEqual(["first"]);
  const after = crowd.enter();
  crowd.leave(counted);
  expect(after.batches).toBe(1);
});

test("as long as some end, all others wait for their turn", async () => {
  const { clock, crowd, counted, begun, pass } = full();
  for (const name of ["first", "second"])
    crowd.pass(() => {
      crowd.enter();
      begun.push(name);
    });
  clock.advance(49);
  crowd.leave(counted);
  await nextTurn();
  clock.advance(49);
  pass("third");
  await nextTurn();
  expect(begun).toEqual(["first"]);
});
