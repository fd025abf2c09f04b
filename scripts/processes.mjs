#!/usr/bin/env node
/**
 * What several processes on one Redis cost and how they behave together: `node scripts/processes.mjs NAME`; `--help`
 * names the figures. Starts a Redis server of its own, without persistence, on loopback.
 */
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { answerParent, isMember, Member, withOwnRedis } from "./own-processes.mjs";

const OPTIONS = {
  processes: { type: "string", default: "2" },
  groups: { type: "string", default: "100" },
  alerts: { type: "string", default: "20000" },
  rounds: { type: "string", default: "3" },
  size: { type: "string", default: "1000" },
  dir: { type: "string", default: fileURLToPath(new URL("..", import.meta.url)) },
  port: { type: "string", default: "7392" },
  help: { type: "boolean", default: false },
};
const HELP = `npm run build && node scripts/processes.mjs NAME [options]

  cpu              CPU per alert of all processes together on the same groups, over that of as many processes on
                   namespaces of their own
  one-group        the rate of two processes on a single group over that of one
  timers           how late 10,000 timers are that are due at once, with one engine and with three
  killed, stopped  how long the partitions of one of four processes are without decisions
  rolling          what four processes refuse that are restarted one after the other under load

  --processes N    of cpu; default ${OPTIONS.processes.default}
  --groups N       that alerts belong to; default ${OPTIONS.groups.default}
  --alerts N       of each process in a round of cpu and one-group; default ${OPTIONS.alerts.default}
  --rounds N       of cpu and one-group; default ${OPTIONS.rounds.default}
  --size N         alerts a request; default ${OPTIONS.size.default}
  --dir DIR        a built checkout; default: this one
  --port N         of the server; default ${OPTIONS.port.default}
  --help`;

const STARTS_AT = "2026-11-23T06:49:54.757Z";
const SETTLED_MS = 5_000;
const TIMER_COUNT = 10_000;
const WAIT_MS = 15_000;

// ---------------------------------------------------------------------------------------------------------- a member

const REQUESTS = { open, ingest, stream, endStream, timedOut, stop };

async function open(member, { dir, redis, namespace, groups, share, total, wait }) {
  const { createEngine, redisStore } = await import(join(dir, "dist/src/index.js"));
  member.from = 0;
  member.groups = groups;
  Object.assign(member, { made: [], ended: [] });
  const converge = {
    function: "skip_when_exceed",
    by: ["alertname", "cluster"],
    window: "1h",
    count: Math.min(10_000, Math.max(1, Math.round((total * share) / groups))),
  };
  const policy = { name: "restart", match: ['alertname="InstanceDown"'], action: { handler: { name: "act" } } };
  member.store = redisStore(redis, { namespace });
  member.engine = createEngine({
    policies: [
      wait === undefined
        ? { ...policy, converge }
        : { ...policy, converge: { ...converge, function: "defense", count: 1 }, approval: { timeout: wait } },
    ],
    store: member.store,
    handlers: { act() {} },
    logger: {
      debug() {},
      info() {},
      warn() {},
      error: (_fields, text) => process.stderr.write(`${text}\n`),
    },
  });
  if (wait !== undefined) member.engine.subscribe((steps) => noteTimedOut(member, steps));
  await member.engine.start();
}

/** When each instance was made, and when its waiting had timed out and that was durable. */
function noteTimedOut({ made, ended }, steps) {
  const nowMs = Date.now();
  for (const { id, event, atMs, from } of steps) {
    if (from === null) made.push([id, atMs]);
    else if (event === "timer.elapsed") ended.push([id, nowMs]);
  }
}

function* alertsOf({ from, count, groups, name }) {
  for (let number = from; number < from + count; number += 1) {
    const cluster = `cluster-${number % groups}`;
    const instance = `10.${(number >> 16) & 255}.${(number >> 8) & 255}.${number & 255}:9500`;
    yield {
      labels: { alertname: "InstanceDown", cluster, instance, job: "node", process: name, severity: "critical" },
      annotations: {
        description: "The node exporter has not answered for more than one minute; its host may be down, or cut off.",
        summary: `${instance} of ${cluster} is down`,
      },
      startsAt: STARTS_AT,
      generatorURL: "http://prometheus.example:9090/graph?g0.expr=up%7Bjob%3D%22node%22%7D+%3D%3D+0&g0.tab=1",
    };
  }
}

/** Alerts in requests of `size`, `atOnce` of them under way. */
async function ingest(member, { count, size = 1_000, atOnce = 2, name }) {
  const alerts = [...alertsOf({ from: member.from, count, groups: member.groups, name })];
  member.from += count;
  const cpu = process.cpuUsage();
  const startedMs = performance.now();
  let next = 0;
  let refused = 0;
  let outside = 0;
  const codes = {};
  const client = async () => {
    while (next < count) {
      const from = next;
      next += size;
      const { rejected, instances } = await member.engine.ingest(alerts.slice(from, from + size));
      refused += rejected.length;
      outside += instances.filter(({ outcome }) => outcome !== "created").length;
      for (const { error } of rejected) codes[error.code] = (codes[error.code] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, client));
  const { user, system } = process.cpuUsage(cpu);
  return { cpuMs: (user + system) / 1_000, ms: performance.now() - startedMs, refused, outside, codes };
}

/** One alert after the other for each group, until it is ended; remembers when each came out. */
function stream(member, { name, everyMs }) {
  const state = { isOver: false, refused: 0, errors: [], answers: [], pending: [] };
  member.stream = state;
  let number = 0;
  const send = async () => {
    const [alert] = alertsOf({ from: number, count: 1, groups: member.groups, name: `${name}-${number}` });
    const group = number % member.groups;
    number += 1;
    const sentAtMs = Date.now();
    try {
      const { rejected } = await member.engine.ingest([alert]);
      if (rejected.length > 0) state.errors.push(rejected[0].error.code);
      state.refused += rejected.length;
      state.answers.push([group, sentAtMs, Date.now()]);
    } catch (error) {
      state.refused += 1;
      state.errors.push(error.message);
    }
  };
  state.timer = setInterval(() => {
    const sent = send();
    state.pending.push(sent);
  }, everyMs);
}

async function endStream(member) {
  clearInterval(member.stream.timer);
  await Promise.all(member.stream.pending);
  const { refused, errors, answers } = member.stream;
  return { refused, errors: errors.slice(0, 3), answers };
}

function timedOut({ made, ended }) {
  return { made, ended };
}

/** Takes nothing more from its sender, as behind a load balancer, and answers what it has. */
async function stop(member) {
  if (member.stream !== undefined) clearInterval(member.stream.timer);
  await member.engine.stop();
  const answered = member.stream === undefined ? null : await endStream(member);
  await member.store.close();
  return answered;
}

// ----------------------------------------------------------------------------------------------------------------
// measuring

function given() {
  try {
    const { values, positionals } = parseArgs({ allowPositionals: true, options: OPTIONS });
    if (values.help) return null;
    const [name] = positionals;
    if (!Object.hasOwn(FIGURES, name ?? "")) throw new Error(`Name a figure: ${Object.keys(FIGURES).join(", ")}.`);
    const { help: _, dir, ...counts } = values;
    const numbers = Object.fromEntries(Object.entries(counts).map(([key, value]) => [key, Number(value)]));
    return { name, dir: resolve(dir), ...numbers };
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

const median = (numbers) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];
let spaces = 0;

/** Members that are warm; `namespaceOf`: by their number. */
async function membersOf(setup, count, { isShared, share = 0.1, wait, total, isSame = false }) {
  const members = Array.from({ length: count }, () => new Member(fileURLToPath(import.meta.url)));
  if (!isSame) spaces += 1;
  const common = { dir: setup.dir, redis: setup.redis, groups: setup.groups, share, total, wait };
  await Promise.all(
    members.map((member, index) =>
      member.ask("open", { ...common, namespace: isShared ? `s${spaces}` : `s${spaces}-${index}` }),
    ),
  );
  if (isShared && count > 1) await delay(SETTLED_MS);
  return members;
}

async function measured(setup, { count, isShared }) {
  const { alerts, size, rounds } = setup;
  const total = (isShared ? count : 1) * (20_000 + rounds * alerts);
  const members = await membersOf(setup, count, { isShared, total });
  const run = (given) =>
    Promise.all(members.map((member, at) => member.ask("ingest", { size, name: `m${at}`, ...given })));
  await run({ count: 20_000 });
  const samples = [];
  for (let round = 0; round < rounds; round += 1) {
    const results = await run({ count: alerts });
    const sum = (key) => results.reduce((all, result) => all + result[key], 0);
    const us = (sum("cpuMs") * 1_000) / (count * alerts);
    samples.push({ us, perSecond: (count * alerts * 1_000) / Math.max(...results.map(({ ms }) => ms)) });
    if (sum("refused") + sum("outside") > 0)
      console.log(
        `  refused ${sum("refused")}, not created ${sum("outside")}: ${JSON.stringify(results.map((r) => r.codes))}`,
      );
  }
  await endAll(members);
  return {
    us: median(samples.map(({ us }) => us)),
    perSecond: median(samples.map(({ perSecond }) => perSecond)),
    samples,
  };
}

const FIGURES = { cpu, "one-group": oneGroup, timers, killed, stopped, rolling };

async function cpu(setup) {
  const count = setup.processes;
  const own = await measured(setup, { count, isShared: false });
  const shared = await measured(setup, { count, isShared: true });
  const list = ({ samples }) => samples.map(({ us }) => us.toFixed(1)).join(" ");
  console.log(`${count} processes, ${setup.groups} groups: ${(shared.us / own.us).toFixed(2)} times the CPU per alert`);
  console.log(`  us per alert: own namespaces ${list(own)}, the same groups ${list(shared)}`);
  console.log(`  alerts a second: ${own.perSecond.toFixed(0)} and ${shared.perSecond.toFixed(0)}`);
}

async function oneGroup(setup) {
  const single = { ...setup, groups: 1 };
  const one = await measured(single, { count: 1, isShared: true });
  const two = await measured(single, { count: 2, isShared: true });
  const rate = ({ perSecond, us }) => `${perSecond.toFixed(0)} alerts a second, ${us.toFixed(0)} us of CPU each`;
  console.log(
    `one group: two processes do ${(two.perSecond / one.perSecond).toFixed(2)} of one (${rate(two)}, ${rate(one)})`,
  );
}

async function timers(setup) {
  for (const count of [1, 3]) {
    const members = await membersOf(setup, count, { isShared: true, total: 1_000, wait: `${WAIT_MS / 1_000}s` });
    const own = Math.ceil(TIMER_COUNT / count);
    await Promise.all(
      members.map((member, at) => member.ask("ingest", { count: own, size: own, atOnce: 1, name: `m${at}` })),
    );
    await delay(WAIT_MS + 5_000);
    const seen = await Promise.all(members.map((member) => member.ask("timedOut")));
    const madeAtMs = new Map(seen.flatMap(({ made }) => made));
    const lateMs = seen
      .flatMap(({ ended }) => ended)
      .map(([id, atMs]) => atMs - (madeAtMs.get(id) ?? Number.NaN) - WAIT_MS)
      .sort((a, b) => a - b);
    const at = (part) => lateMs[Math.min(Math.floor(lateMs.length * part), lateMs.length - 1)];
    console.log(
      `${count} engines: ${lateMs.length} timers late by ${at(0.5)} ms (median), ${at(0.99)} ms (99 %), ${at(1)} ms (all)`,
    );
    await endAll(members);
  }
}

async function killed(setup) {
  await withStreams(setup, "killed", async ([one]) => {
    one.child.kill("SIGKILL");
    await delay(10_000);
  });
}

async function stopped(setup) {
  await withStreams(setup, "stopped", async ([one]) => {
    const answered = await one.ask("stop");
    await delay(3_000);
    return [answered];
  });
}

/** Each is stopped and another one takes its place, while all others go on. */
async function rolling(setup) {
  await withStreams(setup, "restarted one by one", async (members, { begin }) => {
    const answered = [];
    for (const one of members) {
      answered.push(await one.ask("stop"));
      await one.end();
      members.splice(members.indexOf(one), 1, await begin());
      await delay(3_000);
    }
    return answered;
  });
}

/**
 * Four processes, each with a stream of single alerts; how long the slowest answers took before something happens, and
 * from then on.
 */
async function withStreams(setup, what, happen) {
  const members = await membersOf(setup, 4, { isShared: true, total: 100_000 });
  let streams = 0;
  const stream = (member) => {
    streams += 1;
    return member.ask("stream", { name: `stream-${streams}`, everyMs: 10 });
  };
  await Promise.all(members.map(stream));
  await delay(3_000);
  const happenedAtMs = Date.now();
  const begin = async () => {
    const [member] = await membersOf(setup, 1, { isShared: true, total: 100_000, isSame: true });
    await stream(member);
    return member;
  };
  const ended = (await happen(members, { begin })) ?? [];
  for (const member of members) if (member.isAlive && !member.isStopped) ended.push(await member.ask("endStream"));
  const answers = ended.flatMap((one) => one.answers);
  const tookMs = (isMeant) => answers.filter(([, sentAtMs]) => isMeant(sentAtMs)).map(([, from, to]) => to - from);
  const most = (numbers) =>
    `${Math.max(...numbers)} ms at most, ${median(numbers)} ms in the middle (${numbers.length} alerts)`;
  const refused = ended.reduce((sum, one) => sum + one.refused, 0);
  console.log(
    `one of four ${what}: ${refused} refused ${JSON.stringify(ended.flatMap(({ errors }) => errors).slice(0, 3))}`,
  );
  console.log(`  answers before ${most(tookMs((sentAtMs) => sentAtMs < happenedAtMs - 300))}`);
  console.log(`  and from then on ${most(tookMs((sentAtMs) => sentAtMs >= happenedAtMs - 300))}`);
  await endAll(members);
}

async function endAll(members) {
  await Promise.all(members.map((member) => (member.isAlive && !member.isStopped ? member.ask("stop") : undefined)));
  await Promise.all(members.map((member) => member.end()));
}

if (isMember) {
  const member = {};
  answerParent(
    Object.fromEntries(Object.entries(REQUESTS).map(([name, answer]) => [name, (asked) => answer(member, asked)])),
  );
} else await main();
