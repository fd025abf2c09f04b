import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { inOrderOf } from "../../src/simulate/arrival-order.ts";

describe("things of one time", () => {
  test("stand as each of their groups saw them come, and else as they were", () => {
    expect(inOrderOf(["a", "b", "c", "d"], [[["c"], ["a", "b"]]])).toEqual(["c", "d", "a", "b"]);
    expect(
      inOrderOf(
        ["a", "b", "c"],
        [
          [["b"], ["a"]],
          [["c"], ["b"]],
        ],
      ),
    ).toEqual(["c", "b", "a"]);
  });

  test("all are there, each once, also if groups contradict each other", () => {
    expect(
      inOrderOf(
        ["a", "b"],
        [
          [["a"], ["b"]],
          [["b"], ["a"]],
        ],
      ).toSorted(),
    ).toEqual(["a", "b"]);
  });

  test("keep every order that comes from one sequence, whatever groups it is told by", () => {
    const sequence = Array.from({ length: 12 }, (_, index) => index);
    fc.assert(
      fc.property(fc.array(fc.subarray(sequence), { maxLength: 5 }), fc.shuffledSubarray(sequence), (groups, items) => {
        const chains = groups.map((group) => group.filter((item) => items.includes(item)).map((item) => [item]));
        const ordered = inOrderOf(items, chains);
        expect(ordered.toSorted((a, b) => a - b)).toEqual(items.toSorted((a, b) => a - b));
        for (const chain of chains) {
          const places = chain.flat().map((item) => ordered.indexOf(item));
          expect(places).toEqual(places.toSorted((a, b) => a - b));
        }
      }),
    );
  });
});
