import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, test, vi } from "vitest";
import { pause, systemClock } from "../../src/system/system-clock.ts";
import { ManualClock } from "../support/manual-clock.ts";

const DAY_MS = 86_400_000;

afterEach(() => void vi.useRealTimers());

describe("the system clock", () => {
  test("tells the system's time", () => {
    vi.useFakeTimers({ now: 1_234_567 });
    expect(systemClock().now()).toBe(1_234_567);
  });

  test.each([0, 1, 2 ** 31 - 1, 2 ** 31, 31 * DAY_MS, 400 * DAY_MS])(
    "fires once after %i ms, not before",
    (delayMs) => {
      vi.useFakeTimers();
      let fired = 0;
      systemClock().schedule(delayMs, () => (fired += 1));
      // Fake timers take at least 1 ms, as Node does.
      if (delayMs > 1) vi.advanceTimersByTime(delayMs - 1);
      expect(fired).toBe(0);
      vi.advanceTimersByTime(1);
      expect(fired).toBe(1);
      vi.advanceTimersByTime(DAY_MS * 100);
      expect(fired).toBe(1);
    },
  );

  test("takes a time that has passed for now", () => {
    vi.useFakeTimers();
    let fired = 0;
    systemClock().schedule(-5, () => (fired += 1));
    vi.advanceTimersByTime(1);
    expect(fired).toBe(1);
  });

  test.each([10, 31 * DAY_MS])("does not fire after it was cancelled (%i ms)", (delayMs) => {
    vi.useFakeTimers();
    let fired = 0;
    const cancel = systemClock().schedule(delayMs, () => (fired += 1));
    vi.advanceTimersByTime(delayMs - 1);
    cancel();
    cancel();
    vi.advanceTimersByTime(100 * DAY_MS);
    expect(fired).toBe(0);
  });

  test("keeps a program alive until what is scheduled has fired, and not for what was cancelled", () => {
    const root = fileURLToPath(new URL("../..", import.meta.url));
    const path = fileURLToPath(new URL("../support/clock-program.ts", import.meta.url));
    const { stdout, status } = spawnSync(process.execPath, ["scripts/run-ts.mjs", path], {
      cwd: root,
      encoding: "utf8",
      timeout: 60_000,
    });
    expect({ stdout, status }).toEqual({ stdout: "scheduled\nfired\n", status: 0 });
  });

  test("a pause lasts as long as it says", async () => {
    vi.useFakeTimers();
    let isOver = false;
    const paused = pause(100).then(() => (isOver = true));
    await vi.advanceTimersByTimeAsync(99);
    expect(isOver).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    await paused;
    expect(isOver).toBe(true);
  });
});

describe("the tests' own clock", () => {
  test("fires in order of due times, then of scheduling, each at its own time", () => {
    const clock = new ManualClock(1_000);
    const fired: string[] = [];
    const note = (name: string) => () => void fired.push(`${name}@${clock.now()}`);
    clock.schedule(20, note("late"));
    clock.schedule(10, note("early"));
    clock.schedule(10, note("early too"));
    clock.schedule(30, note("later"));
    clock.advance(20);
    expect(fired).toEqual(["early@1010", "early too@1010", "late@1020"]);
    expect(clock.now()).toBe(1_020);
    expect([clock.pendingCount, clock.nextDueAtMs]).toEqual([1, 1_030]);
  });

  test("fires what a firing schedules within the same stretch", () => {
    const clock = new ManualClock();
    const fired: number[] = [];
    const again = () => {
      fired.push(clock.now());
      clock.schedule(10, again);
    };
    clock.schedule(10, again);
    clock.advance(35);
    expect(fired).toEqual([10, 20, 30]);
  });

  test("fires nothing that was cancelled, and nothing when it is set", () => {
    const clock = new ManualClock();
    const fired: string[] = [];
    clock.schedule(10, () => fired.push("cancelled"))();
    clock.schedule(10, () => fired.push("set over"));
    clock.set(100);
    expect([fired, clock.now()]).toEqual([[], 100]);
    clock.set(5);
    clock.advance(0);
    expect(fired).toEqual([]);
    clock.advance(5);
    expect(fired).toEqual(["set over"]);
  });
});
