import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { DetectedAlert } from "../../src/detection/core/detected-alert.ts";
import type { RecordRow } from "../../src/formats/record-row.ts";
import { loadStrategies } from "../../src/formats/strategy-file.ts";
import { type Delivery, RecordStream } from "../../src/server/records/record-stream.ts";
import { memoryDetectionStore } from "../../src/stores/memory/memory-detection-store.ts";
import { commitIds } from "../../src/system/commit-ids.ts";
import { send, sendJson } from "../support/http-client.ts";
import { type ServerWorld, serverWorld } from "../support/server-world.ts";

const BUSY = `
strategies:
  - name: cpu-busy
    query: { filter: { metric: cpu }, value: value, time: time, dimensions: [host] }
    interval: 10s
    lateness: 0s
    levels: [{ severity: critical, when: ">= 90", trigger: { count: 2, window: 2 } }]
    recovery: { count: 2 }
`;
const IDLE = BUSY.replace("cpu-busy", "cpu-idle").replace(">= 90", "<= 5");
const T = 1_700_000_000;

function lines(host: string, values: readonly number[], from = T): string {
  return values.map((value, i) => JSON.stringify({ metric: "cpu", host, value, time: from + 10 * i })).join("\n");
}

type Answer = {
  records: number;
  counts: Record<string, number>;
  refused: { line: number; reason: string }[];
  alerts: { seq: number; status: string; outcome: string; instances: { policy: string; id: string }[] }[];
};

describe("metric records over HTTP", () => {
  let world: ServerWorld;
  const post = (body: string, { type = "application/x-ndjson", query = "" } = {}) =>
    send(`${world.url}/v1/records${query}`, { method: "POST", headers: { "content-type": type }, body });
  beforeAll(async () => {
    world = await serverWorld({ strategies: BUSY });
  });
  afterAll(() => world.close());

  test("lead to instances, and the answer says which", async () => {
    const { status, json } = await post(lines("a", [95, 96]));
    const answer = json as Answer;
    expect([status, answer.counts["accepted"], answer.alerts.length]).toEqual([200, 2, 1]);
    expect(answer.alerts[0]).toMatchObject({ status: "firing", outcome: "taken", labels: { host: "a" } });
    const id = answer.alerts[0]?.instances[0]?.id;
    await expect.poll(async () => (await world.engine.get(id as string).snapshot()).state).toBe("Success");
    const ended = (await post(lines("a", [1, 2], T + 20))).json as Answer;
    expect(ended.alerts.map((alert) => alert.status)).toEqual(["resolved"]);
  });

  test("are taken as CSV and as a JSON array too", async () => {
    const csv = `metric,host,value,time\ncpu,b,95,${T}\ncpu,b,96,${T + 10}\n`;
    expect(((await post(csv, { type: "text/csv" })).json as Answer).alerts).toHaveLength(1);
    const array = `[${lines("c", [95, 96]).replaceAll("\n", ",")}]`;
    expect(((await post(array, { type: "application/json" })).json as Answer).alerts).toHaveLength(1);
  });

  test("that are sent again change nothing, and are counted", async () => {
    const body = lines("d", [95, 96]);
    expect(((await post(body)).json as Answer).alerts).toHaveLength(1);
    const again = (await post(body)).json as Answer;
    expect([again.counts["duplicates"], again.counts["accepted"], again.alerts]).toEqual([2, 0, []]);
    const { text } = await send(`${world.url}/metrics`);
    expect(text).toContain('becalm_records_total{stream="default",outcome="duplicates"} 2');
    expect(text).toContain('becalm_detected_alerts_undelivered{stream="default"} 0');
  });

  test("that are refused are named by their lines, and the others are taken; where nothing is taken it is 400", async () => {
    const partly = await post(`${lines("e", [95])}\nnonsense\n${lines("e", [96], T + 10)}`);
    expect([partly.status, (partly.json as Answer).refused]).toMatchObject([
      200,
      [{ line: 2, reason: "json_invalid" }],
    ]);
    expect((partly.json as Answer).alerts).toHaveLength(1);
    expect((await post("nonsense\nmore of it")).status).toBe(400);
  });

  test.each([
    ["a stream that the server does not have", { query: "?stream=other" }, 404],
    ["a format that nobody reads", { query: "?format=xml" }, 400],
    ["another content type", { type: "text/plain" }, 415],
  ])("%s is refused", async (_what, given, status) => {
    expect((await post(lines("f", [1]), given)).status).toBe(status);
  });

  test("go through new strategies after a reload, which resolves what the old ones had open", async () => {
    await post(lines("g", [95, 96], T + 1_000));
    const resolved = async () =>
      Number(/status="resolved",outcome="taken"\} (\d+)/.exec((await send(`${world.url}/metrics`)).text)?.[1]);
    const before = await resolved();
    world.setStrategies(IDLE);
    expect((await sendJson(`${world.url}/-/reload`, {})).status).toBe(200);
    expect(await resolved()).toBeGreaterThan(before);
    const answer = (await post(lines("g", [1, 1], T + 2_000))).json as Answer;
    expect(answer.alerts).toMatchObject([{ status: "firing", strategy: "cpu-idle" }]);
  });

  test("are refused by a server without strategies, which says how to give it some", async () => {
    const bare = await serverWorld();
    const answer = await send(`${bare.url}/v1/records`, { method: "POST", headers: { "content-type": "text/csv" } });
    expect([answer.status, answer.text]).toMatchObject([404, expect.stringContaining("--strategies")]);
    await bare.close();
  });
});

describe("a stream of records", () => {
  const strategies = loadStrategies(BUSY, { file: "s.yaml" });
  const worldOf = (store = memoryDetectionStore()) => ({
    store,
    now: Date.now,
    commitId: commitIds(),
    pause: async () => {},
    random: () => 0,
  });
  const rows = (host: string, values: readonly number[]): RecordRow[] =>
    values.map((value, i) => ({ line: i + 1, record: { metric: "cpu", host, value, time: T + 10 * i } }));
  const taken = async (alerts: readonly DetectedAlert[]): Promise<Delivery[]> =>
    alerts.map(() => ({ outcome: "taken", instances: [] }));

  test("keeps alerts that the engine cannot take, and delivers them in order when it can, also after a restart", async () => {
    const world = worldOf();
    let refusals = 2;
    const heard: string[] = [];
    const deliver = async (alerts: readonly DetectedAlert[]) => {
      if (refusals-- > 0) throw new Error("away");
      for (const { alert } of alerts) heard.push(`${alert.labels["host"]} ${alert.status}`);
      return taken(alerts);
    };
    const first = new RecordStream("default", strategies, { world, deliver });
    await expect(first.take(rows("a", [95, 96, 1, 1]), { isLast: false })).rejects.toThrow("away");
    await expect(first.take(rows("b", [95, 96]), { isLast: false })).rejects.toThrow("away");
    const second = new RecordStream("default", strategies, { world, deliver });
    await second.tick();
    expect(heard).toEqual(["a firing", "a resolved"]);
    await second.take(rows("b", [95, 96]), { isLast: false });
    expect(heard).toEqual(["a firing", "a resolved", "b firing"]);
    expect(second.undelivered).toBe(0);
    const third = new RecordStream("default", strategies, { world, deliver });
    await third.tick();
    expect(heard).toHaveLength(3);
  });

  test("is the same for two servers that share it: nothing is lost, and nothing is detected twice", async () => {
    const store = memoryDetectionStore();
    const heard: string[] = [];
    const deliver = async (alerts: readonly DetectedAlert[]) => {
      for (const { alert } of alerts) heard.push(`${alert.labels["host"]} ${alert.status}`);
      return taken(alerts);
    };
    const [one, two] = [0, 1].map(() => new RecordStream("default", strategies, { world: worldOf(store), deliver }));
    for (const host of ["a", "b", "c", "d"]) {
      const [left, right] = rows(host, [95, 96]) as [RecordRow, RecordRow];
      await one?.take([left], { isLast: false });
      await two?.take([right], { isLast: false });
    }
    expect([...new Set(heard)]).toEqual(["a firing", "b firing", "c firing", "d firing"]);
    const alerts = await store.alerts({ fromSeq: 1, limit: 100 });
    expect(alerts).toHaveLength(4);
  });
});
