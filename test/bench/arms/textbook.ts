/**
 * The textbook: an XState actor an alert, whose persisted snapshot lies in Redis. For each event: redlock on the instance, GET, createActor
 * with the snapshot, send, getPersistedSnapshot, SET, XADD of an audit entry with its hash, unlock. 64 alerts at once. How many of a
 * group have run is counted in the process, which is less than a program that can be restarted would need.
 */
import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import { Redis } from "ioredis";
import { createActor, type Snapshot } from "xstate";
import { actionInstanceMachine } from "../../../machines/index.ts";
import { policySetFrom } from "../../../src/formats/policy-file.ts";
import {
  type AlertInput,
  compilePolicy,
  dimensionKey,
  fingerprintOf,
  type InstanceEvent,
  type Logger,
} from "../../../src/index.ts";
import { groupIdOf, instanceIdOf } from "../../../src/model/ids.ts";
import { fileLogger } from "../../../src/system/pino-logger.ts";
import { stormAlerts } from "../alerts.ts";
import { policiesOf, WORKS } from "../works.ts";
import { type Arm, inParallel, measured } from "./arm.ts";

type Lock = { unlock(): PromiseLike<void> };
type Redlock = { lock(resource: string, ttlMs: number): PromiseLike<Lock> };
const RedlockClient = createRequire(import.meta.url)("redlock") as new (clients: readonly unknown[]) => Redlock;

const AT_ONCE = 64;
const LOCK_MS = 10_000;

type World = {
  readonly redis: Redis;
  readonly redlock: Redlock;
  readonly logger: Logger;
  readonly policy: ReturnType<typeof compilePolicy>;
};

export const textbook: Arm = async ({ work, count, url, logPath }) => {
  const redis = new Redis(url as string);
  const logger = fileLogger(logPath);
  const [policy] = policySetFrom(policiesOf(work, count)).policies.map(compilePolicy);
  if (policy === undefined) throw new Error("the work has no policy");
  const world: World = { redis, redlock: new RedlockClient([redis]), logger, policy };
  const executed = new Map<string, number>();
  const sample = await measured(count, async () => {
    const alerts = stormAlerts({ count, groups: WORKS[work].groups });
    await inParallel(AT_ONCE, async () => {
      for (const alert of alerts) await take(world, alert, executed);
    });
    await logger.close();
  });
  await redis.quit();
  return sample;
};

async function take(world: World, alert: AlertInput, executed: Map<string, number>): Promise<void> {
  const { policy } = world.policy;
  const fingerprint = fingerprintOf(alert.labels);
  const id = instanceIdOf({ policy: policy.name, fingerprint, startMs: Date.parse("2026-11-23T06:49:54.757Z") }, 0);
  const rule = policy.converge;
  const group = rule === null ? null : groupIdOf(policy.name, dimensionKey(rule, alert.labels));
  const before = group === null ? 0 : (executed.get(group) ?? 0);
  const runs = rule === null || before < rule.count;
  if (group !== null && runs) executed.set(group, before + 1);
  const atMs = Date.now();
  const peers = { isNew: false, succeeded: 0, failed: 0, inProgress: 0, settledWithoutFailure: 0, parentOpen: false };
  const view =
    rule === null || before === 0
      ? null
      : { observation: { ...peers, executed: before }, count: rule.count, peers: [] };
  const state = await send(world, { id, alert, event: { type: "start", atMs, silence: null, group: view } });
  if (state !== "running") return;
  // The handler, which does nothing, would run here.
  await send(world, { id, alert, event: { type: "effect.done", atMs: Date.now(), attempt: 1 } });
}

type Step = { readonly id: string; readonly alert: AlertInput; readonly event: InstanceEvent };
type Stored = { readonly alert: AlertInput; readonly head: string; readonly snapshot: Snapshot<unknown> };

async function send({ redis, redlock, logger, policy }: World, { id, alert, event }: Step): Promise<string> {
  const lock = await redlock.lock(`lock:${id}`, LOCK_MS);
  const text = await redis.get(`instance:${id}`);
  const stored = text === null ? null : (JSON.parse(text) as Stored);
  const input = { policy: policy.governed };
  const actor = createActor(actionInstanceMachine, stored === null ? { input } : { input, snapshot: stored.snapshot });
  actor.start();
  actor.send(event);
  const snapshot = actor.getPersistedSnapshot();
  const { value } = actor.getSnapshot();
  actor.stop();
  const state = typeof value === "string" ? value : "running";
  const entry = JSON.stringify({ id, event, state });
  const head = createHash("sha256")
    .update((stored?.head ?? "") + entry)
    .digest("hex");
  await redis.set(`instance:${id}`, JSON.stringify({ alert, head, snapshot }));
  await redis.xadd("audit", "*", "entry", entry, "hash", head);
  await lock.unlock();
  logger.info({ instance: id, event: event.type, state }, `${event.type} -> ${state}`);
  return state;
}
