import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type ComparedEntry, LogComparison, type Side } from "../../src/cli/log-comparison.ts";

type Given = { readonly side: Side; readonly instance: string; readonly hash: string };

async function compared(given: readonly Given[]): Promise<string[]> {
  const comparison = await LogComparison.open();
  try {
    for (const [at, { side, instance, hash }] of given.entries()) {
      const entry: ComparedEntry = { instance, hash, version: 1, atMs: at, place: `line ${at}` };
      await comparison.add(side, entry);
    }
    const found: string[] = [];
    for await (const { missingIn, entry, isKnown } of comparison.differences())
      found.push(`${missingIn} ${entry.instance} ${entry.hash} ${isKnown}`);
    return found.sort();
  } finally {
    await comparison.close();
  }
}

/** The same with everything in memory. */
function plainly(given: readonly Given[]): string[] {
  const of = (side: Side) => given.filter((one) => one.side === side);
  const found = new Set<string>();
  for (const { side, instance, hash } of given) {
    const others = of(side === "log" ? "store" : "log");
    if (others.some((other) => other.instance === instance && other.hash === hash)) continue;
    const isKnown = others.some((other) => other.instance === instance);
    found.add(`${side === "log" ? "store" : "log"} ${instance} ${hash} ${isKnown}`);
  }
  return [...found].sort();
}

describe("two sets of audit entries", () => {
  test("differ in what a comparison in memory finds, each difference once", async () => {
    const one = fc.record({
      side: fc.constantFrom<Side>("log", "store"),
      instance: fc.integer({ min: 0, max: 9 }).map((n) => `0${n}-instance`),
      hash: fc.integer({ min: 0, max: 5 }).map(String),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(one, { maxLength: 60 }), async (given) => {
        expect(await compared(given)).toEqual(plainly(given));
      }),
      { numRuns: 50 },
    );
  });

  test("are compared in pieces when they are large", async () => {
    const given: Given[] = [];
    for (let number = 0; number < 100_000; number += 1) {
      const entry = { instance: `00-${number}`, hash: "h".repeat(43) };
      given.push({ side: "log", ...entry });
      if (number !== 77_777) given.push({ side: "store", ...entry });
    }
    expect(await compared(given)).toEqual([`store 00-77777 ${"h".repeat(43)} false`]);
  });
});
