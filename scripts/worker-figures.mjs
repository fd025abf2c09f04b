#!/usr/bin/env node
/**
 * What engines and workers cost beside their decisions: `node scripts/worker-figures.mjs NAME`, after `npm run build`;
 * `--help` names the figures. Starts a Redis server of its own, without persistence, on loopback.
 */
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { answerParent, isMember, Member, withOwnRedis } from "./own-processes.mjs";

const FIGURES = { idle, interrupted, results };
const OPTIONS = {
  engines: { type: "string", default: "2" },
  workers: { type: "string", default: "2" },
  seconds: { type: "string", default: "20" },
  rate: { type: "string", default: "1000" },
  groups: { type: "string", default: "100" },
  port: { type: "string", default: "7393" },
  help: { type: "boolean", default: false },
};
const HELP = `npm run build && node scripts/worker-figures.mjs NAME [options]

  idle           commands a second that an engine with nothing to do asks of Redis
  interrupted    how long \`engine.stop()\` takes with 16 and with 500 attempts that it interrupts, and in how many commits
  results        commits that meet a conflict, with workers that commit results and engines that decide meanwhile

  --seconds N    of idle and of each load of results; default ${OPTIONS.seconds.default}
  --engines N    of results; default ${OPTIONS.engines.default}
  --workers N    of results; 0: the engines run the attempts; default ${OPTIONS.workers.default}
  --rate N       alerts a second of results; default ${OPTIONS.rate.default}
  --groups N     of results; default ${OPTIONS.groups.default}
  --port N       of the server; default ${OPTIONS.port.default}
  --help`;

const WARM_MS = 6_000;
const SENT_EVERY_MS = 50;
const SILENT = { debug() {}, info() {}, warn() {}, error: (_fields, text) => void process.stderr.write(`${text}\n`) };

/** What becomes of a group's peers: `count` execute, of so many alerts. */
const rule = (name, more = {}) => ({ function: name, by: ["alertname", "cluster"], window: "1h", ...more });
const LOADS = {
  "a tenth executes": { ...rule("skip_when_exceed"), share: 0.1 },
  "all execute": { ...rule("skip_when_exceed"), share: 1 },
  "the first executes, others wait for it": rule("skip_when_success"),
  "no rule": null,
};

// --------------------------------------------------------------------------------------------------------- a process

/** Counts what becomes of commits: those with an attempt's result, and the others. */
function counting(store) {
  const counts = { result: {}, other: {} };
  const commit = async (given) => {
    const outcome = await store.commit(given);
    const kind = given.settledEffectIds.length > 0 ? "result" : "other";
    counts[kind][outcome] = (counts[kind][outcome] ?? 0) + 1;
    return outcome;
  };
  const get = (target, name) => {
    const member = name === "commit" ? commit : Reflect.get(target, name, target);
    return typeof member === "function" && name !== "commit" ? member.bind(target) : member;
  };
  return { counts, store: new Proxy(store, { get }) };
}

function policyOf(converge, total, groups) {
  const policy = { name: "restart", match: ['alertname="InstanceDown"'], action: { handler: { name: "act" } } };
  if (converge === null) return policy;
  const { share, ...shown } = converge;
  if (share === undefined) return { ...policy, converge: shown };
  return {
    ...policy,
    converge: { ...shown, count: Math.max(1, Math.min(10_000, Math.round((total * share) / groups))) },
  };
}

/** An engine or a worker in a process of its own, told what to do by its parent. */
async function serve() {
  const { createEngine, createWorker, redisStore } = await import("../dist/src/index.js");
  let running;
  let counted;
  let attempts = 0;
  const act = async () => {
    attempts += 1;
    await delay(5 + (attempts % 20));
  };
  const requests = {
    async open({ redis, namespace, isWorker, leaveEffects, load, total, groups }) {
      counted = counting(redisStore(redis, { namespace }));
      const common = { store: counted.store, handlers: { act }, logger: SILENT };
      const policies = [policyOf(LOADS[load], total, groups)];
      running = isWorker ? createWorker(common) : createEngine({ ...common, policies, leaveEffects });
      await running.start();
    },
    async send({ seconds, rate, groups, name }) {
      const tookMs = [];
      const sent = [];
      const count = Math.max(1, Math.round((rate * SENT_EVERY_MS) / 1_000));
      const startsAt = new Date().toISOString();
      for (let round = 0; round < (seconds * 1_000) / SENT_EVERY_MS; round += 1) {
        const alerts = Array.from({ length: count }, (_, index) => {
          const number = round * count + index;
          const labels = { alertname: "InstanceDown", cluster: `c${number % groups}`, instance: `${name}-${number}` };
          return { labels, startsAt };
        });
        const fromMs = performance.now();
        sent.push(running.ingest(alerts).then(() => tookMs.push(performance.now() - fromMs)));
        await delay(SENT_EVERY_MS);
      }
      await Promise.all(sent);
      return tookMs;
    },
    async counts() {
      return { ...counted.counts, attempts };
    },
    async stop() {
      await running.stop();
      await counted.store.close();
    },
  };
  answerParent(requests);
}

// ----------------------------------------------------------------------------------------------------------- figures

async function commandCounts(redis) {
  const { Redis } = await import("ioredis");
  const client = new Redis(redis);
  const text = await client.info("commandstats");
  const cpu = await client.info("cpu");
  client.disconnect();
  const cpuS = [...cpu.matchAll(/used_cpu_(?:sys|user):([\d.]+)/g)].reduce((sum, [, s]) => sum + Number(s), 0);
  return {
    calls: new Map([...text.matchAll(/cmdstat_([^:]+):calls=(\d+)/g)].map(([, name, n]) => [name, Number(n)])),
    cpuS,
  };
}

async function idle({ redis, seconds }) {
  const { createEngine, redisStore } = await import("../dist/src/index.js");
  const store = redisStore(redis, { namespace: "idle" });
  const engine = createEngine({ policies: [policyOf(null)], store, handlers: { act() {} } });
  await engine.start();
  await delay(WARM_MS);
  const before = await commandCounts(redis);
  await delay(seconds * 1_000);
  const after = await commandCounts(redis);
  const rates = [...after.calls]
    .map(([name, calls]) => [name, (calls - (before.calls.get(name) ?? 0)) / seconds])
    .filter(([name, rate]) => rate > 0.1 && name !== "info")
    .toSorted(([, left], [, right]) => right - left);
  const all = rates.reduce((sum, [, rate]) => sum + rate, 0);
  const percent = ((after.cpuS - before.cpuS) * 100) / seconds;
  console.log(`an idle engine: ${all.toFixed(0)} commands a second, ${percent.toFixed(2)} % of a core of the server`);
  console.log(`  ${rates.map(([name, rate]) => `${name} ${rate.toFixed(1)}`).join(", ")}`);
  await engine.stop();
  await store.close();
}

async function interrupted({ redis }) {
  for (const load of ["no rule", "all execute"]) {
    for (const groups of load === "no rule" ? [1] : [1, 500]) {
      for (const count of [16, 500]) await interruptedOnce({ redis, load, groups, count });
    }
  }
}

async function interruptedOnce({ redis, load, groups, count }) {
  const { createEngine, redisStore } = await import("../dist/src/index.js");
  const { store, counts } = counting(redisStore(redis, { namespace: `i-${load.length}-${groups}-${count}` }));
  let out = 0;
  const act = ({ signal }) => {
    out += 1;
    return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  };
  const policies = [policyOf(LOADS[load], 1_000_000, 1)];
  const engine = createEngine({ policies, store, handlers: { act }, concurrency: count, drainMs: 0 });
  await engine.start();
  const labels = (number) => ({ alertname: "InstanceDown", cluster: `c${number % groups}`, instance: `i${number}` });
  await engine.ingest(Array.from({ length: count }, (_, number) => ({ labels: labels(number) })));
  while (out < count) await delay(10);
  await delay(500);
  const before = counts.other.applied;
  const fromMs = performance.now();
  await engine.stop();
  const ms = Math.round(performance.now() - fromMs);
  const what = load === "no rule" ? "without a rule" : `in ${groups === 1 ? "one group" : "groups of their own"}`;
  console.log(`${count} interrupted, ${what}: stopped after ${ms} ms, ${counts.other.applied - before} commits`);
  await store.close();
}

async function results({ redis, seconds, rate, groups, engines, workers }) {
  for (const [index, load] of Object.keys(LOADS).entries()) {
    const common = { redis, namespace: `r${index}`, load, total: rate * seconds, groups };
    const deciding = Array.from({ length: engines }, () => new Member(fileURLToPath(import.meta.url)));
    const running = Array.from({ length: workers }, () => new Member(fileURLToPath(import.meta.url)));
    await Promise.all(deciding.map((one) => one.ask("open", { ...common, leaveEffects: workers > 0 })));
    await Promise.all(running.map((one) => one.ask("open", { ...common, isWorker: true })));
    await delay(WARM_MS);
    const share = { seconds, groups, rate: rate / engines };
    const took = await Promise.all(deciding.map((one, at) => one.ask("send", { ...share, name: `s${at}` })));
    await delay(2_000);
    const counts = await Promise.all([...deciding, ...running].map((one) => one.ask("counts")));
    reportResults(
      load,
      counts,
      took.flat().toSorted((left, right) => left - right),
    );
    for (const one of [...running, ...deciding]) await one.ask("stop").then(() => one.end());
  }
}

function reportResults(load, counts, tookMs) {
  const sum = (kind, outcome) => counts.reduce((all, count) => all + (count[kind][outcome] ?? 0), 0);
  const part = (kind) => {
    const lost = sum(kind, "conflict") + sum(kind, "fenced");
    const all = lost + sum(kind, "applied") + sum(kind, "duplicate");
    return `${lost} of ${all} (${((lost * 100) / Math.max(all, 1)).toFixed(1)} %)`;
  };
  const attempts = counts.reduce((all, count) => all + count.attempts, 0);
  const at = (quantile) => tookMs[Math.floor(tookMs.length * quantile)]?.toFixed(0);
  console.log(
    `${load}: ${attempts} attempts; commits that met a conflict: with results ${part("result")}, others ${part("other")}`,
  );
  console.log(`  answers after ${at(0.5)} ms in the middle, ${at(0.99)} ms at 99 %`);
}

function given() {
  try {
    const { values, positionals } = parseArgs({ allowPositionals: true, options: OPTIONS });
    if (values.help) return null;
    const [name] = positionals;
    if (!Object.hasOwn(FIGURES, name ?? "")) throw new Error(`Name a figure: ${Object.keys(FIGURES).join(", ")}.`);
    const { help: _, ...counts } = values;
    return { name, ...Object.fromEntries(Object.entries(counts).map(([key, value]) => [key, Number(value)])) };
  } catch (error) {
    console.error(`${error.message}\n\n${HELP}`);
    process.exit(2);
  }
}

async function main() {
  const setup = given();
  if (setup === null) return console.log(HELP);
  await withOwnRedis(setup.port, (redis) => FIGURES[setup.name]({ ...setup, redis }));
}

if (isMember) await serve();
else await main();
