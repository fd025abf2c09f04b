import { describe, expect, test } from "vitest";
import { outdated, readmeBlock, withBlock } from "../../scripts/draw-readme.ts";

describe("the pictures of the machines", () => {
  test("in docs/machines and in the README are those of the machines as they are", () => {
    expect([...outdated().keys()]).toEqual([]);
  });

  test("stand between the markers of the README, and nothing else of it changes", () => {
    const readme = "before\n<!-- machine:begin -->\nold\n<!-- machine:end -->\nafter\n";
    const expected = "before\n<!-- machine:begin -->\nnew\n<!-- machine:end -->\nafter\n";
    expect(withBlock(readme, "new")).toBe(expected);
    expect(withBlock("no markers\n", "new")).toBe("no markers\n");
  });

  test("show all eight states in the README", () => {
    const states = ["Idle", "Processing", "Proceeding", "Success", "Failed", "Defense", "Waiting", "Skipped"];
    for (const state of states) expect(readmeBlock()).toContain(` ${state} `);
  });
});
