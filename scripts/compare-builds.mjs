#!/usr/bin/env node
/**
 * Is this build as fast as another one? Both do the same work in turn, each in a process of its own that is warmed up
 * first: `node scripts/compare-builds.mjs BASE_DIR`; `--help` says the rest.
 *
 * The rates are compared once by time and once by CPU of the process: on a busy machine the second is the better guide.
 * The compiler needs about five samples until it is done, which are not counted.
 */
import { fork } from "node:child_process";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

const STARTS_AT = "2026-11-23T06:49:54.757Z";
const REQUEST_ALERTS = 1_000;
const REQUESTS_AT_ONCE = 2;
const RULE = { function: "skip_when_exceed", by: ["alertname", "cluster"], window: "1h" };

/**
 * `groups` 0: each alert is a group of its own. `share`: the part of the alerts that executes. `part`: of the number of
 * alerts given.
 */
const WORKS = {
  storm: { groups: 100, rule: true, share: 0.1, part: 1 },
  "all-execute": { groups: 100, rule: false, share: 1, part: 0.5 },
  "one-group": { groups: 1, rule: true, share: 0.1, part: 1 },
  "distinct-groups": { groups: 0, rule: true, share: 1, part: 0.5 },
};

const OPTIONS = {
  pairs: { type: "string", default: "7" },
  "warm-up": { type: "string", default: "6" },
  redis: { type: "string" },
  alerts: { type: "string", default: "20000" },
  only: { type: "string" },
  least: { type: "string", default: "0.97" },
  help: { type: "boolean", default: false },
  // What a process of a build is started with.
  serve: { type: "boolean", default: false },
};

const HELP = `node scripts/compare-builds.mjs BASE_DIR [options]

  BASE_DIR       another checkout that is built; this one has to be built, too
  --only WORK    one work: ${Object.keys(WORKS).join(", ")}; default: all
  --pairs N      samples of each build, in turn; default ${OPTIONS.pairs.default}
  --warm-up N    samples before them that are not counted; default ${OPTIONS["warm-up"].default}
  --alerts N     alerts of a sample; of all-execute and distinct-groups half of it; default ${OPTIONS.alerts.default}
  --redis URL    the database of this URL, which is emptied before every sample; default: stores in memory
  --least RATIO  exit 1 if this build's rate over the base's, by time, is below it; default ${OPTIONS.least.default}
  --serve        what a process of a build is started with: takes samples that its parent asks for by messages, of the
                 build in BASE_DIR; needs a parent
  --help

Prints for each work the rate of this build over that of the base (ratio of the medians, and the lowest and highest ratio
of a pair), by time and by CPU.`;

function* alertsOf(count, groups) {
  for (let number = 0; number < count; number += 1) {
    const cluster = `cluster-${groups === 0 ? number : number % groups}`;
    const instance = `10.${(number >> 16) & 255}.${(number >> 8) & 255}.${number & 255}:9500`;
    yield {
      labels: {
        alertname: "InstanceDown",
        cluster,
        instance,
        job: "node",
        rack: `r${number % 40}`,
        severity: "critical",
      },
      annotations: {
        description: "The node exporter has not answered for more than one minute; its host may be down, or cut off.",
        summary: `${instance} of ${cluster} is down`,
      },
      startsAt: STARTS_AT,
      generatorURL: "http://prometheus.example:9090/graph?g0.expr=up%7Bjob%3D%22node%22%7D+%3D%3D+0&g0.tab=1",
    };
  }
}

function policyOf({ groups, rule, share }, count) {
  const threshold = groups === 0 ? 2 : Math.max(1, Math.round((count * share) / groups));
  const policy = { name: "restart", match: ['alertname="InstanceDown"'], action: { handler: { name: "noop" } } };
  return rule ? { ...policy, converge: { ...RULE, count: threshold } } : policy;
}

/** One sample: an engine of its own, until every decision and every result of a handler is durable. */
async function sample(becalm, { work, count, redis, namespace }) {
  const { createEngine, memoryStore, redisStore } = becalm;
  const shape = WORKS[work];
  const store = redis === null ? memoryStore() : redisStore(redis, { namespace });
  const executed = Math.round(count * shape.share);
  let results = 0;
  let arrived = () => {};
  const done = new Promise((resolve) => {
    arrived = resolve;
  });
  const logger = {
    debug() {},
    warn() {},
    error(fields, message) {
      process.stderr.write(`${message} ${fields.err?.stack ?? ""}\n`);
    },
    info(_fields, message) {
      if (!message.startsWith("effect.done")) return;
      results += 1;
      if (results === executed) arrived();
    },
  };
  logger.child = () => logger;
  const engine = createEngine({ policies: [policyOf(shape, count)], store, logger, handlers: { noop() {} } });
  await engine.start();
  const alerts = [...alertsOf(count, shape.groups)];
  const cpuBefore = process.cpuUsage();
  const startedAtMs = performance.now();
  let next = 0;
  const client = async () => {
    while (next < count) {
      const from = next;
      next += REQUEST_ALERTS;
      const { rejected } = await engine.ingest(alerts.slice(from, from + REQUEST_ALERTS));
      if (rejected.length > 0) throw rejected[0].error;
    }
  };
  await Promise.all(Array.from({ length: REQUESTS_AT_ONCE }, client));
  await done;
  const ms = performance.now() - startedAtMs;
  const { user, system } = process.cpuUsage(cpuBefore);
  await engine.stop();
  await store.close();
  return { ms, cpuMs: (user + system) / 1_000 };
}

async function serveSamples(dir) {
  const becalm = await import(pathToFileURL(`${dir}/dist/src/index.js`).href);
  process.on("message", (request) => {
    sample(becalm, request).then(
      (taken) => process.send({ sample: taken }),
      (error) => process.send({ error: String(error?.stack ?? error) }),
    );
  });
  process.send({ ready: true });
}

function answerOf(child) {
  return new Promise((resolve, reject) => {
    child.once("message", (message) =>
      message.error === undefined ? resolve(message) : reject(new Error(message.error)),
    );
  });
}

async function start(dir) {
  const child = fork(fileURLToPath(import.meta.url), ["--serve", dir], {
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  await answerOf(child);
  return child;
}

async function ask(child, request) {
  const answer = answerOf(child);
  child.send(request);
  return (await answer).sample;
}

const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];

/** How many times as fast this build is: the base's cost over this one's. */
function ratios(pairs, of) {
  const each = pairs.map(({ base, own }) => of(base) / of(own)).toSorted((a, b) => a - b);
  const ratio = median(pairs.map(({ base }) => of(base))) / median(pairs.map(({ own }) => of(own)));
  return { ratio, least: each[0], most: each.at(-1) };
}

async function emptied(redis) {
  if (redis === null) return;
  const { Redis } = await import("ioredis");
  const client = new Redis(redis);
  await client.flushdb();
  client.disconnect();
}

async function compare({ baseDir, pairCount, warmUp, redis, alerts, only, least }) {
  const ownDir = fileURLToPath(new URL("..", import.meta.url)).replace(/\/$/, "");
  const [base, own] = [await start(baseDir), await start(ownDir)];
  let count = 0;
  const take = async (child, work, number) => {
    await emptied(redis);
    count += 1;
    return ask(child, { work, count: number, redis, namespace: `compare-${count}` });
  };
  let isSlower = false;
  const works = Object.keys(WORKS).filter((name) => only === undefined || name === only);
  for (const work of works) {
    const number = Math.round(alerts * WORKS[work].part);
    for (let round = 0; round < warmUp; round += 1) for (const child of [base, own]) await take(child, work, number);
    const pairs = [];
    for (let pair = 0; pair < pairCount; pair += 1) {
      const isBaseFirst = pair % 2 === 0;
      const first = await take(isBaseFirst ? base : own, work, number);
      const second = await take(isBaseFirst ? own : base, work, number);
      pairs.push(isBaseFirst ? { base: first, own: second } : { base: second, own: first });
    }
    const time = ratios(pairs, ({ ms }) => ms);
    const cpu = ratios(pairs, ({ cpuMs }) => cpuMs);
    const show = ({ ratio, least: low, most }) => `${ratio.toFixed(3)} (${low.toFixed(2)} to ${most.toFixed(2)})`;
    const rate = Math.round(number / (median(pairs.map((one) => one.own.ms)) / 1_000));
    console.log(`${work.padEnd(16)} time ${show(time)}  CPU ${show(cpu)}  ${rate.toLocaleString("en")} alerts/s`);
    isSlower ||= time.ratio < least;
  }
  for (const child of [base, own]) child.disconnect();
  process.exitCode = isSlower ? 1 : 0;
}

function given() {
  try {
    const { values, positionals } = parseArgs({ allowPositionals: true, options: OPTIONS });
    if (values.help) return { values };
    if (positionals.length !== 1) throw new Error("Give one BASE_DIR.");
    if (values.serve && process.send === undefined)
      throw new Error("--serve is for a process that this script starts; without it, it compares.");
    if (values.only !== undefined && !Object.hasOwn(WORKS, values.only))
      throw new Error(`--only "${String(values.only)}" is unknown. There are: ${Object.keys(WORKS).join(", ")}.`);
    return { values, dir: positionals[0] };
  } catch (error) {
    console.error(`${error.message}\n\n${HELP}`);
    process.exit(2);
  }
}

const { values, dir } = given();
if (values.help) console.log(HELP);
else if (values.serve) await serveSamples(dir);
else
  await compare({
    baseDir: dir,
    pairCount: Number(values.pairs),
    warmUp: Number(values["warm-up"]),
    redis: values.redis ?? null,
    alerts: Number(values.alerts),
    only: values.only,
    least: Number(values.least),
  });
