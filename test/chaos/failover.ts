/**
 * How long alerts are refused when a master is killed, or stopped: one alert for each partition every 100 ms, whatever
 * becomes of those before.
 */
import { setTimeout as delay } from "node:timers/promises";
import { createEngine, type Engine } from "../../src/engine.ts";
import { redisStore } from "../../src/stores/redis/redis-store.ts";
import type { RedisServer } from "../support/redis-server.ts";
import {
  type Deployment,
  type DeploymentKind,
  mastersAmong,
  startDeployment,
  until,
  withClient,
} from "./deployment.ts";
import { quantile } from "./outcome.ts";

const NAMESPACE = "failover";
const PARTITIONS = 16;
const EVERY_MS = 100;
const BEFORE_MS = 3_000;
const AFTER_MS = 20_000;
const STOPPED_MS = 10_000;
const HOSTS_MAX = 1_000;

type Probe = { readonly partition: number; readonly sentMs: number; endedMs: number; id: string | null };

/** Times since the fault. */
type Outage = {
  readonly partitions: number;
  readonly refused: number;
  /** The last refusal, and the first acknowledgement of an alert that was sent after the fault, of the slowest partition. */
  readonly lastRefusalMs: number;
  readonly firstTakenMs: number;
};

export type FailoverReport = {
  readonly deployment: DeploymentKind;
  readonly fault: FailoverFault;
  readonly sent: number;
  readonly acknowledged: number;
  readonly lost: number;
  /** When another server had taken over; null: none did. */
  readonly promotedMs: number | null;
  readonly ownShard: Outage;
  readonly otherShards: Outage;
  readonly answerP99Ms: number;
  readonly answerMaxMs: number;
};

export const FAILOVER_FAULTS = ["kill", "stop"] as const;
export type FailoverFault = (typeof FAILOVER_FAULTS)[number];

export async function runFailover(kind: DeploymentKind, fault: FailoverFault): Promise<FailoverReport> {
  const deployment = await startDeployment(kind);
  const engine = createEngine({
    policies: [
      {
        name: "probe",
        match: 'alertname="Probe"',
        action: { handler: { name: "act" } },
        converge: { function: "skip_when_exceed", by: ["host"], count: 1, window: "1h" },
      },
    ] as never,
    store: redisStore(deployment.url, { namespace: NAMESPACE }),
    handlers: { act: () => {} },
    logger: { debug() {}, info() {}, warn() {}, error() {} },
  });
  try {
    await engine.start();
    const hosts = await hostOfEachPartition(engine);
    const probes: Probe[] = [];
    const timer = setInterval(() => {
      for (const [partition, host] of hosts) void probe(engine, probes, { partition, host });
    }, EVERY_MS);
    await delay(BEFORE_MS);
    const [victim] = (await deployment.masters()) as [RedisServer];
    const own = await partitionsOn(victim);
    const replicas = await replicasAmong(deployment);
    const faultMs = performance.now();
    process.kill(victim.pid, fault === "kill" ? "SIGKILL" : "SIGSTOP");
    const promoted = promotedAmong(replicas, faultMs);
    await delay(STOPPED_MS);
    if (fault === "stop") process.kill(victim.pid, "SIGCONT");
    await delay(AFTER_MS - STOPPED_MS);
    clearInterval(timer);
    await until("every call is answered", async () => probes.every(({ endedMs }) => endedMs > 0));
    const answers = probes.map(({ sentMs, endedMs }) => Math.round(endedMs - sentMs));
    return {
      deployment: kind,
      fault,
      sent: probes.length,
      acknowledged: probes.filter(({ id }) => id !== null).length,
      lost: await lostAmong(deployment.directUrl, probes),
      promotedMs: await promoted,
      ownShard: outageOf(probes, { faultMs, among: (partition) => own.has(partition) }),
      otherShards: outageOf(probes, { faultMs, among: (partition) => !own.has(partition) }),
      answerP99Ms: quantile(answers, 0.99),
      answerMaxMs: quantile(answers, 1),
    };
  } finally {
    await engine.stop();
    await deployment.stop();
  }
}

/** All alerts of a host are one group, which lies in one partition. */
async function hostOfEachPartition(engine: Engine): Promise<ReadonlyMap<number, string>> {
  const hosts = new Map<number, string>();
  for (let count = 0; hosts.size < PARTITIONS && count < HOSTS_MAX; count += 1) {
    const host = `h${count}`;
    const id = await taken(engine, host, "first");
    if (id !== null && !hosts.has(Number(id.slice(0, 2)))) hosts.set(Number(id.slice(0, 2)), host);
  }
  return hosts;
}

async function probe(engine: Engine, probes: Probe[], { partition, host }: { partition: number; host: string }) {
  const one: Probe = { partition, sentMs: performance.now(), endedMs: 0, id: null };
  probes.push(one);
  one.id = await taken(engine, host, String(probes.length)).catch(() => null);
  one.endedMs = performance.now();
}

/** The instance's id; null: the alert was refused. */
async function taken(engine: Engine, host: string, name: string): Promise<string | null> {
  const labels = { alertname: "Probe", host, name };
  const { instances } = await engine.ingest([{ status: "firing", labels } as never]);
  return instances[0]?.id ?? null;
}

async function partitionsOn(master: RedisServer): Promise<ReadonlySet<number>> {
  const keys = await withClient(master.port, (client) => client.keys("*:i:*"));
  return new Set(keys.map((key) => Number(/:i:(\d\d)-/.exec(key)?.[1])));
}

async function replicasAmong(deployment: Deployment): Promise<readonly RedisServer[]> {
  const leading = await deployment.masters();
  return deployment.servers.filter((server) => !leading.includes(server));
}

/** When the first of them is a master. */
async function promotedAmong(replicas: readonly RedisServer[], faultMs: number): Promise<number | null> {
  while (performance.now() < faultMs + AFTER_MS) {
    if ((await mastersAmong(replicas)).length > 0) return Math.round(performance.now() - faultMs);
    await delay(EVERY_MS);
  }
  return null;
}

function outageOf(
  probes: readonly Probe[],
  { faultMs, among }: { faultMs: number; among: (partition: number) => boolean },
): Outage {
  const after = probes.filter(({ partition, endedMs }) => among(partition) && endedMs > faultMs);
  const refusals = after.filter(({ id }) => id === null);
  const partitions = new Set(after.map(({ partition }) => partition));
  const firsts = [...partitions].map((one) => {
    const ends = after.filter(({ partition, sentMs, id }) => partition === one && sentMs > faultMs && id !== null);
    return Math.min(...ends.map(({ endedMs }) => endedMs)) - faultMs;
  });
  return {
    partitions: partitions.size,
    refused: refusals.length,
    lastRefusalMs: Math.round(Math.max(0, ...refusals.map(({ endedMs }) => endedMs - faultMs))),
    firstTakenMs: Math.round(Math.max(0, ...firsts)),
  };
}

/** Acknowledged alerts whose instance is gone. */
async function lostAmong(url: string, probes: readonly Probe[]): Promise<number> {
  const store = redisStore(url, { namespace: NAMESPACE });
  try {
    // Its first answer may be that of the server that is dead.
    await until("the store is open", () => store.open({}).then(Boolean, () => false));
    const ids = [...new Set(probes.flatMap(({ id }) => (id === null ? [] : [id])))];
    const histories = await Promise.all(ids.map((id) => store.history(id)));
    return histories.filter((lines) => lines === null).length;
  } finally {
    await store.close();
  }
}
