import { describe, expect, test } from "vitest";
import { isForming, newGroup, openGroup } from "../../src/convergence/group.ts";
import { CONVERGENCE_FUNCTIONS } from "../../src/model/convergence-rule.ts";

/** Functions that decide by how many have executed, until as many have as are allowed. */
const LIMITING = ["skip_when_exceed", "defense", "collect"];

describe.each(CONVERGENCE_FUNCTIONS)("under %s", (fn) => {
  test("deciding takes the dimension lock while no group is open", () => {
    expect(isForming(null)).toBe(true);
    expect(isForming(newGroup("g", "p", 0))).toBe(true);
  });

  test("and in an open group only where the number of executed peers decides, below the count", () => {
    const group = newGroup("g", "p", 0);
    const open = openGroup(group, { function: fn, count: 3, windowMs: 1_000 }, { ruleVersion: "1", atMs: 0 });
    expect(isForming(group)).toBe(LIMITING.includes(fn));
    open.executed = 3;
    expect(isForming(group)).toBe(false);
  });
});
