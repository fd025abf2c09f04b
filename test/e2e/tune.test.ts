import { on } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import { columnsOf } from "../../src/present/text-width.ts";
import { becalm, jsonLines, ROOT, startBecalm, useFiles } from "../support/command.ts";

const file = useFiles();
const STORM = join(ROOT, "demo/storm.jsonl");
const POLICIES = join(ROOT, "demo/policies.yaml");
const POLICY_TEXT = readFileSync(POLICIES, "utf8");
const RULE = "function: skip_when_exceed, by: [cluster], count: 3, window: 5m";
const TUNE = ["tune", "--policies", POLICIES, "--policy", "shed-load", "--alerts", STORM];

type Row = {
  readonly count: number;
  readonly window: string;
  readonly by: readonly string[];
  readonly inForce: boolean;
  readonly executed: number;
  readonly skipped: number;
  readonly changed: number;
  readonly reached: boolean;
};
type Summary = { readonly smallest: Partial<Row> | null; readonly diff: { readonly changed: number } | null };

const rowsOf = (stdout: string) => jsonLines<Row>(stdout).slice(0, -1);
const summaryOf = (stdout: string) => jsonLines<{ summary: Summary & Record<string, unknown> }>(stdout).at(-1)?.summary;

/** What `run` says of the policy with another rule: the slow, obvious way to the same figures. */
async function runWith(rule: string): Promise<{ executed: number; skipped: number }> {
  const policies = file("varied.yaml", POLICY_TEXT.replace(RULE, rule));
  const { stdout } = await becalm(["run", "--policies", policies, "--alerts", STORM, "--json", "--quiet"]);
  const rows = jsonLines<{ policy?: string; attempts: number; state: string }>(stdout).filter(
    ({ policy }) => policy === "shed-load",
  );
  return {
    executed: rows.filter(({ attempts }) => attempts > 0).length,
    skipped: rows.filter(({ state }) => state === "Skipped").length,
  };
}

describe("tune", () => {
  test("tries every combination once, the rule in force first, and says of each what `run` would", async () => {
    const { code, stdout, stderr } = await becalm([
      ...TUNE,
      "--vary",
      "count=1,3,5",
      "--vary",
      "by=cluster,cluster+rack",
      "--json",
    ]);
    expect(code).toBe(0);
    expect(stderr).toContain("the rule in force and 5 other combinations");
    const rows = rowsOf(stdout);
    expect(rows.map(({ inForce }) => inForce)).toEqual([true, false, false, false, false, false]);
    for (const { count, by, executed, skipped } of rows) {
      const expected = await runWith(`function: skip_when_exceed, by: [${by.join(", ")}], count: ${count}, window: 5m`);
      expect([count, by, { executed, skipped }]).toEqual([count, by, expected]);
    }
  });

  test("names the smallest change that reaches a target, proves it with its diff, and writes it into the file", async () => {
    const out = join(dirname(file("here", "")), "new.yaml");
    const grid = ["--vary", "count=1..8", "--vary", "window=1m,5m", "--target", "executed >= 5", "--out", out];
    const { code, stdout } = await becalm([...TUNE, ...grid, "--json"]);
    expect(code).toBe(0);
    const summary = summaryOf(stdout);
    const reaching = rowsOf(stdout).filter(({ executed }) => executed >= 5);
    const least = Math.min(...reaching.map(({ changed }) => changed));
    expect(reaching.length).toBeGreaterThan(3);
    expect(summary?.smallest).toEqual({ count: 5, window: "5m" });
    expect(summary?.diff?.changed).toBe(least);
    expect(readFileSync(out, "utf8")).toBe(POLICY_TEXT.replace(RULE, RULE.replace("count: 3", "count: 5")));
    const diff = await becalm(["diff", "--policies", out, "--against", POLICIES, "--alerts", STORM, "--json"]);
    expect(summaryOf(diff.stdout)).toEqual(summary?.diff);
  });

  test("ends with 1 if nothing reaches the target, and writes no file", async () => {
    const out = join(dirname(file("here", "")), "none.yaml");
    const { code, stdout, stderr } = await becalm([
      ...TUNE,
      "--vary",
      "count=1,2",
      "--target",
      "executed > 900",
      "--out",
      out,
    ]);
    expect([code, existsSync(out)]).toEqual([1, false]);
    expect(stdout).toContain("No combination that was tried reaches executed > 900");
    expect(Math.max(...stdout.split("\n").map(columnsOf))).toBeLessThanOrEqual(80);
    expect(stderr).toContain("was not written");
  });

  test("says that nothing has to change if the rule in force reaches the target", async () => {
    const { code, stdout } = await becalm([...TUNE, "--vary", "count=1,3", "--target", "executed <= 3"]);
    expect(code).toBe(0);
    expect(stdout).toContain("The rule in force reaches executed <= 3: nothing has to change.");
  });

  test("reports a combination that no policy file may hold, and tries the others", async () => {
    const own = ["tune", "--policies", POLICIES, "--policy", "clean-disks", "--alerts", STORM];
    const { code, stdout } = await becalm([...own, "--vary", "window=2h,10m", "--json"]);
    expect(code).toBe(0);
    expect(jsonLines(stdout).map((line) => [line["window"], line["invalid"] !== undefined])).toEqual([
      ["5m", false],
      ["10m", false],
      ["2h", true],
      [undefined, false],
    ]);
  });

  test("reads stdin once for all combinations, and draws a plot of them", async () => {
    const svg = join(dirname(file("here", "")), "plot.svg");
    const options = [
      "tune",
      "--policies",
      POLICIES,
      "--policy",
      "shed-load",
      "--alerts",
      "-",
      "--vary",
      "count=1..4",
      "--svg",
      svg,
    ];
    const { code, stdout } = await becalm([...options, "--json"], { input: readFileSync(STORM, "utf8") });
    expect(code).toBe(0);
    expect(rowsOf(stdout).map(({ executed }) => executed)).toEqual([3, 1, 2, 4]);
    expect(readFileSync(svg, "utf8")).toContain("<title>count 3: 3 executed, 0 changed, in force</title>");
  });

  test("shows what it has tried when it is interrupted", async () => {
    const { child, ended } = startBecalm([...TUNE, "--vary", "count=1..400", "--json"]);
    for await (const [text] of on(child.stderr as Readable, "data")) if (/ of 400, /.test(String(text))) break;
    child.kill("SIGINT");
    const { code, stdout, stderr } = await ended;
    expect(code).toBe(130);
    expect(stderr).toMatch(/Stopped: \d+ of 400 were tried/);
    const rows = rowsOf(stdout);
    expect(rows.length).toBeGreaterThan(0);
    expect(rows.length).toBeLessThan(400);
    expect(summaryOf(stdout)).toMatchObject({ combinations: 400, tried: rows.length, smallest: null });
  });

  test("refuses a policy that is unknown or has no rule", async () => {
    const bare = file("bare.yaml", "policies:\n  - name: all\n    match: []\n    action: { log: {} }\n");
    const vary = ["--alerts", STORM, "--vary", "count=1,2"];
    const unknown = await becalm(["tune", "--policies", POLICIES, "--policy", "shed-lod", ...vary]);
    expect([unknown.code, unknown.stderr]).toEqual([2, expect.stringContaining('Did you mean "shed-load"?')]);
    const ruleless = await becalm(["tune", "--policies", bare, "--policy", "all", ...vary]);
    expect([ruleless.code, ruleless.stderr]).toEqual([2, expect.stringContaining("there is nothing to vary")]);
  });

  test("names a file that it cannot write", async () => {
    const vary = ["--policies", POLICIES, "--policy", "shed-load", "--alerts", STORM, "--vary", "count=3,4"];
    const { code, stderr } = await becalm(["tune", ...vary, "--svg", "/nowhere/at/all.svg"]);
    expect([code, stderr]).toEqual([1, expect.stringContaining("BECALM_OUTPUT_FAILED: /nowhere/at/all.svg")]);
  });
});
