/** Attempts by way of BullMQ: the real one, on a real Redis, with what Bull Board shows of it. */
import { BullMQAdapter } from "@bull-board/api/bullMQAdapter";
import { Worker as ForeignWorker, Queue } from "bullmq";
import { Redis } from "ioredis";
import { describe, expect, onTestFinished, test } from "vitest";
import { loadBullmq } from "../../src/effects/bullmq/load-bullmq.ts";
import { queuePlaces } from "../../src/effects/bullmq/queue-places.ts";
import type { EffectHandlerInput } from "../../src/effects/local-effects.ts";
import { createEngine, type Engine } from "../../src/engine.ts";
import type { PolicyDocument } from "../../src/formats/policy-document.ts";
import { POSTPONED_KEY } from "../../src/runtime/workers/postponed-effects.ts";
import { Links } from "../../src/server/links/links.ts";
import { hashTags } from "../../src/stores/redis/keys.ts";
import { redisStore } from "../../src/stores/redis/redis-store.ts";
import { Signer } from "../../src/system/signer.ts";
import { createWorker, type Worker, type WorkerOptions } from "../../src/worker.ts";
import { sendJson } from "../support/http-client.ts";
import { ownMs } from "../support/own-time.ts";
import { startRedis, useRedis } from "../support/redis-server.ts";
import { type ServerWorld, serverWorld } from "../support/server-world.ts";
import { startWebhookTarget, type WebhookTarget } from "../support/webhook-target.ts";

const server = useRedis();
/** BullMQ's own server, so that it can be emptied. */
const queueServer = useRedis();

const EXTERNAL = "http://becalm.example";
const WITHIN = { timeout: 60_000, interval: 50 };
let worldCount = 0;

class QueueWorld {
  readonly namespace: string;
  readonly ran: EffectHandlerInput[] = [];
  handler: (input: EffectHandlerInput) => unknown = () => "done";
  readonly logged: string[] = [];
  readonly #workers: Worker[] = [];

  constructor() {
    worldCount += 1;
    this.namespace = `queued-${worldCount}`;
  }

  async engine(policy: Partial<PolicyDocument> = {}): Promise<Engine> {
    const store = redisStore(server.url, { namespace: this.namespace });
    const action = { handler: { name: "act" } };
    const policies = [{ name: "act", match: [], action, ...policy }] as PolicyDocument[];
    const engine = createEngine({ policies, store, leaveEffects: true, partitions: 4 });
    onTestFinished(async () => {
      await engine.stop();
      await store.close();
    });
    await engine.start();
    return engine;
  }

  async stopWorkers(): Promise<void> {
    for (const worker of this.#workers.splice(0)) await worker.stop();
  }

  async worker(options: Partial<WorkerOptions> = {}): Promise<Worker> {
    const store = redisStore(server.url, { namespace: this.namespace });
    const act = (input: EffectHandlerInput) => {
      this.ran.push(input);
      return this.handler(input);
    };
    const log = (_: unknown, text: string) => void this.logged.push(text);
    const worker = createWorker({
      store,
      handlers: { act },
      queue: { bullmq: { url: queueServer.url, name: this.namespace } },
      drainMs: 500,
      logger: { debug: () => {}, info: () => {}, warn: log, error: log },
      ...options,
    });
    this.#workers.push(worker);
    onTestFinished(async () => {
      await worker.stop();
      await store.close();
    });
    await worker.start();
    return worker;
  }

  queue(): Queue {
    const { hostname: host, port } = new URL(queueServer.url);
    const queue = new Queue(this.namespace, { connection: { host, port: Number(port) } });
    onTestFinished(() => queue.close());
    return queue;
  }
}

async function take(engine: Engine, names: readonly string[], labels: Record<string, string> = {}): Promise<string[]> {
  const alerts = names.map((name) => ({ labels: { alertname: "Down", name, ...labels } }));
  return (await engine.ingest(alerts)).instances.map(({ id }) => id);
}

const states = async (engine: Engine) =>
  new Set((await engine.list({ limit: 1_000 })).instances.map(({ state }) => state));

describe("attempts by way of BullMQ", () => {
  test("run once each over two workers, and Bull Board shows them under their effects' ids", async () => {
    const world = new QueueWorld();
    const engine = await world.engine({ retry: { limit: 1, delay: "100ms" } });
    world.handler = ({ attempt, alert }) => {
      if (attempt === 1 && alert?.labels["name"] === "n3") throw new Error("not yet");
    };
    await world.worker();
    await world.worker();
    await take(
      engine,
      Array.from({ length: 60 }, (_, index) => `n${index}`),
    );
    await expect.poll(() => states(engine), WITHIN).toEqual(new Set(["Success"]));
    expect(new Set(world.ran.map(({ idempotencyKey }) => idempotencyKey)).size).toBe(61);
    expect(world.ran).toHaveLength(61);
    const board = new BullMQAdapter(world.queue());
    const counts = await board.getJobCounts();
    expect(counts).toMatchObject({ completed: 61, waiting: 0, active: 0 });
    const jobs = await board.getJobs(["completed"], 0, 100);
    expect(new Set(jobs.map((job) => job.toJSON().id))).toEqual(
      new Set(world.ran.map(({ idempotencyKey }) => idempotencyKey)),
    );
    expect(jobs[0]?.toJSON()).toMatchObject({ name: "act", data: { request: { policy: "act", kind: "action" } } });
  });

  test("lose nothing when BullMQ loses everything, whatever was waiting, running or just ended there", async () => {
    const world = new QueueWorld();
    const engine = await world.engine();
    world.handler = () => new Promise((resolve) => setTimeout(resolve, 30));
    await world.worker({ concurrency: 4 });
    await take(
      engine,
      Array.from({ length: 120 }, (_, index) => `n${index}`),
    );
    await expect.poll(() => world.ran.length, WITHIN).toBeGreaterThan(10);
    const client = new Redis(queueServer.url);
    for (let flush = 0; flush < 3; flush += 1) {
      await client.flushall();
      const before = world.ran.length;
      await expect.poll(() => world.ran.length, WITHIN).toBeGreaterThan(before);
    }
    client.disconnect();
    await expect.poll(() => states(engine), WITHIN).toEqual(new Set(["Success"]));
    expect(new Set(world.ran.map(({ idempotencyKey }) => idempotencyKey)).size).toBe(120);
    expect(await engine.deadLetters()).toEqual([]);
  });

  test("go on in another process when the one that handed them over is gone", async () => {
    const world = new QueueWorld();
    const engine = await world.engine();
    world.handler = ({ signal }) =>
      new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("stopped"))));
    const first = await world.worker({ concurrency: 2 });
    await take(engine, ["a", "b", "c"]);
    await expect.poll(() => world.ran.length, WITHIN).toBe(2);
    await first.stop();
    expect(await states(engine)).toEqual(new Set(["Processing"]));
    world.handler = () => "done";
    await world.worker();
    await expect.poll(() => states(engine), WITHIN).toEqual(new Set(["Success"]));
    const { attempts } = (await engine.list()).instances[0] as { attempts?: number };
    expect(attempts ?? 1).toBe(1);
  });

  test("end early when their instances are cancelled, waiting or running", async () => {
    const world = new QueueWorld();
    const engine = await world.engine();
    let aborted = 0;
    world.handler = ({ signal }) =>
      new Promise((_, reject) =>
        signal.addEventListener("abort", () => {
          aborted += 1;
          reject(new Error("aborted"));
        }),
      );
    await world.worker({ concurrency: 1 });
    const ids = await take(engine, ["a", "b"]);
    await expect.poll(() => world.ran.length, WITHIN).toBe(1);
    await expect.poll(() => world.queue().getJobCountByTypes("prioritized", "waiting"), WITHIN).toBe(1);
    for (const id of ids) await engine.get(id).send({ type: "cancel", by: "ada", why: "no use" });
    await expect.poll(() => aborted, WITHIN).toBe(1);
    expect(await states(engine)).toEqual(new Set(["Failed"]));
    expect(world.ran).toHaveLength(1);
  });

  test("let a worker stop soon after its drain when BullMQ is away, and few lines say that it is", async () => {
    const away = await startRedis();
    onTestFinished(() => away.stop());
    const world = new QueueWorld();
    const engine = await world.engine();
    world.handler = () => new Promise(() => {});
    const worker = await world.worker({ queue: { bullmq: { url: away.url, name: world.namespace } } });
    await take(engine, ["a", "b", "c"]);
    await expect.poll(() => world.ran.length, WITHIN).toBe(3);
    await away.kill9();
    await expect.poll(() => world.logged.length, WITHIN).toBeGreaterThan(0);
    expect(await ownMs(() => worker.stop())).toBeLessThan(10_000);
    expect(world.logged.length).toBeLessThan(10);
  });

  test("may be run by a team's own BullMQ worker: what it returns is the result, what it throws is a failure", async () => {
    const world = new QueueWorld();
    const engine = await world.engine();
    const { hostname: host, port } = new URL(queueServer.url);
    const foreign = new ForeignWorker(
      world.namespace,
      async ({ data }) => {
        if (data.request.alert.labels.name === "bad") throw new Error("it is broken");
        return { host: "db-1" };
      },
      { connection: { host, port: Number(port), maxRetriesPerRequest: null } },
    );
    onTestFinished(() => foreign.close());
    const [good = "", bad = ""] = await take(engine, ["good", "bad"]);
    const own = await world.worker({ queue: { bullmq: { url: queueServer.url, name: world.namespace, runs: false } } });
    await expect.poll(() => states(engine), WITHIN).toEqual(new Set(["Success", "Failed"]));
    expect(world.ran).toHaveLength(0);
    expect(own.status.running).toBe(0);
    const ends = await Promise.all(
      [good, bad].map(async (id) => (await engine.get(id).history()).entries.at(-1)?.event),
    );
    expect(ends).toMatchObject([
      { type: "effect.done", result: { host: "db-1" } },
      { type: "effect.failed", error: "it is broken" },
    ]);
  });
});

describe("a webhook with `callback: true` by way of BullMQ", () => {
  const links = new Links({
    externalUrl: EXTERNAL,
    signer: new Signer(["a secret of the tests"]),
    namespace: "default",
  });

  async function world(target: WebhookTarget) {
    const queued = new QueueWorld();
    const store = redisStore(server.url, { namespace: queued.namespace });
    const policies = `policies:
  - { name: act, match: [], action: { webhook: { url: "${target.url}", callback: true, timeout: 1h } } }
`;
    const engine = { leaveEffects: true, partitions: 4 };
    const served = await serverWorld({ policies, links, store, engine });
    onTestFinished(() => served.close());
    await queued.worker({ urls: links });
    return { queued, served };
  }

  const targetOf = async (status: number) => {
    const target = await startWebhookTarget(() => status);
    onTestFinished(() => target.stop());
    return target;
  };
  const callbackOf = ({ deliveries }: WebhookTarget, { url }: ServerWorld) => {
    const body = deliveries[0]?.body as { callback?: { url: string } } | undefined;
    return (body?.callback?.url ?? "").replace(EXTERNAL, url);
  };

  test("ends its job with the 202, and its attempt with the callback", async () => {
    const target = await targetOf(202);
    const { queued, served } = await world(target);
    const [id = ""] = await take(served.engine, ["a"]);
    const queue = queued.queue();
    await expect.poll(() => queue.getJobCountByTypes("completed"), WITHIN).toBe(1);
    expect((await served.engine.get(id).snapshot()).state).toBe("Processing");
    const answer = await sendJson(callbackOf(target, served), { ok: true, result: { rows: 7 } });
    expect(answer.status).toBe(200);
    const { entries } = await served.engine.get(id).history();
    expect(entries.at(-1)?.event).toMatchObject({ type: "effect.done", result: { rows: 7 } });
    expect(target.deliveries).toHaveLength(1);
  });

  test("is not sent again by a worker that takes the wait over, or when BullMQ has lost the job", async () => {
    const target = await targetOf(202);
    const { queued, served } = await world(target);
    const store = redisStore(server.url, { namespace: queued.namespace });
    onTestFinished(() => store.close());
    await store.open({ mode: "live" });
    const [id = ""] = await take(served.engine, ["a"]);
    const partition = Number(id.slice(0, 2));
    const request = { partition, groupId: null, instanceIds: [], episodeKeys: [POSTPONED_KEY] };
    await expect.poll(async () => (await store.load(request)).episodes.get(POSTPONED_KEY), WITHIN).toContain(id);
    const client = new Redis(queueServer.url);
    await client.flushall();
    client.disconnect();
    await queued.stopWorkers();
    await queued.worker({ urls: links });
    const [other = ""] = await take(served.engine, ["b"]);
    await expect.poll(() => target.deliveries.length, WITHIN).toBe(2);
    expect(target.deliveries.map(({ body }) => (body as { instance?: string }).instance)).toEqual([id, other]);
    expect((await sendJson(callbackOf(target, served), { ok: true })).status).toBe(200);
    expect((await served.engine.get(id).snapshot()).state).toBe("Success");
  });
});

describe("the queue's places", () => {
  const options = { name: "becalm-default", prefix: "bull" };

  test("are one on a server, and one a partition on a cluster, in the partition's own slot", () => {
    const one = queuePlaces({}, { ...options, tags: null });
    expect(one.all).toEqual([{ name: "becalm-default", prefix: "bull" }]);
    expect(one.of(7)).toBe(one.all[0]);
    const tags = hashTags(16);
    const many = queuePlaces({}, { ...options, tags });
    expect(many.all).toHaveLength(16);
    for (const [partition, tag] of tags.entries()) {
      const { name, prefix } = many.of(partition);
      expect(name).toBe(`becalm-default-${String(partition).padStart(2, "0")}`);
      expect(/\{(.*)\}/.exec(prefix)?.[1]).toBe(tag);
    }
  });

  test("need BullMQ, and say how to get it where it is missing", async () => {
    const missing = loadBullmq(() => Promise.reject(new Error("Cannot find package 'bullmq'")));
    await expect(missing).rejects.toMatchObject({
      code: "BECALM_ARGUMENT_INVALID",
      message: expect.stringContaining("npm install bullmq"),
    });
  });
});
