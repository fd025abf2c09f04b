/** `--observe`: everything is decided and audited, and nothing is done, on both commands that could act. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import { becalm, jsonLines } from "../support/command.ts";
import { startServe, stopServe } from "../support/serve-command.ts";
import { startWebhookTarget, type WebhookTarget } from "../support/webhook-target.ts";

const dir = mkdtempSync(join(tmpdir(), "becalm-observe-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
const labels = { alertname: "Down", host: "h1" };
let target: WebhookTarget;
let policies = "";

beforeEach(async () => {
  target = await startWebhookTarget(() => 200);
  policies = join(dir, "policies.yaml");
  writeFileSync(
    policies,
    `policies: [{ name: p1, match: ['alertname="Down"'], action: { webhook: { url: "${target.url}" } } }]\n`,
  );
});
afterEach(() => target.stop());

async function reasonsIn(store: string, id: string): Promise<string[]> {
  const [shown] = jsonLines<{ entries: { reason: string }[] }>(
    (await becalm(["show", id, "--json", "--store", store])).stdout,
  );
  return shown?.entries.map(({ reason }) => reason) ?? [];
}

describe("--observe", () => {
  test("on run reaches no target, also with --execute, and the audit says so", async () => {
    const alerts = join(dir, "alerts.jsonl");
    writeFileSync(alerts, `${JSON.stringify({ labels, startsAt: "2026-11-23T06:00:00Z", status: "firing" })}\n`);
    const store = `lmdb:${join(dir, "run")}`;
    const args = ["run", "--policies", policies, "--alerts", alerts, "--json", "--execute", "--store", store];
    const [line] = jsonLines<{ id: string; state: string }>((await becalm([...args, "--observe"])).stdout);
    expect(line?.state).toBe("Success");
    expect(await reasonsIn(store, line?.id ?? "")).toEqual(["no_rule", "observed"]);
    expect(target.deliveries).toEqual([]);
  });

  test("on serve reaches no target, and what was observed stays so", async () => {
    const store = `lmdb:${join(dir, "serve")}`;
    const serving = await startServe([
      "--policies",
      policies,
      "--observe",
      "--store",
      store,
      "--log",
      join(dir, "log"),
    ]);
    const body = JSON.stringify([{ labels }]);
    const headers = { "content-type": "application/json" };
    const answer = await fetch(`${serving.url}/api/v2/alerts`, { method: "POST", headers, body });
    expect(answer.status).toBe(200);
    await stopServe(serving);
    const [row] = jsonLines<{ id: string; state: string }>((await becalm(["ls", "--json", "--store", store])).stdout);
    expect(row?.state).toBe("Success");
    expect(await reasonsIn(store, row?.id ?? "")).toEqual(["no_rule", "observed"]);
    expect(target.deliveries).toEqual([]);
  });
});
