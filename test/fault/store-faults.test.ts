/**
 * One storm, run again and again: each time another call of the store fails, loses its reply, or is the last that the process makes.
 * Whatever fails, the storm must end as it does when nothing fails.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { describe, expect, test } from "vitest";
import type { AlertInput } from "../../src/formats/alert-input.ts";
import { BecalmError } from "../../src/model/errors.ts";
import { acceptedResults } from "../support/accepted-results.ts";
import {
  alertOf,
  EngineWorld,
  everything,
  MEMORY,
  MINUTE_MS,
  POLL_MS,
  policyOf,
  type RunningEngine,
  redisKind,
  SECOND_MS,
  type StoreKind,
  unsound,
} from "../support/engine-world.ts";
import { useRedis } from "../support/redis-server.ts";
import type { StoreCall, StoreFate } from "../support/watched-store.ts";

const server = useRedis();

const POLICIES = [
  policyOf(
    { function: "approve_when_failed" },
    { name: "ask", match: ['kind="ask"'], retry: { limit: 1, delay: "10s" } },
  ),
  policyOf({ function: "wait_when_proceed" }, { name: "mutex", match: ['kind="mutex"'] }),
  policyOf({ function: "collect" }, { name: "collect", match: ['kind="collect"'] }),
];

const STORM: readonly AlertInput[] = ["ask", "mutex", "collect"].flatMap((kind) =>
  ["a", "b"].map((name) => alertOf(name, { labels: { kind } })),
);

/** The one instance that somebody asks about fails until it is granted. */
const outcomeOf = ({ policy, attempt }: { policy: string; attempt: number }) =>
  policy === "ask" && attempt <= 2 ? "failed" : "done";

type Fault = { readonly fate: StoreFate; readonly methods: readonly StoreCall["method"][] };

/** Holds while somebody only looks how far the storm is: what that reads is no part of it, and no fault strikes it. */
const looking = new AsyncLocalStorage<true>();

/** Runs the storm with the n-th call of `methods` meeting its fate. Tells how it ended, and whether that call came at all. */
async function runStorm(kind: StoreKind, n: number, { fate, methods }: Fault) {
  const world = new EngineWorld(kind);
  world.outcome = outcomeOf;
  let calls = 0;
  let hasStruck = false;
  let isOver = false;
  const fateOf = ({ method }: StoreCall): StoreFate => {
    if (hasStruck || isOver || looking.getStore() === true || !methods.includes(method)) return "pass";
    calls += 1;
    hasStruck = calls === n;
    return hasStruck ? fate : "pass";
  };
  const sender = new Sender(world, fateOf);
  await sender.untilTaken(STORM);
  await sender.untilAsked();
  await sender.answer();
  await sender.untilAtRest();
  await world.elapse(5 * MINUTE_MS);
  await world.elapse(POLL_MS);
  await sender.untilAtRest();
  isOver = true;
  const engine = await sender.engine();
  // Which of a group comes first may differ when a request is sent again, so ids are left out.
  const ended = (await everything(engine)).map(
    ({ policy, kind: which, state, reason }) => `${policy} ${which} ${state} ${reason}`,
  );
  return {
    world,
    hasStruck,
    ended: ended.sort(),
    faults: await unsound(world, engine),
    accepted: await accepted(engine),
  };
}

/** How often each attempt's result was accepted: the greatest number. */
async function accepted(engine: RunningEngine): Promise<number> {
  let most = 0;
  for (const { id } of await everything(engine)) {
    const { entries } = await engine.get(id).history();
    const results = acceptedResults(entries);
    for (const attempt of results) most = Math.max(most, results.filter((other) => other === attempt).length);
  }
  return most;
}

/** What stands outside: it sends again what was not acknowledged, asks again what was not answered, and starts an engine where one died. */
class Sender {
  readonly #world: EngineWorld;
  readonly #fateOf: (call: StoreCall) => StoreFate;
  #engine: RunningEngine | null = null;

  constructor(world: EngineWorld, fateOf: (call: StoreCall) => StoreFate) {
    this.#world = world;
    this.#fateOf = fateOf;
  }

  async engine(): Promise<RunningEngine> {
    for (;;) {
      if (this.#engine !== null && !this.#engine.isDead()) return this.#engine;
      if (this.#engine !== null) await this.#world.storage.expireLeases();
      this.#engine = await this.#world.engine(POLICIES, { fateOf: this.#fateOf, isStarted: false });
      let isStarted: boolean | null = null;
      while (isStarted === null && !this.#engine.isDead()) {
        isStarted = await this.#patiently((engine) => engine.start().then(() => true));
      }
    }
  }

  async untilTaken(storm: readonly AlertInput[]): Promise<void> {
    for (let alerts = [...storm]; alerts.length > 0; ) {
      const result = await this.#patiently((engine) => engine.ingest(alerts));
      if (result !== null) alerts = result.rejected.map(({ alert }) => alerts[alert] as AlertInput);
    }
  }

  /** Until the failing instance waits for a person and nobody else is under way. */
  async untilAsked(): Promise<void> {
    await this.#until("somebody is asked", (states) => states.includes("Waiting") && !states.includes("Processing"));
  }

  async answer(): Promise<void> {
    const waiting = (await this.#list())?.find(({ state }) => state === "Waiting");
    for (let isAnswered = false; !isAnswered; ) {
      const answered = await this.#patiently((engine) =>
        engine.approve({ id: waiting?.id ?? "" }, { by: "ada", why: "try" }),
      );
      isAnswered = answered !== null;
    }
  }

  async untilAtRest(): Promise<void> {
    await this.#until("all are at rest", (states) => states.every((state) => ["Success", "Skipped"].includes(state)));
  }

  async #until(what: string, isSo: (states: string[]) => boolean): Promise<void> {
    await this.#world.until(
      what,
      async () => {
        const listed = await this.#list();
        if (listed !== null && isSo(listed.map(({ state }) => state))) return true;
        // A claim whose owner lost the reply runs out in time.
        await this.#world.storage.expireLeases();
        return false;
      },
      SECOND_MS,
    );
  }

  #list() {
    return this.#patiently((engine) => looking.run(true, () => everything(engine)));
  }

  /** null: it was not answered, for the store failed or the engine died; ask again. Who is refused has been heard before. */
  async #patiently<T>(ask: (engine: RunningEngine) => Promise<T>): Promise<T | null> {
    const engine = this.#engine === null || this.#engine.isDead() ? await this.engine() : this.#engine;
    let answer: { value: T | null } | null = null;
    ask(engine)
      .then((value) => {
        answer = { value };
      })
      .catch((error: unknown) => {
        if (!(error instanceof BecalmError)) throw error;
        answer = { value: error.code === "BECALM_EVENT_REFUSED" ? ([] as T) : null };
      });
    await this.#world.until("an answer", () => answer !== null || engine.isDead());
    return (answer as { value: T | null } | null)?.value ?? null;
  }
}

const FATES = ["fail", "lose the reply", "die before", "die after"] as const;
const WRITES = ["commit"] as const;
const CALLS = ["open", "load", "members", "commit", "history", "savePolicies", "policies", "acquire"] as const;
/** Called as long as the engine runs: the first ones stand for all. */
const POLLS = ["timers", "claimEffects"] as const;

describe.each([
  { store: MEMORY, methods: CALLS, countMax: Number.POSITIVE_INFINITY },
  { store: MEMORY, methods: POLLS, countMax: 12 },
  { store: redisKind(server), methods: WRITES, countMax: Number.POSITIVE_INFINITY },
])("on $store.name, for every call of $methods", ({ store, methods, countMax }) => {
  test.each(FATES)(
    "%s: nothing that was acknowledged is lost, every result is accepted once, every trail verifies and replays",
    async (fate) => {
      const clean = await runStorm(store, 0, { fate, methods });
      expect(clean.ended.filter((line) => line.includes(" action "))).toHaveLength(STORM.length);
      for (let n = 1; n <= countMax; n += 1) {
        const run = await runStorm(store, n, { fate, methods });
        if (!run.hasStruck) break;
        expect({ n, ...run, world: null }).toEqual({ ...clean, n, hasStruck: true, world: null });
        expect(run.accepted).toBe(1);
      }
    },
  );
});
