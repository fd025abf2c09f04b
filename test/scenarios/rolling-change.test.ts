/**
 * A program on the version before and one on this version work on one namespace at once, as while a fleet is changed one by one; then either
 * goes on alone. The version before is a build of it, in the folder that BECALM_EARLIER_BUILD names (a git worktree, `npm ci && npm run build`).
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { Redis } from "ioredis";
import { describe, expect, onTestFinished, test } from "vitest";
import { createEngine, type Engine } from "../../src/engine.ts";
import type { PolicyDocument } from "../../src/formats/policy-document.ts";
import { verifyChain } from "../../src/instance/audit.ts";
import { replay } from "../../src/simulate/replay.ts";
import { redisStore } from "../../src/stores/redis/redis-store.ts";
import { virtualClock } from "../../src/testing.ts";
import { useRedis } from "../support/redis-server.ts";

const BUILD = process.env["BECALM_EARLIER_BUILD"] ?? "";
const hasBuild = BUILD !== "" && existsSync(join(BUILD, "dist/src/index.js"));
if (!hasBuild) console.info("skipped: BECALM_EARLIER_BUILD names no folder with a build of the version before");

const PROGRAM = fileURLToPath(new URL("../../scripts/version-1-program.mjs", import.meta.url));
const POLICIES = fileURLToPath(new URL("../data/version-1/policies.json", import.meta.url));
const policies = JSON.parse(readFileSync(POLICIES, "utf8")) as readonly PolicyDocument[];
const functions = policies.map(({ match }) => /"(.*)"/.exec(match[0] as string)?.[1] as string);
const AT_REST = ["Success", "Skipped", "Failed"];
const ada = { by: "ada", why: "looked at it" };
const server = useRedis();

type Answer = {
  readonly instances?: readonly { id: string; state: string; outcome?: string }[];
  readonly rejected?: readonly unknown[];
  readonly error?: string;
};

/** The program on the version before. */
class Earlier {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  private constructor(namespace: string) {
    const args = [PROGRAM, BUILD, server.url, namespace, POLICIES];
    this.#child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] });
    this.#lines = createInterface({ input: this.#child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]();
    onTestFinished(() => this.kill());
  }

  static async start(namespace: string): Promise<Earlier> {
    const earlier = new Earlier(namespace);
    await earlier.#lines.next();
    return earlier;
  }

  async ask(command: object): Promise<Answer> {
    this.#child.stdin?.write(`${JSON.stringify(command)}\n`);
    return JSON.parse((await this.#lines.next()).value as string) as Answer;
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill("SIGKILL");
    await once(this.#child, "exit");
  }
}

/** An alert of each function for each of the hosts. */
function alerts(from: number, count: number) {
  return Array.from({ length: count }, (_, index) => from + index).flatMap((host) =>
    functions.map((fn) => ({
      labels: { alertname: "Down", fn, host: `h${host}` },
      startsAt: "2026-11-23T05:59:00Z",
      status: "firing" as const,
    })),
  );
}

async function world(namespace: string) {
  const earlier = await Earlier.start(namespace);
  const store = redisStore(server.url, { namespace });
  const clock = virtualClock("2026-11-23T06:00:00Z");
  const engine = createEngine({ policies, store, clock, handlers: { act: () => {} }, drainMs: 0 });
  onTestFinished(async () => {
    await engine.stop();
    await store.close();
  });
  await engine.start();
  const acknowledged = new Set<string>();
  /** The same alerts to both at once, and what was refused once more. */
  const storm = async (toEarlier: ReturnType<typeof alerts>, toLater: ReturnType<typeof alerts>) => {
    const [one, two] = await Promise.all([earlier.ask({ ingest: toEarlier }), engine.ingest(toLater)]);
    expect([one.error, one.rejected, two.rejected]).toEqual([undefined, [], []]);
    for (const { id } of [...(one.instances ?? []), ...two.instances]) acknowledged.add(id);
  };
  const advance = async (ms: number) => {
    const asked = earlier.ask({ advance: ms });
    await clock.advance(ms);
    await asked;
  };
  return { earlier, engine, store, clock, acknowledged, storm, advance };
}

type World = Awaited<ReturnType<typeof world>>;

/** Both take alerts, end attempts, fire timers and answer what the other has held. */
async function together({ earlier, engine, storm, advance }: World): Promise<void> {
  await storm(alerts(0, 2), alerts(1, 2));
  await earlier.ask({ finish: "failed", host: "h0" });
  await storm(alerts(3, 3), alerts(4, 3));
  await advance(30_000);
  const held = async () => (await engine.list({ state: "Waiting", limit: 1_000 })).instances.map(({ id }) => id);
  for (const [index, id] of (await held()).entries()) {
    if (index % 2 === 0) expect(await earlier.ask({ approve: id })).toEqual({});
    else await engine.approve({ id }, ada);
  }
  await earlier.ask({ finish: "done" });
  await storm(alerts(7, 2), alerts(7, 2));
  await advance(30_000);
}

/** The claims of a process that was killed run out by the server's clock, which cannot be moved. */
async function expireClaims(namespace: string): Promise<void> {
  const client = new Redis(server.url);
  for (const key of await client.keys(`becalm:{*}:${namespace}:claims`))
    for (const member of await client.zrange(key, "0", "-1")) await client.zadd(key, "XX", "1", member);
  client.disconnect();
}

async function faultsOf({ engine, store, acknowledged }: World): Promise<string[]> {
  const { instances, quarantined, next } = await engine.list({ limit: 1_000 });
  expect([quarantined, next]).toEqual([[], null]);
  const known = new Set(instances.map(({ id }) => id));
  const faults = [...acknowledged].filter((id) => !known.has(id)).map((id) => `${id}: lost`);
  for (const { id } of instances) {
    const stored = await store.load({ partition: Number(id.slice(0, 2)), groupId: null, instanceIds: [id] });
    const value = stored.instances.get(id)?.value ?? "";
    const fault = verifyChain((await store.history(id)) ?? [], value.slice(0, value.indexOf(" ")));
    if (fault !== null) faults.push(`${id}: line ${fault.line} ${fault.what}`);
    const { divergence } = replay(await engine.get(id).history());
    if (divergence !== null) faults.push(`${id}: version ${divergence.entry.version} diverges`);
  }
  return faults;
}

async function restOf(engine: Engine) {
  const { instances } = await engine.list({ limit: 1_000 });
  return {
    busy: instances
      .filter(({ state }) => !AT_REST.includes(state))
      .map(({ id, state, reason }) => `${id} ${state} ${reason}`),
    actions: instances.filter(({ kind }) => kind === "action").length,
  };
}

describe.skipIf(!hasBuild)("a rolling change", () => {
  test("forwards: both work on one namespace, then the version before is killed, and nothing is quarantined or lost", async () => {
    const both = await world("forwards");
    await together(both);
    await both.earlier.kill();
    await expireClaims("forwards");
    const { engine, clock } = both;
    for (let round = 0; round < 5; round += 1) {
      await clock.advance("10m");
      for (const { id } of (await engine.list({ state: "Waiting", limit: 1_000 })).instances)
        await engine.approve({ id }, ada);
    }
    await clock.advance("2h");
    expect(await restOf(engine)).toEqual({ busy: [], actions: 9 * functions.length });
    expect(await faultsOf(both)).toEqual([]);
  });

  test("backwards: both work on one namespace, then this version stops, and the one before ends all that it began", async () => {
    const both = await world("backwards");
    await together(both);
    await both.engine.stop();
    const { earlier } = both;
    for (let round = 0; round < 8; round += 1) {
      await earlier.ask({ finish: "done" });
      await earlier.ask({ advance: 600_000 });
      const { instances = [] } = await earlier.ask({ list: true });
      for (const { id, state } of instances) if (state === "Waiting") await earlier.ask({ approve: id });
    }
    await earlier.ask({ stop: true });
    const again = createEngine({
      policies,
      store: both.store,
      clock: virtualClock("2026-11-23T08:00:00Z"),
      handlers: { act: () => {} },
    });
    onTestFinished(() => again.stop());
    expect(await restOf(again)).toEqual({ busy: [], actions: 9 * functions.length });
    expect(await faultsOf({ ...both, engine: again })).toEqual([]);
  });
});
