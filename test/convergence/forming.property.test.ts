/** A member is found where it stands, however often and of whatever length of list it is asked. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { type FormingMember, placeInForming } from "../../src/convergence/forming.ts";

const member = (number: number): FormingMember => ({
  id: `00-${number}`,
  createdAtMs: number,
  standing: "none",
  hadAttempt: false,
  succeededAtMs: null,
});

type Step = { readonly grow: number } | { readonly ask: number } | { readonly other: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ grow: fc.integer({ min: 1, max: 12 }) }),
  fc.record({ ask: fc.integer({ min: 0, max: 60 }) }),
  fc.record({ other: fc.integer({ min: 0, max: 20 }) }),
);

test("a member is found at its place while its list grows, whatever other lists are asked between", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const list: FormingMember[] = [];
      const other = Array.from({ length: 20 }, (_, number) => member(number));
      for (const one of steps) {
        if ("grow" in one) for (let count = 0; count < one.grow; count += 1) list.push(member(list.length));
        if ("ask" in one)
          expect(placeInForming(list, `00-${one.ask}`)).toBe(list.findIndex(({ id }) => id === `00-${one.ask}`));
        if ("other" in one) expect(placeInForming(other, `00-${one.other}`)).toBe(one.other < 20 ? one.other : -1);
      }
    }),
  );
});
