/** A command knows the store and not the policy file: what a silence of that file holds is none of its business. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { createEngine, lmdbStore, loadPolicySet } from "../../src/index.ts";
import { becalm, jsonLines, ROOT } from "../support/command.ts";

const dir = mkdtempSync(join(tmpdir(), "becalm-silence-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
const who = ["--by", "ann", "--why", "rack move"];
type Row = { readonly id: string; readonly state: string; readonly reason: string; readonly attempts: number };

async function silenced(at: readonly string[]): Promise<Row[]> {
  return jsonLines<Row>((await becalm(["ls", "--reason", "silenced", "--limit", "1000", "--json", ...at])).stdout);
}

/** Makes another silence and ends it. */
async function addAndExpire(at: readonly string[]): Promise<void> {
  const made = await becalm(["silence", "add", 'cluster="nowhere"', "--for", "2h", ...who, "--json", ...at]);
  const [{ id = "" } = {}] = jsonLines<{ id?: string }>(made.stdout);
  expect(await becalm(["silence", "expire", id, ...who, ...at])).toMatchObject({ code: 0 });
}

describe("becalm silence", () => {
  test("leaves alone what a silence of the policy file holds, in a live namespace", async () => {
    const path = join(dir, "live");
    const text = `
policies: [{ name: p, match: ['alertname="Down"'], action: { log: {} } }]
silences: [{ match: ['cluster="edge"'], from: 2020-01-01T00:00:00Z, to: 2999-01-01T00:00:00Z, author: ops, comment: move }]
`;
    const store = lmdbStore(path);
    const engine = createEngine({ policies: loadPolicySet(text, { file: "p.yaml" }), store });
    await engine.start();
    await engine.ingest([{ labels: { alertname: "Down", cluster: "edge" } }]);
    await engine.stop();
    await store.close();
    const at = ["--store", `lmdb:${path}`];
    const before = await silenced(at);
    expect(before).toMatchObject([{ state: "Skipped", reason: "silenced", attempts: 0 }]);
    await addAndExpire(at);
    expect(await silenced(at)).toEqual(before);
  });

  test("and in one of becalm run, where no timer is lost either", async () => {
    const at = ["--store", `lmdb:${join(dir, "virtual")}`];
    const [policies, alerts] = [join(ROOT, "demo/policies.yaml"), join(dir, "storm.jsonl")];
    writeFileSync(alerts, `${JSON.stringify(REQUEST)}\n`);
    expect((await becalm(["run", "--policies", policies, "--alerts", alerts, "--quiet", ...at])).code).toBe(0);
    const before = await silenced(at);
    expect(before).toHaveLength(1);
    await addAndExpire(at);
    expect(await silenced(at)).toEqual(before);
    expect(await becalm(["audit", "verify", ...at])).toMatchObject({ code: 0 });
  });
});

const REQUEST = {
  receivedAt: "2026-11-23T06:50:00Z",
  path: "/api/v2/alerts",
  body: [{ labels: { alertname: "InstanceDown", rack: "r4", instance: "h1", severity: "warning" } }],
};
