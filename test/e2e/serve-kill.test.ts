import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { becalm, jsonLines, useFiles } from "../support/command.ts";
import { send, sendJson } from "../support/http-client.ts";
import { useRedis } from "../support/redis-server.ts";
import { type Serving, startServe, stopServe } from "../support/serve-command.ts";
import { startWebhookTarget, type WebhookTarget } from "../support/webhook-target.ts";

/** `becalm serve` killed in the middle of a storm and started again, on each store that lasts. */
const redis = useRedis({ args: ["--appendonly", "yes"] });
const file = useFiles();
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const CLUSTERS = ["c1", "c2", "c3", "c4"];
const CLIENTS = 8;
const PER_CLIENT = 60;
/** How long after a question its answer is due: once while the server is away, and once after it is up again. */
const SOON_MS = 2_000;
const LATER_MS = 6_000;

const policies = (url: string, slower = 1) => `policies:
  - { name: each, match: ['alertname="Each"'], action: { webhook: { url: "${url}" } } }
  - name: three
    match: ['alertname="Storm"']
    action: { webhook: { url: "${url}" } }
    converge: { function: skip_when_exceed, by: [cluster], count: 3, window: 30m }
${asking("Soon", SOON_MS * slower)}
${asking("Later", LATER_MS * slower)}
`;

/** The first alert of the name runs; what comes then waits for an approval. */
const asking = (alertname: string, timeoutMs: number) => `
  - name: ${alertname}
    match: ['alertname="${alertname}"']
    action: { log: {} }
    converge: { function: defense, by: [alertname], count: 1, window: 30m }
    approval: { timeout: ${timeoutMs}ms }`;

type Labels = Record<string, string>;
type Row = {
  id: string;
  policy: string;
  kind: string;
  state: string;
  attempts: number;
  at: string;
  alert: { labels: Labels } | null;
};

/** Every alert of the storm, in the order in which its client sends them. */
function storm(client: number): Labels[] {
  return Array.from({ length: PER_CLIENT }, (_, n): Labels => {
    const host = `h${client}-${n}`;
    if (n % 2 === 0) return { alertname: "Each", host };
    return { alertname: "Storm", host, cluster: CLUSTERS[(n >> 1) % CLUSTERS.length] as string };
  });
}

async function rowsOf(serving: Serving): Promise<Row[]> {
  const { stdout } = await becalm(["ls", "--json", "--limit", "1000", "--server", serving.url]);
  return (jsonLines(stdout) as Row[]).filter(({ alert }) => alert !== null);
}

/** Sends what is left of a client's alerts, in bodies of three, until the server is gone. */
async function sendAll(serving: Serving, alerts: Labels[], answered: (count: number) => void): Promise<void> {
  while (alerts.length > 0) {
    const some = alerts.slice(0, 3);
    try {
      const { status } = await sendJson(
        `${serving.url}/api/v2/alerts`,
        some.map((labels) => ({ labels })),
      );
      if (status !== 200) continue;
    } catch {
      return;
    }
    alerts.splice(0, some.length);
    answered(some.length);
  }
}

function sorted(texts: readonly (string | undefined)[]): string[] {
  return texts.map(String).sort((a, b) => a.localeCompare(b));
}

const STORES: [string, () => string][] = [
  ["lmdb", () => `lmdb:${temporary()}`],
  ["Redis", () => redis.url],
];

function temporary(): string {
  const folder = mkdtempSync(join(tmpdir(), "becalm-kill-"));
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function targetOf(): Promise<WebhookTarget> {
  const target = await startWebhookTarget(() => 200);
  cleanups.push(() => target.stop());
  return target;
}

describe.each(STORES)("becalm serve on %s, killed in the middle of a storm", (_name, storeOf) => {
  test("and started again has lost nothing that it acknowledged, and does nothing twice", async () => {
    const target = await targetOf();
    const args = ["--policies", file("kill.yaml", policies(target.url)), "--store", storeOf(), "--namespace", "storm"];
    const left = Array.from({ length: CLIENTS }, (_, client) => storm(client));
    let acknowledged = 0;
    let serving = await startServe(args);
    for (const killAt of [60, 240]) {
      let isKilled = false;
      const current = serving;
      const clients = left.map((alerts) =>
        sendAll(current, alerts, (count) => {
          acknowledged += count;
          if (acknowledged < killAt || isKilled) return;
          isKilled = true;
          current.child.kill("SIGKILL");
        }),
      );
      await Promise.all(clients);
      expect((await current.ended).signal).toBe("SIGKILL");
      serving = await startServe(args);
    }
    await Promise.all(left.map((alerts) => sendAll(serving, alerts, () => {})));
    // As senders do: everything still fires.
    for (let client = 0; client < CLIENTS; client += 1)
      await sendJson(
        `${serving.url}/api/v2/alerts`,
        storm(client).map((labels) => ({ labels })),
      );
    await expect.poll(() => rowsIn("Processing", serving), { timeout: 60_000, interval: 50 }).toEqual([]);

    const rows = await rowsOf(serving);
    const hosts = rows.map(({ alert }) => alert?.labels["host"]);
    const sent = Array.from({ length: CLIENTS }, (_, client) => storm(client)).flat();
    expect(sorted(hosts)).toEqual(sorted(sent.map(({ host }) => host)));
    expect(rows.filter(({ policy, state }) => policy === "each" && state !== "Success")).toEqual([]);
    for (const cluster of CLUSTERS)
      expect(rows.filter(({ alert, attempts }) => alert?.labels["cluster"] === cluster && attempts > 0)).toHaveLength(
        3,
      );
    const ran = rows.filter(({ attempts }) => attempts > 0);
    expect(ran.filter(({ attempts }) => attempts > 1)).toEqual([]);
    // Delivery is at least once; what is delivered again has the key that it had.
    const keys = new Map(target.deliveries.map(({ key, body }) => [key, body.instance]));
    expect(sorted([...keys.values()])).toEqual(sorted(ran.map(({ id }) => id)));
    const verified = await becalm(["audit", "verify", "--server", serving.url]);
    expect([verified.code, verified.stderr]).toMatchObject([0, expect.anything()]);
    expect((await stopServe(serving)).code).toBe(0);
  });

  test("keeps every deadline to a second, also one that came while it was away", { timeout: 600_000 }, async () => {
    const store = storeOf();
    // A machine too slow to be away at one deadline and up again before the other, or to keep both to a second, is given longer for both.
    for (let slower = 1; !(await keepsDeadlines(store, slower)); slower *= 2)
      expect(slower, "it was late every time").toBeLessThan(8);
  });
});

/** False if the deadlines did not come one while the server was away and one after it was up, or one was kept more than a second late. */
async function keepsDeadlines(store: string, slower: number): Promise<boolean> {
  const name = `deadlines-${slower}`;
  const args = ["--policies", file(`${name}.yaml`, policies("http://127.0.0.1:1/", slower))];
  args.push("--store", store, "--namespace", name);
  const first = await startServe(args);
  const askedAtMs = Date.now();
  for (const alertname of ["Soon", "Later"])
    for (const host of ["runs", "waits"])
      await sendJson(`${first.url}/api/v2/alerts`, [{ labels: { alertname, host } }]);
  const asked = (await rowsIn("Waiting", first)).map(({ id, policy, at }) => {
    return { id, dueAtMs: Date.parse(at) + slower * (policy === "Soon" ? SOON_MS : LATER_MS) };
  });
  if (Date.now() < askedAtMs + slower * SOON_MS) expect(asked).toHaveLength(2);
  first.child.kill("SIGKILL");
  await first.ended;
  const awayAtMs = Date.now();

  const dueAtMs = asked.map((of) => of.dueAtMs);
  await new Promise((resolve) => setTimeout(resolve, Math.min(...dueAtMs) + 1_200 - Date.now()));
  const startedAtMs = Date.now();
  const second = await startServe(args);
  const upAtMs = Date.now();
  await expect.poll(() => rowsIn("Waiting", second), { timeout: slower * LATER_MS + 90_000, interval: 50 }).toEqual([]);
  let isLate = false;
  for (const { id, dueAtMs } of asked) {
    const { at, state } = (await send(`${second.url}/v1/instances/${id}`)).json as Row;
    expect(state).toBe("Skipped");
    const wasMissed = dueAtMs < startedAtMs;
    expect(Date.parse(at)).toBeGreaterThanOrEqual((wasMissed ? startedAtMs : dueAtMs) - 1);
    if (Date.parse(at) > Math.max(dueAtMs, upAtMs) + 1_000) isLate = true;
  }
  expect((await stopServe(second)).code).toBe(0);
  return !isLate && asked.length === 2 && awayAtMs < Math.min(...dueAtMs) && upAtMs < Math.max(...dueAtMs);
}

async function rowsIn(state: string, { url }: Serving): Promise<Row[]> {
  return ((await send(`${url}/v1/instances?state=${state}`)).json as { instances: Row[] }).instances;
}
