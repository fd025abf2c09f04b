/** A file of receipts as two senders make them, run again on the namespace that it made: every receipt finds the episode that it had. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { becalm, jsonLines } from "../support/command.ts";
import { mixedStream, randomFrom } from "../support/receipt-streams.ts";
import { useRedis } from "../support/redis-server.ts";
import type { SlowReceipt } from "../support/slow-episodes.ts";

const server = useRedis();
const ALERT_COUNT = 3;
const POLICIES = `policies:
  - name: each
    match: ['alertname="Down"']
    action: { log: {} }
  - name: held
    match: ['alertname="Down"']
    action: { log: {} }
    converge: { function: defense, by: [site], count: 1, window: 1h }
    approval: { timeout: 2h }
`;

test("gives the same bytes, late words and ends of leases included", async () => {
  const dir = await mkdtemp(join(tmpdir(), "becalm-again-"));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  const lines = linesOf();
  const [alerts, policies] = [join(dir, "alerts.jsonl"), join(dir, "policies.yaml")];
  await writeFile(alerts, lines.join("\n"));
  await writeFile(policies, POLICIES);
  const run = (...store: string[]) => becalm(["run", "--policies", policies, "--alerts", alerts, "--json", ...store]);
  const inMemory = await run();
  expect(inMemory.code).toBe(0);
  const { summary } = jsonLines<{ summary?: Record<string, number> }>(inMemory.stdout).at(-1) ?? {};
  expect(summary?.["late"]).toBeGreaterThan(0);
  const stored = ["--store", server.url, "--namespace", "again"];
  for (let times = 0; times < 3; times += 1) expect((await run(...stored)).stdout).toBe(inMemory.stdout);
});

function linesOf(): string[] {
  const receipts = Array.from({ length: ALERT_COUNT }, (_, alert) =>
    mixedStream(randomFrom(alert + 1)).map((receipt) => ({ alert, receipt })),
  ).flat();
  receipts.sort((a, b) => a.receipt.receivedAtMs - b.receipt.receivedAtMs);
  return receipts.map(({ alert, receipt }) => lineOf(alert, receipt));
}

function lineOf(alert: number, { form, status, startsAtMs, endsAtMs, receivedAtMs }: SlowReceipt): string {
  const time = (atMs: number | null) => (atMs === null ? undefined : new Date(atMs).toISOString());
  const own = form === "v4" ? { status } : {};
  const labels = { alertname: "Down", unit: `u${alert}`, site: `s${alert % 2}` };
  const body = [{ labels, startsAt: time(startsAtMs), endsAt: time(endsAtMs), ...own }];
  return JSON.stringify({ receivedAt: time(receivedAtMs), path: "/api/v2/alerts", body });
}
