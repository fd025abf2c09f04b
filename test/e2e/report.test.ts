import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { columnsOf } from "../../src/present/text-width.ts";
import { becalm, jsonLines, ROOT, useFiles } from "../support/command.ts";
import { startServe, stopServe } from "../support/serve-command.ts";

const file = useFiles();
const STORM = join(ROOT, "demo/storm.jsonl");
const POLICIES = join(ROOT, "demo/policies.yaml");

type Row = {
  readonly policy: string;
  readonly instances: number;
  readonly executed: { readonly count: number };
  readonly skipped: { readonly count: number; readonly reasons: Record<string, number> };
};

async function stored(): Promise<{
  at: string[];
  rows: { policy: string; attempts: number; state: string; reason: string }[];
}> {
  const at = ["--store", `lmdb:${file("report", "")}-store`, "--namespace", "storm"];
  const { stdout } = await becalm(["run", "--policies", POLICIES, "--alerts", STORM, "--json", "--quiet", ...at]);
  return { at, rows: jsonLines<never>(stdout).slice(0, -1) };
}

describe("report", () => {
  test("adds up, per policy, to what `run` says of each instance", async () => {
    const { at, rows } = await stored();
    const { code, stdout } = await becalm(["report", ...at, "--since", "2h", "--json"]);
    expect(code).toBe(0);
    const lines = jsonLines<Row & { summary?: object }>(stdout);
    expect(lines.at(-1)?.summary).toMatchObject({ instances: 342, unreadable: 0, isCut: false });
    expect(lines).toHaveLength(6);
    for (const { policy, instances, executed, skipped } of lines.slice(0, -1)) {
      const own = rows.filter((row) => row.policy === policy);
      const reasons: Record<string, number> = {};
      for (const { state, reason } of own) if (state === "Skipped") reasons[reason] = (reasons[reason] ?? 0) + 1;
      expect([instances, executed.count]).toEqual([own.length, own.filter(({ attempts }) => attempts > 0).length]);
      expect(skipped.reasons).toEqual(reasons);
    }
  });

  test("reads only the newest of many and says so, and only one policy if it is asked for one", async () => {
    const { at } = await stored();
    const cut = await becalm(["report", ...at, "--limit", "50"]);
    expect([cut.code, cut.stderr]).toEqual([
      0,
      expect.stringMatching(/Only the newest \d+ instances were read, back to 2026/),
    ]);
    const one = await becalm(["report", ...at, "--policy", "shed-load"]);
    expect(one.stdout).toContain("37 skipped for a peer: 37 resolved");
    expect(one.stdout).not.toContain("restart-host");
    expect(Math.max(...cut.stdout.split("\n").map(columnsOf))).toBeLessThanOrEqual(80);
  });

  test("says of an empty time, of an unknown policy and of a time that is none what is wrong", async () => {
    const { at } = await stored();
    const empty = await becalm(["report", ...at, "--since", "2030-01-01T00:00:00Z", "--json"]);
    expect([empty.code, jsonLines(empty.stdout).length]).toEqual([0, 1]);
    expect(empty.stderr).toContain("No instance was created since then.");
    expect((await becalm(["report", ...at, "--policy", "shed-lod"])).stderr).toContain('Did you mean "shed-load"?');
    expect((await becalm(["report", ...at, "--since", "soon"])).code).toBe(2);
    expect((await becalm(["report"])).code).toBe(2);
  });

  test("asks a server as it reads a store", async () => {
    const policies = file("serve.yaml", "policies:\n  - { name: all, match: [], action: { log: {} } }\n");
    const serving = await startServe(["--policies", policies, "--store", `lmdb:${policies}-store`]);
    try {
      await fetch(`${serving.url}/api/v2/alerts`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify([{ labels: { alertname: "Down" } }]),
      });
      const executed = async () =>
        jsonLines<Row>((await becalm(["report", "--server", serving.url, "--json"])).stdout)[0]?.executed;
      await expect.poll(executed).toMatchObject({ count: 1, succeeded: 1 });
    } finally {
      await stopServe(serving);
    }
  });
});
