// A program on an earlier build of Becalm, driven over its standard input: a line of JSON in, a line of JSON out.
//   node scripts/version-1-program.mjs FOLDER_OF_THE_BUILD REDIS_URL NAMESPACE POLICIES_JSON
// { ingest: [alerts] } gives what became of them, { advance: ms } moves the program's clock, { finish: "done" |
// "failed", host? } ends attempts, { approve | deny: id, by, why } answers, { list: true } gives instances, { stop:
// true } ends it well. SIGKILL ends it as a crash does.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { pathToFileURL } from "node:url";

const [build, url, namespace, policiesFile] = process.argv.slice(2);
const { createEngine, redisStore } = await import(pathToFileURL(join(build, "dist/src/index.js")).href);

const START_MS = Date.parse("2026-11-23T06:00:00Z");
let nowMs = START_MS;
const scheduled = new Set();
const clock = {
  now: () => nowMs,
  schedule: (delayMs, fn) => {
    const one = { dueAtMs: nowMs + Math.max(delayMs, 0), fn };
    scheduled.add(one);
    return () => scheduled.delete(one);
  },
};
const fireDue = () => {
  for (const one of [...scheduled].sort((a, b) => a.dueAtMs - b.dueAtMs)) {
    if (one.dueAtMs > nowMs || !scheduled.delete(one)) continue;
    one.fn();
  }
};

const attempts = [];
const act = ({ alert, attempt, instance }) =>
  new Promise((resolve, reject) => {
    const of = { host: alert?.labels.host, instance, attempt };
    attempts.push({ ...of, done: () => resolve("done"), failed: () => reject(new Error("it did not work")) });
  });
const store = redisStore(url, { namespace });
const policies = JSON.parse(readFileSync(policiesFile, "utf8"));
const engine = createEngine({ policies, store, clock, handlers: { act }, partitions: 16, drainMs: 0 });
await engine.start();

/** Everything that is due now, and what follows from it. */
async function settle() {
  for (let round = 0; round < 10; round += 1) {
    fireDue();
    await delay(8);
  }
}

async function answer(command) {
  if (command.ingest !== undefined) {
    const { instances, rejected } = await engine.ingest(command.ingest);
    return { instances, rejected: rejected.map(({ alert, error }) => ({ alert, code: error.code })) };
  }
  if (command.advance !== undefined) nowMs += command.advance;
  if (command.finish !== undefined) {
    const ended = attempts.filter(({ host }) => command.host === undefined || host === command.host);
    for (const one of ended) one[command.finish]();
    for (const one of ended) attempts.splice(attempts.indexOf(one), 1);
  }
  const { approve, deny, by = "ada", why = "looked at it" } = command;
  if (approve !== undefined) await engine.approve({ id: approve }, { by, why });
  if (deny !== undefined) await engine.deny({ id: deny }, { by, why });
  await settle();
  if (command.list !== undefined) return { instances: (await engine.list({ limit: 1_000 })).instances };
  if (command.stop !== undefined) {
    const stopping = engine.stop();
    await settle();
    await stopping;
    await store.close();
  }
  return {};
}

console.log("ready");
for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  const answered = await answer(command).catch((error) => ({ error: String(error?.message ?? error) }));
  console.log(JSON.stringify(answered));
  if (command.stop !== undefined) break;
}
process.exit(0);
