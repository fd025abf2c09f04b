/**
 * The textbook way, in a process of its own: an XState actor an alert whose persisted snapshot lies in Redis, redlock around each step, GET and SET,
 * an audit stream with a chain of hashes, and BullMQ for the actions. It is written as its parts' own manuals say, with what a careful
 * programmer adds: a re-sent alert is recognised, and what the machine refuses is not written.
 */
import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import { Queue, Worker } from "bullmq";
import { Redis } from "ioredis";
import { createActor, type Snapshot } from "xstate";
import { actionInstanceMachine } from "../../machines/index.ts";
import { policySetFrom } from "../../src/formats/policy-file.ts";
import { messageOf } from "../../src/model/errors.ts";
import { fingerprintOf } from "../../src/model/fingerprint.ts";
import type { InstanceEvent } from "../../src/model/instance-types.ts";
import { compilePolicy } from "../../src/policy/policy-versions.ts";
import { LIMIT } from "./chaos-policies.ts";
import type { ContenderOptions, FromContender, ToContender } from "./contender.ts";

type Lock = { unlock(): PromiseLike<void> };
type Redlock = { lock(resource: string, ttlMs: number): PromiseLike<Lock> };
const RedlockClient = createRequire(import.meta.url)("redlock") as new (
  clients: readonly unknown[],
  options: object,
) => Redlock;

const LOCK_MS = 10_000;
const WINDOW_S = 20;

const { storeUrl, targetUrl, policies } = JSON.parse(process.argv[2] ?? "{}") as ContenderOptions;
const tell = (message: FromContender) => void process.send?.(message, () => {});
const report = (error: unknown) => tell({ type: "fault", text: messageOf(error) });

const { hostname: host, port } = new URL(storeUrl);
const connection = { host, port: Number(port), maxRetriesPerRequest: null };
const redis = new Redis({ ...connection, maxRetriesPerRequest: 3 });
redis.on("error", report);
const redlock = new RedlockClient([redis], { retryCount: 50, retryDelay: 100 });
const queue = new Queue("actions", { connection });
queue.on("error", report);
const compiled = new Map(
  policySetFrom(policies as never).policies.map((policy) => [policy.name, compilePolicy(policy)]),
);

type Labels = Readonly<Record<string, string>>;
type Stored = { readonly labels: Labels; readonly head: string; readonly snapshot: Snapshot<unknown> };

async function locked<T>(name: string, act: () => Promise<T>): Promise<T> {
  const lock = await redlock.lock(`lock:${name}`, LOCK_MS);
  try {
    return await act();
  } finally {
    await Promise.resolve(lock.unlock()).catch(report);
  }
}

/** One alert: true if it is new. */
async function take(labels: Labels): Promise<{ id: string; outcome: string }> {
  const id = fingerprintOf(labels);
  const group = `${labels["kind"]}:${labels["host"]}`;
  return locked(labels["kind"] === "limited" ? group : id, async () => {
    if ((await redis.get(`instance:${id}`)) !== null) return { id, outcome: "duplicate" };
    const executed = labels["kind"] === "limited" ? Number(await redis.get(`executed:${group}`)) : 0;
    const observation = {
      isNew: false,
      succeeded: 0,
      failed: 0,
      inProgress: 0,
      settledWithoutFailure: 0,
      parentOpen: false,
    };
    const isFree = labels["kind"] !== "limited" || executed === 0;
    const view = isFree ? null : { observation: { ...observation, executed }, count: LIMIT, peers: [] };
    const state = await step(id, labels, { type: "start", atMs: Date.now(), silence: null, group: view });
    if (state !== "running") return { id, outcome: "created" };
    if (labels["kind"] === "limited") {
      await redis.incr(`executed:${group}`);
      if (executed === 0) await redis.expire(`executed:${group}`, WINDOW_S);
    }
    await queue.add("run", { id, attempt: 1 }, { jobId: `${id}-1` });
    return { id, outcome: "created" };
  });
}

async function step(id: string, labels: Labels, event: InstanceEvent): Promise<string> {
  const text = await redis.get(`instance:${id}`);
  const stored = text === null ? null : (JSON.parse(text) as Stored);
  const policy = compiled.get(labels["kind"] === "limited" ? "limited" : "each");
  if (policy === undefined) throw new Error("there is no such policy");
  const input = { policy: policy.governed };
  const actor = createActor(actionInstanceMachine, stored === null ? { input } : { input, snapshot: stored.snapshot });
  actor.start();
  // What the machine refuses is not written down.
  if (!actor.getSnapshot().can(event)) return "refused";
  actor.send(event);
  const snapshot = actor.getPersistedSnapshot();
  const { value, context } = actor.getSnapshot();
  actor.stop();
  const state = typeof value === "string" ? value : "running";
  const entry = JSON.stringify({ id, event, state });
  const head = createHash("sha256")
    .update((stored?.head ?? "") + entry)
    .digest("hex");
  await redis.set(`instance:${id}`, JSON.stringify({ labels, head, snapshot, state }));
  await redis.xadd("audit", "*", "entry", entry, "hash", head);
  const retry = context.timers.retry;
  if (state === "Failed" && retry !== undefined) {
    const delay = Math.max(retry.dueAtMs - Date.now(), 0);
    await queue.add("retry", { id, arm: retry.arm }, { delay, jobId: `${id}-retry-${retry.arm}` });
  }
  return state;
}

async function labelsOf(id: string): Promise<Labels> {
  return (JSON.parse((await redis.get(`instance:${id}`)) ?? "{}") as Stored).labels;
}

const worker = new Worker(
  "actions",
  async ({ name, data }) => {
    const { id } = data as { id: string };
    const labels = await labelsOf(id);
    if (name === "retry") {
      const { arm } = data as { arm: number };
      const event = { type: "timer.elapsed", atMs: Date.now() + 1_000, timer: "retry", arm } as const;
      const state = await locked(id, () => step(id, labels, event));
      if (state === "running") await queue.add("run", { id, attempt: arm + 1 }, { jobId: `${id}-${arm + 1}` });
      return;
    }
    const { attempt } = data as { attempt: number };
    const body = JSON.stringify({ kind: "action", instance: id, attempt, alert: { labels } });
    const headers = { "content-type": "application/json", "idempotency-key": `${id}_${attempt}` };
    const isDone = await fetch(targetUrl, { method: "POST", body, headers }).then(
      ({ ok }) => ok,
      () => false,
    );
    const atMs = Date.now();
    await locked(id, () =>
      step(
        id,
        labels,
        isDone ? { type: "effect.done", atMs, attempt } : { type: "effect.failed", atMs, attempt, error: "refused" },
      ),
    );
  },
  { connection, concurrency: 16 },
);
worker.on("error", report);
worker.on("failed", (_, error) => report(error));

async function ingest(id: number, alerts: readonly { labels: Labels }[]): Promise<void> {
  const outcomes = await Promise.all(
    alerts.map(({ labels }) => take(labels).catch((error: unknown) => ({ code: messageOf(error) }))),
  );
  const taken = outcomes.flatMap((outcome, alert) => ("id" in outcome ? [{ alert, ...outcome }] : []));
  const refused = outcomes.flatMap((outcome, alert) => ("code" in outcome ? [{ alert, code: outcome.code }] : []));
  tell({ type: "answer", id, taken, refused });
}

process.on("message", (message: ToContender) => {
  if (message.type === "ingest") void ingest(message.id, message.alerts as { labels: Labels }[]);
});
process.on("disconnect", () => process.exit(0));
await Promise.all([queue.waitUntilReady(), worker.waitUntilReady()]);
tell({ type: "ready" });
