/**
 * How long it takes to list the instances that wait for a person, among many that are at rest: `node scripts/run-ts.mjs
 * scripts/list-among-many.ts --store redis://127.0.0.1:6379 --count 1000000 --waiting 20`. Fills a namespace of its
 * own, `list-among-many`, in the way of commits, and leaves it there; a second run measures only.
 */
import { parseArgs } from "node:util";
import { createEngine, redisStore } from "../src/index.ts";
import type { Store } from "../src/stores/store.ts";

const NAMESPACE = "list-among-many";
const COMMIT_INSTANCE_COUNT = 250;
const AT_ONCE = 8;
const PARTITIONS = 16;

const { values } = parseArgs({
  options: {
    store: { type: "string", default: "redis://127.0.0.1:6379" },
    count: { type: "string", default: "1000000" },
    waiting: { type: "string", default: "20" },
    rounds: { type: "string", default: "9" },
  },
});

const policies = [
  { name: "quick", match: ['kind="quick"'], action: { log: {} } },
  {
    name: "asks",
    match: ['kind="asks"'],
    action: { log: {} },
    converge: { function: "defense", by: ["kind"], count: 1, window: "1h" },
    approval: { timeout: "2h" },
  },
] as const;

const store = redisStore(values.store, { namespace: NAMESPACE });
const engine = createEngine({ policies: policies as never, store, partitions: PARTITIONS });
await engine.start();
const known = await engine.list({ limit: 1 });
if (known.instances.length === 0) await fill(store);
await engine.stop();

const reading = createEngine({ policies: policies as never, store });
const took: number[] = [];
let found = 0;
for (let round = 0; round < Number(values.rounds); round += 1) {
  const beganAtMs = performance.now();
  found = (await reading.list({ state: "Waiting", limit: 100 })).instances.length;
  took.push(performance.now() - beganAtMs);
}
took.sort((a, b) => a - b);
const [fastest, median, slowest] = [took[0], took[took.length >> 1], took.at(-1)].map((ms) => ms?.toFixed(1));
console.log(
  `${found} waiting among ${values.count}: median ${median} ms (${fastest} to ${slowest}), ${took.length} lists`,
);
await reading.stop();
await store.close();

/** Copies of one instance at rest, made by the engine, beside the real waiting ones. */
async function fill(into: Store): Promise<void> {
  const alertOf = (kind: string, name: string) => ({
    labels: { alertname: "Load", kind, name },
    startsAt: new Date().toISOString(),
  });
  await engine.ingest([alertOf("quick", "one")]);
  const [{ id }] = (await engine.list({ limit: 1 })).instances as unknown as readonly [{ id: string }];
  await engine.get(id).waitFor((snapshot) => snapshot.state === "Success");
  const { instances } = await into.load({ partition: Number(id.slice(0, 2)), groupId: null, instanceIds: [id] });
  const [head = "", ...body] = (instances.get(id)?.value ?? "").split(" ");
  const historyLines = (await into.history(id)) ?? [];
  const total = Number(values.count);
  const commits = Array.from({ length: Math.ceil(total / COMMIT_INSTANCE_COUNT) }, (_, number) => number);
  for (let from = 0; from < commits.length; from += AT_ONCE) {
    await Promise.all(commits.slice(from, from + AT_ONCE).map((number) => commitCopies(number)));
    if (from % 400 === 0) console.error(`${from * COMMIT_INSTANCE_COUNT} of ${total}`);
  }
  await engine.ingest(Array.from({ length: Number(values.waiting) + 1 }, (_, index) => alertOf("asks", `n${index}`)));

  async function commitCopies(number: number): Promise<void> {
    const partition = number % PARTITIONS;
    await into.commit({
      commitId: `load-${number}`,
      partition,
      owner: "load",
      afterCommitId: null,
      group: null,
      instances: Array.from({ length: COMMIT_INSTANCE_COUNT }, (_, index) => ({
        id: `${String(partition).padStart(2, "0")}-${(number * COMMIT_INSTANCE_COUNT + index).toString(16).padStart(24, "0")}`,
        expectedVersion: 0,
        expectedHead: null,
        head,
        body: body.join(" "),
        createdAtMs: Date.now(),
        historyLines,
      })),
      episodes: [],
      effects: [],
      effectClaimMs: null,
      settledEffectIds: [],
      timersArmed: [],
      timersCancelled: [],
      membersAdded: [],
      membersRemoved: [],
    });
  }
}
