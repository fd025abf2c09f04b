// Makes test/data/version-1: what a program on an earlier build of Becalm left in Redis when it was killed at some
// moment of a storm.
//   node scripts/version-1-data.mjs FOLDER_OF_THE_BUILD REDIS_URL
// The server is flushed. Needs a build of the version before there were episodes, for example of a git worktree.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Redis } from "ioredis";

const [build, url] = process.argv.slice(2);
const FOLDER = new URL("../test/data/version-1/", import.meta.url);
const POLICIES = fileURLToPath(new URL("policies.json", FOLDER));
const PROGRAM = fileURLToPath(new URL("version-1-program.mjs", import.meta.url));
const redis = new Redis(url);

async function program(namespace) {
  const child = spawn(process.execPath, [PROGRAM, build, url, namespace, POLICIES], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  await lines.next();
  const send = (command) => child.stdin.write(`${JSON.stringify(command)}\n`);
  const ask = async (command) => {
    send(command);
    return JSON.parse((await lines.next()).value);
  };
  const kill = async () => {
    child.kill("SIGKILL");
    await once(child, "exit");
  };
  return { ask, send, kill };
}

const FUNCTIONS = [
  "skip_when_success",
  "approve_when_failed",
  "skip_when_proceed",
  "wait_when_proceed",
  "skip_when_exceed",
  "defense",
  "collect",
  "collect_alarm",
  "trigger",
  "relevance",
  "none",
];
const alert = (fn, host, status = "firing") => ({
  labels: { alertname: "Down", fn, host },
  startsAt: "2026-11-23T05:59:00Z",
  status,
});
/** One request: an alert of each function for each of the hosts. */
const storm = (hosts) => hosts.flatMap((host) => FUNCTIONS.map((fn) => alert(fn, host)));
const names = (from, count) => Array.from({ length: count }, (_, index) => `h${from + index}`);

async function dumped(namespace) {
  const keys = (await redis.keys(`becalm:*${namespace}:*`)).sort();
  const rows = [];
  for (const key of keys) {
    const type = await redis.type(key);
    if (/:(c|l|d):/.test(key.slice(key.indexOf(`${namespace}:`) + namespace.length))) continue;
    const value =
      type === "string"
        ? await redis.get(key)
        : type === "hash"
          ? await redis.hgetall(key)
          : await redis.zrange(key, 0, -1, "WITHSCORES");
    rows.push({ key: key.replace(namespace, "NAMESPACE"), type, value });
  }
  return rows;
}

/** Acknowledged alerts, and the keys. `killAfterMs`: null: it had come to rest. */
async function scene(name, killAfterMs) {
  const { ask, send, kill } = await program(name);
  const acknowledged = [];
  const take = async (alerts) => acknowledged.push(...(await ask({ ingest: alerts })).instances.map(({ id }) => id));
  await take(storm(names(0, 2)));
  await ask({ finish: "failed", host: "h0" });
  await take(storm(names(2, 2)));
  await ask({ finish: "done", host: "h1" });
  await ask({ advance: 30_000 });
  await take(storm(names(4, 2)));
  if (killAfterMs === null) await take(storm(names(6, 2)));
  else {
    send({ ingest: storm(names(6, 12)) });
    send({ finish: "done" });
    send({ ingest: storm(names(18, 4)) });
    await delay(killAfterMs);
  }
  await kill();
  return { name, acknowledged, keys: await dumped(name) };
}

await redis.flushall();
const scenes = [await scene("at-rest", null)];
for (const killAfterMs of [3, 20, 45]) scenes.push(await scene(`killed-after-${killAfterMs}-ms`, killAfterMs));
for (const { name, acknowledged, keys } of scenes)
  writeFileSync(new URL(`${name}.json`, FOLDER), `${JSON.stringify({ acknowledged, keys })}\n`);
console.log(
  scenes
    .map(({ name, acknowledged, keys }) => `${name}: ${acknowledged.length} acknowledged, ${keys.length} keys`)
    .join("\n"),
);
redis.disconnect();
