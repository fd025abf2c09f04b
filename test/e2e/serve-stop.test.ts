/** How long `becalm serve` takes to end. Real time: nothing else ends a process. */
import { once } from "node:events";
import { connect } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { useFiles } from "../support/command.ts";
import { sendJson } from "../support/http-client.ts";
import { type Serving, startServe } from "../support/serve-command.ts";
import { startWebhookTarget } from "../support/webhook-target.ts";

const file = useFiles();
const EVERY = "policies:\n  - { name: every, match: [], action: { log: {} } }\n";
const running: Serving[] = [];
afterEach(() => {
  for (const { child } of running.splice(0)) child.kill("SIGKILL");
});

async function serve(policies: string, ...args: string[]): Promise<Serving> {
  const serving = await startServe(["--policies", file("policies.yaml", policies), "--store", "memory:", ...args]);
  running.push(serving);
  return serving;
}

/** Ms from SIGTERM to its end, and the exit code. `again`: SIGINT after as many ms. */
async function stopped({ child }: Serving, againAfterMs?: number): Promise<{ ms: number; code: number | null }> {
  const startedMs = performance.now();
  child.kill("SIGTERM");
  const timer = againAfterMs === undefined ? undefined : setTimeout(() => child.kill("SIGINT"), againAfterMs);
  const [code] = (await once(child, "exit")) as [number | null];
  clearTimeout(timer);
  return { ms: performance.now() - startedMs, code };
}

describe("SIGTERM", () => {
  test("gives requests and attempts one drain together, not one after the other", async () => {
    const target = await startWebhookTarget(() => 200);
    target.onDelivery = () => new Promise(() => {});
    const webhook = `policies:\n  - { name: every, match: [], action: { webhook: { url: "${target.url}" } } }\n`;
    const serving = await serve(webhook, "--drain", "2s");
    await sendJson(`${serving.url}/api/v2/alerts`, [{ labels: { a: "b" } }]);
    const unfinished = connect(Number(new URL(serving.url).port), "127.0.0.1").on("error", () => {});
    unfinished.write(
      "POST /api/v2/alerts HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n[",
    );
    await once(unfinished, "connect");
    const { ms, code } = await stopped(serving);
    expect(code).toBe(0);
    expect(ms).toBeGreaterThan(1_900);
    expect(ms).toBeLessThan(3_600);
    await target.stop();
  });

  test.each([undefined, 300])("ends although nobody reads its log (SIGINT after %s ms)", async (againAfterMs) => {
    const serving = await serve(EVERY, "--drain", "1s");
    serving.child.stderr?.pause();
    // More than a pipe holds.
    const alerts = Array.from({ length: 500 }, (_, index) => ({ labels: { a: `${index}`, b: "x".repeat(2_000) } }));
    for (const part of [alerts.slice(0, 250), alerts.slice(250)])
      expect((await sendJson(`${serving.url}/api/v2/alerts`, part)).status).toBe(200);
    const { ms, code } = await stopped(serving, againAfterMs);
    expect([code, ms < (againAfterMs === undefined ? 4_000 : 1_500)]).toEqual([
      againAfterMs === undefined ? 0 : 130,
      true,
    ]);
  });
});
