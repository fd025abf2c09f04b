import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { dimensionKey, ruleGoverns } from "../../src/convergence/dimension-key.ts";

function keyOf(text: string): string {
  return `!sha1#${createHash("sha1").update(text, "utf8").digest("hex")}`;
}

describe("the dimension key", () => {
  test("hashes the function and the instance's own values in code-point order of the names", () => {
    const key = dimensionKey(
      { function: "defense", by: ["rack", "cluster"] },
      { rack: "r2", cluster: "core", job: "node" },
    );
    expect(key).toBe(keyOf("#defense|cluster:core|rack:r2"));
  });

  test("is the function alone when the rule names no dimension", () => {
    expect(dimensionKey({ function: "collect" }, { rack: "r2" })).toBe(keyOf("#collect"));
  });

  test("takes a missing dimension as the empty text, also one that every object inherits", () => {
    expect(dimensionKey({ function: "defense", by: ["rack", "constructor"] }, {})).toBe(
      keyOf("#defense|constructor:|rack:"),
    );
  });

  test("puts every listed value of `where` in the configured order, whatever the own value is", () => {
    const rule = { function: "trigger", where: { severity: ["warning", "critical"] } };
    expect(dimensionKey(rule, { severity: "critical" })).toBe(keyOf("#trigger|severity:warning|severity:critical"));
    expect(dimensionKey(rule, { severity: "warning" })).toBe(dimensionKey(rule, { severity: "critical" }));
  });

  test("uses the own value of a dimension that both by and where name, once", () => {
    const rule = { function: "trigger", by: ["severity"], where: { severity: ["warning", "critical"] } };
    expect(dimensionKey(rule, { severity: "critical" })).toBe(keyOf("#trigger|severity:critical"));
  });

  test("joins the elements of an own list with commas into one value", () => {
    expect(dimensionKey({ function: "defense", by: ["ips"] }, { ips: ["b", "a", 3, null] })).toBe(
      keyOf("#defense|ips:b,a,3,None"),
    );
  });

  test.each([
    [null, "None"],
    [true, "True"],
    [false, "False"],
    [0, "0"],
    [-0, "0"],
    [1.5, "1.5"],
    [1e21, "1000000000000000000000"],
    [-1.25e22, "-12500000000000000000000"],
    [1e-7, "0.0000001"],
    [-1.5e-9, "-0.0000000015"],
    ["", ""],
    ["磁盘", "磁盘"],
  ])("spells %j as %s", (value, text) => {
    expect(dimensionKey({ function: "defense", by: ["d"] }, { d: value })).toBe(keyOf(`#defense|d:${text}`));
  });

  test("orders names beyond U+FFFF after all others", () => {
    const key = dimensionKey({ function: "defense", by: ["\u{1f600}", "\uff01"] }, {});
    expect(key).toBe(keyOf("#defense|\uff01:|\u{1f600}:"));
  });

  test("refuses a number that has no decimal spelling", () => {
    expect(() => dimensionKey({ function: "defense", by: ["d"] }, { d: Number.NaN })).toThrow(/finite number/);
  });
});

describe("which instances a rule governs", () => {
  test("all, without a where", () => {
    expect(ruleGoverns({}, {})).toBe(true);
  });

  test("those with an allowed value in every listed dimension", () => {
    const rule = { where: { severity: ["warning", "critical"], team: ["infra"] } };
    expect(ruleGoverns(rule, { severity: "critical", team: "infra" })).toBe(true);
    expect(ruleGoverns(rule, { severity: "info", team: "infra" })).toBe(false);
    expect(ruleGoverns(rule, { severity: "critical" })).toBe(false);
  });

  test("those without the dimension, if the empty text is allowed", () => {
    expect(ruleGoverns({ where: { team: [""] } }, {})).toBe(true);
  });

  test("a label's text is the allowed number that is spelled so", () => {
    expect(ruleGoverns({ where: { shard: [1] } }, { shard: "1" })).toBe(true);
  });
});
