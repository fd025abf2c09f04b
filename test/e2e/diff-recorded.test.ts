import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { becalm, jsonLines, ROOT, useFiles } from "../support/command.ts";

const file = useFiles();
const STORM = join(ROOT, "demo/storm.jsonl");
const POLICIES = join(ROOT, "demo/policies.yaml");
const raised = () => file("raised.yaml", readFileSync(POLICIES, "utf8").replaceAll("count: 1", "count: 3"));

type Change = { readonly id: string; readonly was: object | null; readonly now: object | null };
type Summary = { readonly changed: number; readonly instances: number; readonly was: object; readonly now: object };

function split(stdout: string): { changes: Map<string, Change>; summary: Summary } {
  const lines = jsonLines<Change & { summary?: Summary }>(stdout);
  const changes = new Map(lines.filter(({ id }) => id !== undefined).map((one) => [one.id.slice(3), one] as const));
  return { changes, summary: lines.at(-1)?.summary as Summary };
}

describe("diff over what was recorded", () => {
  let folder: string;
  let store: string;
  let bundle: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "becalm-recorded-"));
    store = `lmdb:${join(folder, "store")}`;
    bundle = join(folder, "storm.bundle");
    expect((await becalm(["run", "--policies", POLICIES, "--alerts", STORM, "--store", store, "--quiet"])).code).toBe(
      0,
    );
    expect((await becalm(["export", "--out", bundle, "--store", store])).code).toBe(0);
  });

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  // Which of the equal alerts of one millisecond came first is not recorded, so the sums are the same, and each file's choice among equals is not.
  test("comes to what a diff of the alerts themselves comes to, in a store and in a bundle", async () => {
    const policies = raised();
    const direct = await becalm(["diff", "--policies", policies, "--against", POLICIES, "--alerts", STORM, "--json"]);
    const expected = split(direct.stdout);
    expect(expected.changes.size).toBeGreaterThan(5);
    for (const source of [
      ["--from-store", "--store", store],
      ["--from", bundle],
      ["--from-store", "--store", store, "--against", POLICIES],
    ]) {
      const { code, stdout } = await becalm(["diff", "--policies", policies, ...source, "--json"]);
      expect(code).toBe(0);
      const { changes, summary } = split(stdout);
      expect(changes.size).toBe(summary.changed);
      expect(summary).toEqual({ ...expected.summary, alerts: 251 });
    }
  });

  test("of the rules that were in force finds no change", async () => {
    const gate = ["--fail-if", "changed != 0"];
    for (const source of [
      ["--from-store", "--store", store],
      ["--from", bundle],
    ]) {
      const { code, stdout } = await becalm(["diff", "--policies", POLICIES, ...source, ...gate, "--json"]);
      expect([code, split(stdout).summary.changed]).toEqual([0, 0]);
    }
  });

  test("reports since a time only what began then, decided as with all that came before", async () => {
    const since = "2026-11-23T06:53:00Z";
    const args = ["diff", "--policies", POLICIES, "--from-store", "--store", store, "--since", since, "--json"];
    const { summary } = split((await becalm(args)).stdout);
    expect(summary.changed).toBe(0);
    expect(summary.instances).toBeGreaterThan(0);
    expect(summary.instances).toBeLessThan(342);
    // The run ended at 06:56:06.774, and the bundle says so.
    for (const source of [
      ["--from-store", "--store", store],
      ["--from", bundle],
    ]) {
      const ago = await becalm(["diff", "--policies", POLICIES, ...source, "--since", "3m6s774ms", "--json"]);
      expect(split(ago.stdout).summary).toEqual(summary);
    }
  });

  test("leaves the store as it is", async () => {
    const before = contentsOf(join(folder, "store"));
    await becalm(["diff", "--policies", raised(), "--from-store", "--store", store]);
    expect(contentsOf(join(folder, "store"))).toEqual(before);
  });

  test("says when the rules that it is told were in force did not make what was recorded", async () => {
    const source = ["--from-store", "--store", store];
    const { stderr } = await becalm(["diff", "--policies", POLICIES, "--against", raised(), ...source]);
    expect(stderr).toContain("decided in another way than --against decides");
  });

  test("refuses with 2 what names no source, or two, and with 3 a time after everything", async () => {
    const diff = ["diff", "--policies", POLICIES];
    expect((await becalm(diff)).code).toBe(2);
    expect((await becalm([...diff, "--from-store", "--from", bundle, "--store", store])).code).toBe(2);
    expect((await becalm([...diff, "--alerts", STORM])).code).toBe(2);
    const late = ["--from-store", "--store", store, "--since", "2027-01-01T00:00:00Z"];
    expect((await becalm([...diff, ...late])).code).toBe(3);
  });
});

/** The data files; lock files are touched by whoever looks. */
function contentsOf(path: string): [string, string][] {
  const names = readdirSync(path, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".mdb"));
  return names
    .filter((name) => !name.includes("lock"))
    .sort()
    .map((name) => [name, readFileSync(join(path, name)).toString("base64")]);
}
