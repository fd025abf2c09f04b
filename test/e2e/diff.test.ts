import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { becalm, jsonLines, ROOT, startBecalm, useFiles } from "../support/command.ts";

const file = useFiles();
const STORM = join(ROOT, "demo/storm.jsonl");
const POLICIES = join(ROOT, "demo/policies.yaml");

type Row = { readonly id: string; readonly attempts: number; readonly state: string };
type Summary = Readonly<Record<string, number>> & {
  readonly was: Record<string, number>;
  readonly now: Record<string, number>;
};
const summaryOf = (stdout: string) => jsonLines<{ summary: Summary }>(stdout).at(-1)?.summary as Summary;

/** What `run` says of a policy file: the slow, obvious way to the same difference. */
async function runOf(policies: string): Promise<{ rows: Map<string, Row>; summary: Record<string, number> }> {
  const { stdout } = await becalm(["run", "--policies", policies, "--alerts", STORM, "--json", "--quiet"]);
  const lines = jsonLines<Row>(stdout);
  const rows = lines
    .slice(0, -1)
    .map((row) => [row.id.slice(3), { ...row, id: row.id.slice(3), group: null }] as const);
  return { rows: new Map(rows), summary: (lines.at(-1) as unknown as { summary: Record<string, number> }).summary };
}

describe("diff", () => {
  test("of a file with itself finds no change, and every gate on a change holds", async () => {
    const sides = ["diff", "--policies", POLICIES, "--against", POLICIES, "--alerts", STORM, "--json"];
    const gates = ["--fail-if", "changed != 0", "--no-newly-skipped", 'alertname=~".+"'];
    const { code, stdout } = await becalm([...sides, ...gates]);
    expect(code).toBe(0);
    expect(jsonLines(stdout)).toHaveLength(1);
    expect(summaryOf(stdout)["changed"]).toBe(0);
  });

  test("names exactly the instances that `run` decides in another way, with the sums of both runs", async () => {
    const text = readFileSync(POLICIES, "utf8").replaceAll("count: 1", "count: 3");
    const raised = file("raised.yaml", text);
    const { code, stdout } = await becalm([
      "diff",
      "--policies",
      raised,
      "--against",
      POLICIES,
      "--alerts",
      STORM,
      "--json",
    ]);
    expect(code).toBe(0);
    const [was, now] = [await runOf(POLICIES), await runOf(raised)];
    const said = (row: Row | undefined) => JSON.stringify(row === undefined ? null : { ...row, verdict: undefined });
    const expected = [...now.rows.keys()].filter((key) => said(was.rows.get(key)) !== said(now.rows.get(key)));
    const changes = jsonLines<{ id?: string }>(stdout).flatMap(({ id }) => id?.slice(3) ?? []);
    expect(expected.length).toBeGreaterThan(5);
    expect(new Set(changes)).toEqual(new Set(expected));
    const summary = summaryOf(stdout);
    for (const field of ["executed", "skipped", "waiting", "groups", "summaries"]) {
      expect([field, summary.was[field], summary.now[field]]).toEqual([field, was.summary[field], now.summary[field]]);
    }
  });

  test("fails with 1 at a gate, says which and why, and marks what was and is", async () => {
    const fewer = file(
      "fewer.yaml",
      readFileSync(POLICIES, "utf8").replace("name: restart-host", "name: restart-rack"),
    );
    const options = ["diff", "--policies", fewer, "--against", POLICIES, "--alerts", STORM];
    const gated = await becalm([
      ...options,
      "--no-newly-skipped",
      'severity="critical"',
      "--fail-if",
      "changed > 10",
      "--markdown",
    ]);
    expect(gated.code).toBe(1);
    expect(gated.stdout).toContain("| restart-host | 5 | 0 |");
    expect(gated.stdout).toContain("no instance");
    expect(gated.stdout).toMatch(/❌ \d+ newly skipped with severity="critical"/);
    expect((await becalm(options)).code).toBe(0);
  });

  test("takes several files one after the other", async () => {
    const lines = readFileSync(STORM, "utf8").trimEnd().split("\n");
    const halves = [file("a.jsonl", lines.slice(0, 90).join("\n")), file("b.jsonl", lines.slice(90).join("\n"))];
    const sides = ["diff", "--policies", POLICIES, "--against", POLICIES, "--json", "--alerts"];
    const whole = summaryOf((await becalm([...sides, STORM])).stdout);
    expect(summaryOf((await becalm([...sides, ...halves])).stdout)).toEqual(whole);
  });

  test("a gate that fails makes the exit code 1 also if nobody reads the output, and an empty file is no silent pass", async () => {
    const raised = file("raised-for-nobody.yaml", readFileSync(POLICIES, "utf8").replaceAll("count: 1", "count: 3"));
    const sides = ["diff", "--policies", raised, "--against", POLICIES, "--alerts"];
    for (const [condition, form, code] of [
      ["changed > 0", [], 1],
      ["changed > 0", ["--json"], 1],
      ["changed == 0", ["--json"], 0],
    ] as const) {
      const { child, ended } = startBecalm([...sides, STORM, "--fail-if", condition, ...form]);
      child.stdout?.destroy();
      expect((await ended).code, `${condition} ${form.join()}`).toBe(code);
    }
    const empty = await becalm([...sides, file("empty.jsonl", "")]);
    expect([empty.code, empty.stderr]).toEqual([0, expect.stringContaining("there was no alert")]);
  });

  test("refuses what it cannot read with 2, before anything is simulated", async () => {
    const sides = ["diff", "--policies", POLICIES, "--against", POLICIES];
    for (const [args, why] of [
      [[], "--alerts"],
      [["--alerts", STORM, "--fail-if", "now.exec > 1"], "now.exec"],
      [["--alerts", STORM, "--no-newly-skipped", "severity"], "severity"],
      [["--alerts", STORM, "--json", "--markdown"], "not both"],
      [["--alerts", STORM, "--assume", "nobody=ok"], "nobody"],
    ] as const) {
      const { code, stderr } = await becalm([...sides, ...args]);
      expect([code, stderr.includes(why)]).toEqual([2, true]);
    }
    expect((await becalm([...sides, "--alerts", "missing.jsonl"])).code).toBe(3);
  });
});
