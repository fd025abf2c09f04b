import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseCondition } from "../../src/simulate/diff-gates.ts";
import { axisOf, paretoOf, smallestOf, type Tried, TUNE_FIELDS, type TuneFigures } from "../../src/simulate/tune.ts";
import { combinationsOf, combinationText, parseGrid } from "../../src/simulate/tune-grid.ts";

const figures = (executed: number, changed: number): TuneFigures => ({
  executed,
  changed,
  skipped: 0,
  waiting: 0,
  asked: 0,
  newlyExecuted: 0,
  newlySkipped: 0,
});

const tried: fc.Arbitrary<Tried[]> = fc
  .array(fc.record({ executed: fc.nat(6), changed: fc.nat(6), settingsChanged: fc.integer({ min: 1, max: 3 }) }), {
    maxLength: 20,
  })
  .map((all) => [
    { combination: new Map(), isInForce: true, settingsChanged: 0, figures: figures(3, 0) },
    ...all.map(({ executed, changed, settingsChanged }, at) => ({
      combination: new Map([["count" as const, at + 1]]),
      isInForce: false,
      settingsChanged,
      figures: figures(executed, changed),
    })),
  ]);

const target = (text: string) => parseCondition(text, { names: TUNE_FIELDS, example: "executed <= 20" });

describe("the Pareto points", () => {
  test("are those that no other combination beats: better with as little change, or as good with less", () => {
    fc.assert(
      fc.property(tried, fc.boolean(), (all, isLess) => {
        const cost = ({ figures: { executed } }: Tried) => (isLess ? executed : -executed);
        const beats = (a: Tried, b: Tried) =>
          cost(a) <= cost(b) &&
          a.figures.changed <= b.figures.changed &&
          (cost(a) < cost(b) || a.figures.changed < b.figures.changed);
        const expected = all.filter((one) => !all.some((other) => beats(other, one)));
        const kinds = (some: readonly Tried[]) => new Set(some.map((one) => `${cost(one)} ${one.figures.changed}`));
        const found = paretoOf(all, { field: "executed", isLess });
        expect(kinds(found)).toEqual(kinds(expected));
        expect(found).toHaveLength(kinds(expected).size);
      }),
    );
  });

  test("want less of what a target bounds above, more of what it bounds below, and fewer actions without one", () => {
    expect(axisOf([])).toEqual({ field: "executed", isLess: true });
    expect(axisOf([target("changed <= 4"), target("asked < 3")])).toEqual({ field: "asked", isLess: true });
    expect(axisOf([target("executed >= 5")])).toEqual({ field: "executed", isLess: false });
  });
});

describe("the smallest change", () => {
  test("reaches every target, and nothing that does changes fewer instances, or as many with fewer settings", () => {
    fc.assert(
      fc.property(tried, fc.nat(6), fc.nat(6), (all, executed, changed) => {
        const reaching = all.filter(({ figures: of }) => of.executed <= executed && of.changed >= changed);
        const found = smallestOf(all, [target(`executed <= ${executed}`), target(`changed >= ${changed}`)]);
        const least = Math.min(...reaching.map((one) => one.figures.changed * 10 + one.settingsChanged));
        if (found === null) expect(reaching).toEqual([]);
        else
          expect([reaching.includes(found), found.figures.changed * 10 + found.settingsChanged]).toEqual([true, least]);
      }),
    );
  });
});

describe("a grid", () => {
  test("has every combination of its values once", () => {
    const grid = parseGrid(["count=1..3,9", "window=60s,1m,5m", "by=cluster,cluster + rack,-"]);
    const texts = combinationsOf(grid).map(combinationText);
    expect(texts).toHaveLength(4 * 2 * 3);
    expect(new Set(texts).size).toBe(texts.length);
    expect(texts[0]).toBe("count 1, window 1m, by cluster");
    expect(texts.at(-1)).toBe("count 9, window 5m, by -");
  });

  test.each([
    [["count=0"], /not a count from 1 on/],
    [["count=3..1"], /not a count from 1 on/],
    [["count=1..1000000000"], /at most 500/],
    [["count=1..100", "window=1m,2m,3m,4m,5m,6m"], /600 combinations/],
    [["count=1", "count=2"], /given twice/],
    [["retries=3"], /varies nothing that is known/],
    [["window=5"], /not a duration/],
    [[], /Say what to vary/],
  ])("is refused if it is %j, with what to write", (texts, message) => {
    expect(() => parseGrid(texts)).toThrow(message);
  });
});
