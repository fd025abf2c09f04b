import { Agent, request } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { send } from "../support/http-client.ts";
import { type RandomRequest, randomRequests } from "../support/random-requests.ts";
import { type ServerWorld, serverWorld } from "../support/server-world.ts";

/** More by command: BECALM_RANDOM_REQUESTS=100000 npx vitest run test/server/random-requests.test.ts */
const COUNT = Number(process.env["BECALM_RANDOM_REQUESTS"] ?? 3_000);
const SEED = Number(process.env["BECALM_RANDOM_SEED"] ?? 1);
const AT_ONCE = 16;
const GROWTH_BYTES_MAX = 150 * 1_048_576;

/** What is posted as an alert or an event is a record too. */
const STRATEGIES = `
strategies:
  - name: any
    query: { value: endsAt, time: startsAt, dimensions: ["labels.alertname", "type"] }
    interval: 10s
    levels: [{ severity: critical, when: ">= 1" }]
`;

const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });

function statusOf(url: string, { path, method, headers, body }: RandomRequest): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request(url + path, { method, headers, agent }, (response) => {
      response.resume();
      response.on("end", () => resolve(response.statusCode ?? 0));
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

describe("requests of every kind", () => {
  let world: ServerWorld;
  let paths: string[];
  beforeAll(async () => {
    world = await serverWorld({ bodyBytesMax: 10_000, engine: { retentionMs: 2_000 }, strategies: STRATEGIES });
    const { json } = await send(`${world.url}/openapi.json`);
    paths = [...Object.keys((json as { paths: object }).paths), "/", "/nope", "/api/v2/", "/v1"];
  });
  afterAll(async () => {
    agent.destroy();
    await world.close();
  });

  test(`${COUNT} of them over all routes: no 5xx but 503, no crash, no memory kept`, { timeout: 600_000 }, async () => {
    const requests = randomRequests(SEED, paths);
    const statuses = new Map<number, number>();
    const unexpected: string[] = [];
    let left = COUNT;
    const worker = async () => {
      while (left > 0) {
        left -= 1;
        const next = requests.next().value as RandomRequest;
        const status = await statusOf(world.url, next).catch((error: unknown) => {
          unexpected.push(`${next.method} ${next.path}: ${String(error)}`);
          return 0;
        });
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
        if (status >= 500 && status !== 503)
          unexpected.push(`${next.method} ${next.path} ${String(next.body)}: ${status}`);
      }
    };
    const before = process.memoryUsage().rss;
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    expect(unexpected).toEqual([]);
    expect([...statuses.values()].reduce((sum, count) => sum + count, 0)).toBe(COUNT);
    expect(statuses.get(200)).toBeGreaterThan(COUNT / 20);
    expect(process.memoryUsage().rss - before).toBeLessThan(GROWTH_BYTES_MAX);
    expect((await send(`${world.url}/-/healthy`)).status).toBe(200);
    expect(Object.keys(Object.prototype)).toEqual([]);
  });
});
