/** How long a waiter waits after its peer's end: from the return of one handler to the start of the next one, in a chain of waiters. */
import { createEngine, redisStore } from "../../src/index.ts";
import { stormAlerts } from "./alerts.ts";
import { type Percentiles, percentiles } from "./stats.ts";

export async function wakeUp({ url, waiters }: { url: string; waiters: number }): Promise<Percentiles> {
  const delaysMs: number[] = [];
  let endedAtMs = Number.NaN;
  let running = 0;
  const { promise: allWait, resolve: start } = withResolver();
  const { promise: done, resolve: finish } = withResolver();
  const handler = async () => {
    delaysMs.push(performance.now() - endedAtMs);
    running += 1;
    if (running > waiters) finish();
    await allWait;
    endedAtMs = performance.now();
  };
  const converge = { function: "wait_when_proceed", by: ["alertname"], count: 1, window: "1h" } as const;
  const policy = { name: "restart", match: [], action: { handler: { name: "act", timeout: "10m" } }, converge };
  const store = redisStore(url, { namespace: "bench" });
  const engine = createEngine({ policies: [policy], store, handlers: { act: handler } });
  await engine.start();
  await engine.ingest([...stormAlerts({ count: waiters + 1, groups: 1 })]);
  start();
  await done;
  await engine.stop();
  await store.close();
  // The first one had no peer; the first twenty after it warm the process up.
  return percentiles(delaysMs.slice(21));
}

function withResolver(): { promise: Promise<void>; resolve: () => void } {
  let resolve = () => {};
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
