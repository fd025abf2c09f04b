import fc from "fast-check";
import { expect, test } from "vitest";
import { drawScatter, type ScatterPoint } from "../../src/drawing/scatter.ts";

const points: fc.Arbitrary<ScatterPoint[]> = fc
  .array(fc.record({ x: fc.nat(3_000), y: fc.nat(3_000), isRanked: fc.boolean() }), { maxLength: 40 })
  .map((all) => {
    let rank = 0;
    return all.map(({ x, y, isRanked }, at) => ({
      x,
      y,
      name: `count ${at}`,
      rank: isRanked ? ++rank : null,
      isOrigin: at === 0,
      isChosen: at === 1,
      note: `${y} executed`,
    }));
  });

const plotOf = (some: readonly ScatterPoint[]) =>
  drawScatter({
    title: "a <b> & c",
    x: "changed",
    y: "executed",
    points: some,
    line: { y: 20, name: "executed <= 20" },
  });

test("a plot has the same bytes for the same points, and nothing of a name becomes markup", () => {
  fc.assert(
    fc.property(points, (some) => {
      const drawn = plotOf(some);
      expect(plotOf(some)).toBe(drawn);
      expect(drawn).toContain("<title>a &lt;b&gt; &amp; c</title>");
      expect(drawn).not.toMatch(/NaN|Infinity|<b>/);
    }),
  );
});

test("no two numbers of a plot lie on each other, and each point is inside the axes", () => {
  fc.assert(
    fc.property(points, (some) => {
      const drawn = plotOf(some);
      const field = [...drawn.matchAll(/class="badge" x="([\d.-]+)" y="([\d.-]+)"/g)].map(
        (m) => [Number(m[1]), Number(m[2])] as const,
      );
      const inPlot = field.filter(([x, y]) => x > 30 && y < 480);
      for (const [at, [x, y]] of inPlot.entries())
        for (const [otherX, otherY] of inPlot.slice(at + 1))
          expect(Math.abs(x - otherX) >= 14 || Math.abs(y - otherY) >= 18).toBe(true);
      for (const [, x, y] of drawn.matchAll(/<circle class="point[^"]*" cx="(\d+)" cy="(\d+)"/g)) {
        expect(Number(x)).toBeGreaterThanOrEqual(72);
        expect(Number(x)).toBeLessThanOrEqual(728);
        expect(Number(y)).toBeGreaterThanOrEqual(84);
        expect(Number(y)).toBeLessThanOrEqual(420);
      }
    }),
  );
});
