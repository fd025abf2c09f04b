import { afterEach, describe, expect, test } from "vitest";
import { POSTPONED_KEY } from "../../src/runtime/workers/postponed-effects.ts";
import { Links } from "../../src/server/links/links.ts";
import { memoryStore } from "../../src/stores/memory/memory-store.ts";
import type { Store } from "../../src/stores/store.ts";
import { Signer } from "../../src/system/signer.ts";
import { send, sendJson } from "../support/http-client.ts";
import { type ServerWorld, serverWorld } from "../support/server-world.ts";
import { startWebhookTarget, type WebhookTarget } from "../support/webhook-target.ts";

const EXTERNAL = "http://becalm.example";
const links = new Links({ externalUrl: EXTERNAL, signer: new Signer(["a secret of the tests"]), namespace: "default" });
const cleanups: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function targetOf(status = 202): Promise<WebhookTarget> {
  const target = await startWebhookTarget(() => status);
  cleanups.push(() => target.stop());
  return target;
}

/** A store that outlives its servers. */
function shared(store: Store): Store {
  return new Proxy(store, {
    get: (of, name) => {
      if (name === "close") return async () => {};
      const value: unknown = Reflect.get(of, name, of);
      return typeof value === "function" ? value.bind(of) : value;
    },
  });
}

async function serve(url: string, { timeout = "1h", store = memoryStore(), concurrency = 16 } = {}) {
  const policies = `policies:
  - name: long
    match: ['alertname="Long"']
    action: { webhook: { url: "${url}", callback: true, timeout: ${timeout} } }
  - { name: short, match: ['alertname="Short"'], action: { log: {} } }
`;
  const world = await serverWorld({ policies, links, store, engine: { concurrency } });
  const close = async () => {
    const index = cleanups.indexOf(close);
    if (index !== -1) cleanups.splice(index, 1);
    await world.close();
  };
  cleanups.push(close);
  return { world, close };
}

async function begin(world: ServerWorld, host: string, alertname = "Long"): Promise<string> {
  const { instances } = await world.engine.ingest([{ status: "firing", labels: { alertname, host } }]);
  return instances[0]?.id as string;
}

function callbackOf(target: WebhookTarget, at = 0): { readonly url: string; readonly until: string } {
  const body = target.deliveries[at]?.body as unknown as { callback: { url: string; until: string } };
  return body.callback;
}

const callbackIn = (target: WebhookTarget, at = 0) => callbackOf(target, at).url;

/** Resolves when the store knows that the attempt's result is waited for. */
async function postponed(store: Store): Promise<void> {
  const [effect] = await store.listEffects({ limit: 1 });
  const { id, partition } = effect as NonNullable<typeof effect>;
  const request = { partition, groupId: null, instanceIds: [], episodeKeys: [POSTPONED_KEY] };
  await expect.poll(async () => (await store.load(request)).episodes.get(POSTPONED_KEY)).toContain(id);
}

const local = (world: ServerWorld, url: string) => url.replace(EXTERNAL, world.url);
const stateOf = async (world: ServerWorld, id: string) => (await world.engine.get(id).snapshot()).state;
const delivered = (target: WebhookTarget, count = 1) =>
  expect.poll(() => target.deliveries.length).toBeGreaterThanOrEqual(count);

describe("an attempt whose target answers 202", () => {
  test("goes on until its callback says how it ended, and that is recorded once", async () => {
    const target = await targetOf();
    const { world } = await serve(target.url);
    const id = await begin(world, "a");
    await delivered(target);
    expect(await stateOf(world, id)).toBe("Processing");
    const url = local(world, callbackIn(target));
    const done = await sendJson(url, { ok: true, result: { build: 7 } });
    expect([done.status, await stateOf(world, id)]).toEqual([200, "Success"]);
    const again = await sendJson(url, { ok: false, error: "no" });
    expect([again.status, await stateOf(world, id)]).toEqual([409, "Success"]);
    const { entries } = await world.engine.get(id).history();
    expect(entries.at(-1)?.event).toMatchObject({ type: "effect.done", result: { build: 7 } });
  });

  test("fails when the callback says so, in its words or by the address alone", async () => {
    const target = await targetOf();
    const { world } = await serve(target.url);
    const [first, second] = [await begin(world, "a"), await begin(world, "b")];
    await delivered(target, 2);
    const of = (id: string) => target.deliveries.findIndex(({ body }) => body.instance === id);
    await sendJson(local(world, callbackIn(target, of(first))), { ok: false, error: "out of disk" });
    const other = local(world, callbackIn(target, of(second)));
    for (const unclear of ["yes", "1", "TRUE", ""]) {
      expect((await send(`${other}?ok=${unclear}`, { method: "POST" })).status).toBe(400);
      expect(await stateOf(world, second)).toBe("Processing");
    }
    await send(`${other}?ok=false`, { method: "POST" });
    expect([await stateOf(world, first), await stateOf(world, second)]).toEqual(["Failed", "Failed"]);
    const { entries } = await world.engine.get(first).history();
    expect(JSON.stringify(entries.at(-1)?.event)).toContain("out of disk");
  });

  test("does not keep others from running, however many wait", async () => {
    const target = await targetOf();
    const { world } = await serve(target.url, { concurrency: 2 });
    for (const host of ["a", "b", "c", "d"]) await begin(world, host);
    await delivered(target, 4);
    const id = await begin(world, "e", "Short");
    await expect.poll(async () => await stateOf(world, id)).toBe("Success");
  });

  test("fails at its timeout, and a later callback changes nothing", async () => {
    const target = await targetOf();
    const { world } = await serve(target.url, { timeout: "1s" });
    const startedMs = Date.now();
    const id = await begin(world, "a");
    await expect.poll(async () => await stateOf(world, id)).toBe("Failed");
    expect(Date.now() - startedMs).toBeGreaterThan(900);
    expect((await sendJson(local(world, callbackIn(target)), { ok: true })).status).toBe(410);
  });

  test("ends at once when its instance is cancelled", async () => {
    const target = await targetOf();
    const { world } = await serve(target.url);
    const id = await begin(world, "a");
    await delivered(target);
    await world.engine.get(id).send({ type: "cancel", by: "ann", why: "enough" });
    await expect.poll(async () => await stateOf(world, id)).toBe("Failed");
    expect((await sendJson(local(world, callbackIn(target)), { ok: true })).status).toBe(409);
  });

  test("waits on after the server was started again: it is not sent twice, and its callback counts", async () => {
    const target = await targetOf();
    const store = shared(memoryStore());
    const first = await serve(target.url, { store });
    const id = await begin(first.world, "a");
    await delivered(target);
    await postponed(store);
    await first.close();
    const second = await serve(target.url, { store });
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect([target.deliveries.length, await stateOf(second.world, id)]).toEqual([1, "Processing"]);
    expect((await sendJson(local(second.world, callbackIn(target)), { ok: true })).status).toBe(200);
    expect(await stateOf(second.world, id)).toBe("Success");
  });

  test("keeps its timeout over a restart", async () => {
    // A machine that is too slow to come up again before it is over, and to fail it then within a second, is given longer.
    for (let seconds = 3; !(await keepsTimeout(seconds)); seconds *= 2)
      expect(seconds, "it was late every time").toBeLessThan(12);
  });

  test("may be reported to another server of the namespace", async () => {
    const target = await targetOf();
    const store = shared(memoryStore());
    const one = await serve(target.url, { store });
    const other = await serve(target.url, { store });
    const id = await begin(one.world, "a");
    await delivered(target);
    expect((await sendJson(local(other.world, callbackIn(target)), { ok: true })).status).toBe(200);
    expect(await stateOf(one.world, id)).toBe("Success");
  });

  test("is over at once where the target answers 200 instead", async () => {
    const target = await targetOf(200);
    const { world } = await serve(target.url);
    const id = await begin(world, "a");
    await expect.poll(async () => await stateOf(world, id)).toBe("Success");
  });

  test("takes no callback that was forged, cut, or made for something else", async () => {
    const target = await targetOf();
    const { world } = await serve(target.url);
    const id = await begin(world, "a");
    await delivered(target);
    const url = local(world, callbackIn(target));
    const approval = links.approval({ instance: id, group: null, dueAtMs: Date.now() + 9e5, joinMs: 0 }).approve;
    const forged = [url.slice(0, -2), `${url}x`, local(world, approval).replace("answers", "callbacks")];
    for (const one of forged) expect((await sendJson(one, { ok: true })).status).toBe(403);
    expect((await sendJson(url, { done: true })).status).toBe(400);
    expect(await stateOf(world, id)).toBe("Processing");
  });
});

/** False: the first process was still there when the timeout was over, or the second took more than a second longer. */
async function keepsTimeout(seconds: number): Promise<boolean> {
  const target = await targetOf();
  const store = shared(memoryStore());
  const timeout = `${seconds}s`;
  const first = await serve(target.url, { store, timeout });
  const beganAtMs = Date.now();
  const id = await begin(first.world, "a");
  await delivered(target);
  const untilMs = Date.parse(callbackOf(target).until);
  expect(untilMs).toBeGreaterThanOrEqual(beganAtMs + seconds * 1_000);
  await postponed(store);
  await first.close();
  const closedAtMs = Date.now();
  const second = await serve(target.url, { store, timeout });
  const upAtMs = Date.now();
  await expect.poll(async () => await stateOf(second.world, id)).toBe("Failed");
  const failedAtMs = (await second.world.engine.get(id).history()).entries.at(-1)?.atMs as number;
  expect(failedAtMs).toBeGreaterThanOrEqual(untilMs);
  expect(target.deliveries).toHaveLength(1);
  return closedAtMs < untilMs && failedAtMs < Math.max(untilMs, upAtMs) + 1_000;
}
