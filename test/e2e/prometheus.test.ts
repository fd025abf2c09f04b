/** Debian's own Prometheus and Alertmanager in front of `becalm serve`. */
import { afterEach, describe, expect, test } from "vitest";
import { useFiles } from "../support/command.ts";
import {
  type RunningProgram,
  runProgram,
  skipUnlessThere,
  startAlertmanager,
  startPrometheus,
} from "../support/debian-programs.ts";
import { send, sendJson } from "../support/http-client.ts";
import { type Serving, startServe, stopServe } from "../support/serve-command.ts";
import { startWebhookTarget, type WebhookTarget } from "../support/webhook-target.ts";

const HOST_COUNT = 40;
const HOSTS = Array.from({ length: HOST_COUNT }, (_, index) => `127.0.0.1:${index + 1}`);
const WAIT = { timeout: 60_000, interval: 200 };
const TEST_MS = 90_000;

const RULES = `
groups:
  - name: hosts
    rules:
      - alert: HostDown
        expr: up{job="hosts"} == 0
        labels: { severity: page }
`;

/** Nothing listens on these ports: every host is down. */
function prometheusConfig(alertmanager: string, hosts: readonly string[] = HOSTS): string {
  return `
global: { scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s }
rule_files: [rules.yml]
scrape_configs:
  - job_name: hosts
    static_configs: [{ targets: ${JSON.stringify(hosts)} }]
alerting:
  alertmanagers: [{ static_configs: [{ targets: ["${new URL(alertmanager).host}"] }] }]
`;
}

function alertmanagerConfig(webhook: string): string {
  return `
route: { receiver: becalm, group_by: [alertname], group_wait: 1s, group_interval: 1s, repeat_interval: 1h }
receivers:
  - name: becalm
    webhook_configs: [{ url: "${webhook}/v1/alerts" }]
`;
}

/** Three repairs at most, and a person decides about a second action. */
function policies(target: string): string {
  return `
policies:
  - name: repair
    match: ['alertname="HostDown"']
    action: { webhook: { url: "${target}" } }
    converge: { function: skip_when_exceed, by: [alertname], count: 3, window: 5m }
  - name: ask
    match: ['alertname="HostDown"']
    action: { log: {} }
    converge: { function: defense, by: [alertname], count: 3, window: 5m }
`;
}

describe.skipIf(skipUnlessThere())("behind Prometheus", () => {
  const file = useFiles();
  const started: { stop(): Promise<unknown> }[] = [];

  afterEach(async () => {
    for (const one of started.splice(0).reverse()) await one.stop();
  });

  function running<T extends { stop(): Promise<unknown> }>(one: T): T {
    started.push(one);
    return one;
  }

  async function world(name: string): Promise<{ serving: Serving; target: WebhookTarget }> {
    const target = await startWebhookTarget(() => 200);
    running(target);
    const serving = await startServe([
      "--policies",
      file(`${name}.yaml`, policies(target.url)),
      "--store",
      `lmdb:${file(name, "")}-store`,
    ]);
    running({ stop: () => stopServe(serving) });
    return { serving, target };
  }

  type Counts = Record<string, number>;

  async function counts({ url }: Serving, policy: string): Promise<Counts> {
    const { json } = await send(`${url}/v1/instances?policy=${policy}&limit=1000`);
    const found: Counts = {};
    for (const { state, kind } of (json as { instances: { state: string; kind: string }[] }).instances)
      if (kind === "action") found[state] = (found[state] ?? 0) + 1;
    return found;
  }

  async function storm(
    { serving, target }: { serving: Serving; target: WebhookTarget },
    prometheus: readonly RunningProgram[],
    config: string,
  ): Promise<void> {
    await expect.poll(() => counts(serving, "repair"), WAIT).toEqual({ Success: 3, Skipped: HOST_COUNT - 3 });
    await expect.poll(() => counts(serving, "ask"), WAIT).toEqual({ Success: 3, Waiting: HOST_COUNT - 3 });
    // Three more rounds of sending change nothing.
    const received = async () =>
      Number(
        /becalm_http_requests_total\{method="POST"[^}]*\} (\d+)/.exec((await send(`${serving.url}/metrics`)).text)?.[1],
      );
    const before = await received();
    if (config.includes(new URL(serving.url).host)) await expect.poll(received, WAIT).toBeGreaterThan(before + 2);
    expect(target.deliveries.length).toBe(3);
    expect((await send(`${serving.url}/api/v2/alerts`)).json).toHaveLength(HOST_COUNT);
    for (const one of prometheus)
      one.reload({ "prometheus.yml": config.replace(/targets: \["127.*?\]/, "targets: []") });
    await expect.poll(() => counts(serving, "ask"), WAIT).toEqual({ Success: 3, Skipped: HOST_COUNT - 3 });
    await expect.poll(async () => (await send(`${serving.url}/api/v2/alerts`)).json, WAIT).toEqual([]);
    expect(target.deliveries.length).toBe(3);
  }

  test("40 hosts down are three actions, and the end of their alerts ends what waits for a person", {
    timeout: TEST_MS,
  }, async () => {
    const both = await world("direct");
    const config = prometheusConfig(both.serving.url);
    const prometheus = running(await startPrometheus(config, RULES));
    await storm(both, [prometheus], config);
  });

  test("the same through Alertmanager's webhook", { timeout: TEST_MS }, async () => {
    const both = await world("through");
    const alertmanager = running(await startAlertmanager(alertmanagerConfig(both.serving.url)));
    const config = prometheusConfig(alertmanager.url);
    const prometheus = running(await startPrometheus(config, RULES));
    await storm(both, [prometheus], config);
  });

  test("two Prometheus servers at once, as in a pair, are one storm", { timeout: TEST_MS }, async () => {
    const both = await world("pair");
    const config = prometheusConfig(both.serving.url);
    const pair = [running(await startPrometheus(config, RULES)), running(await startPrometheus(config, RULES))];
    await storm(both, pair, config);
  });

  test("amtool sees what fires and silences it; the silence's end decides what it held", {
    timeout: TEST_MS,
  }, async () => {
    const { serving, target } = await world("amtool");
    const amtool = (...args: string[]) => {
      const { code, stdout, stderr } = runProgram("amtool", ["--alertmanager.url", serving.url, ...args]);
      // It says that Becalm's version is not Alertmanager's, and goes on.
      expect([code, stderr.replace(/^Warning: amtool version .*\n/, "")]).toEqual([0, ""]);
      return stdout.trim();
    };
    const id = amtool(
      "silence",
      "add",
      "cluster=edge",
      "--author",
      "ann",
      "--comment",
      "rack move",
      "--duration",
      "1h",
    );
    expect(amtool("silence", "query", "-q")).toBe(id);
    const alert = (cluster: string) => ({ labels: { alertname: "HostDown", cluster, instance: cluster } });
    await sendJson(`${serving.url}/api/v2/alerts`, [alert("edge"), alert("core")]);
    await expect.poll(() => counts(serving, "repair"), WAIT).toEqual({ Success: 1, Skipped: 1 });
    expect(amtool("alert", "query", "-o", "extended")).toMatch(/core/);
    expect(amtool("alert", "query")).not.toMatch(/edge/);
    expect(amtool("alert", "query", "-s", "-o", "extended")).toMatch(/edge/);
    expect(target.deliveries.length).toBe(1);
    amtool("silence", "expire", id);
    await expect.poll(() => counts(serving, "repair"), WAIT).toEqual({ Success: 2 });
    expect(target.deliveries.length).toBe(2);
    expect(amtool("silence", "query", "-q")).toBe("");
    expect(amtool("silence", "query", "-q", "--expired")).toBe(id);
  });
});
