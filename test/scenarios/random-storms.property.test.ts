/** Random storms, random outcomes, random people: what must hold of every live engine, whatever happens. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { PolicyDocument } from "../../src/formats/policy-file.ts";
import { CONVERGENCE_FUNCTIONS, type ConvergenceFunction } from "../../src/model/convergence-rule.ts";
import { BecalmError } from "../../src/model/errors.ts";
import { acceptedResults } from "../support/accepted-results.ts";
import { faultsIn } from "../support/audited-namespace.ts";
import {
  type Attempt,
  alertOf,
  EngineWorld,
  everything,
  MEMORY,
  MINUTE_MS,
  policyOf,
  type RunningEngine,
  unsound,
} from "../support/engine-world.ts";

const WINDOW_MS = 5 * MINUTE_MS;
const HOSTS = ["db-1", "db-2"] as const;
/** Under these at most one runs at a time, once a group is open; with `count` 1 that is always. */
const MUTEX: readonly ConvergenceFunction[] = [
  "skip_when_success",
  "approve_when_failed",
  "skip_when_proceed",
  "wait_when_proceed",
];

type Step =
  | { readonly do: "fire"; readonly names: readonly number[]; readonly host: number }
  | { readonly do: "resolve"; readonly name: number; readonly host: number }
  | { readonly do: "end attempt"; readonly which: number; readonly how: "done" | "failed" }
  | { readonly do: "answer"; readonly which: number; readonly how: "approval.granted" | "approval.denied" | "cancel" }
  | { readonly do: "wait"; readonly ms: number }
  | { readonly do: "crash" };

const name = fc.nat(11);
const host = fc.nat(HOSTS.length - 1);
const which = fc.nat(9);
const stepArbitrary: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("fire" as const),
      names: fc.array(name, { minLength: 1, maxLength: 6 }),
      host,
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("resolve" as const), name, host }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("end attempt" as const),
      which,
      how: fc.constantFrom("done" as const, "failed" as const),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("answer" as const),
      which,
      how: fc.constantFrom("approval.granted" as const, "approval.denied" as const, "cancel" as const),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("wait" as const),
      ms: fc.constantFrom(1, 10_000, 60_000, WINDOW_MS, WINDOW_MS + 1),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("crash" as const) }) },
);

class Storm {
  readonly world = new EngineWorld(MEMORY);
  readonly #policies: PolicyDocument[];
  #engine: RunningEngine | null = null;

  constructor(policy: PolicyDocument) {
    this.#policies = [policy];
  }

  async engine(): Promise<RunningEngine> {
    this.#engine ??= await this.world.engine(this.#policies);
    return this.#engine;
  }

  async take(step: Step): Promise<void> {
    const engine = await this.engine();
    if (step.do === "fire") {
      await engine.ingest(step.names.map((which_) => alertOf(`a${which_}`, { host: HOSTS[step.host] as string })));
    } else if (step.do === "resolve") {
      await engine.ingest([alertOf(`a${step.name}`, { host: HOSTS[step.host] as string, status: "resolved" })]);
    } else if (step.do === "end attempt") {
      const attempt = this.underway[step.which % Math.max(this.underway.length, 1)];
      if (step.how === "done") attempt?.succeed();
      else attempt?.fail();
    } else if (step.do === "answer") {
      await this.#answer(engine, step);
    } else if (step.do === "wait") {
      await this.world.elapse(step.ms);
    } else {
      await this.#crash(engine);
    }
    await this.world.elapse(0);
  }

  /** Attempts under way of the process that lives. */
  get underway(): Attempt[] {
    return this.world.underway.filter((attempt) => !this.#orphans.has(attempt));
  }

  readonly #orphans = new Set<Attempt>();

  async #crash(engine: RunningEngine): Promise<void> {
    engine.kill();
    for (const attempt of this.world.underway) this.#orphans.add(attempt);
    await this.world.storage.expireLeases();
    this.#engine = null;
    await this.engine();
  }

  async #answer(engine: RunningEngine, step: Step & { do: "answer" }): Promise<void> {
    const all = await everything(engine);
    const target = all[step.which % Math.max(all.length, 1)];
    if (target === undefined) return;
    await engine
      .get(target.id)
      .send({ type: step.how, by: "ada", why: "random" })
      .catch((error: unknown) => {
        if (!(error instanceof BecalmError) || error.code !== "BECALM_EVENT_REFUSED") throw error;
      });
  }
}

/** How many of a host's instances are in an attempt according to what is stored, a granted one not counted. */
async function proceeding(
  engine: RunningEngine,
  hostName: string,
  hostOf: (id: string) => string | undefined,
): Promise<number> {
  const all = await everything(engine);
  return all.filter(
    ({ id, state, reason, kind }) =>
      kind === "action" && state === "Processing" && reason !== "approved" && hostOf(id) === hostName,
  ).length;
}

describe("whatever happens to a live engine", () => {
  test.each(CONVERGENCE_FUNCTIONS)("%s keeps its limits, and every trail verifies and replays", async (fn) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(stepArbitrary, { minLength: 5, maxLength: 25 }),
        fc.constantFrom(1, 2, 3),
        fc.nat(1),
        async (steps, count, retries) => {
          const rule = { function: fn, count: MUTEX.includes(fn) ? 1 : count };
          const storm = new Storm(policyOf(rule, { retry: { limit: retries, delay: "10s" } }));
          const hostOf = (id: string) =>
            storm.world.attempts.find(({ instance }) => instance === id)?.alert?.labels["host"];
          for (const step of steps) {
            await storm.take(step);
            expect(await faultsIn(await storm.world.outside())).toEqual([]);
            const engine = await storm.engine();
            if (!MUTEX.includes(fn)) continue;
            for (const hostName of HOSTS) expect(await proceeding(engine, hostName, hostOf)).toBeLessThanOrEqual(1);
          }
          const engine = await storm.engine();
          expect(await unsound(storm.world, engine)).toEqual([]);
          await checkAttempts(storm.world, engine);
          if (fn === "skip_when_exceed" || fn === "collect") expectBounded(storm.world, count);
          storm.world.attempts.length = 0;
          engine.kill();
        },
      ),
      { numRuns: 25 },
    );
  });
});

/** Each attempt was delivered under one key, attempts of an instance rise by one, and each result was accepted at most once. */
async function checkAttempts(world: EngineWorld, engine: RunningEngine): Promise<void> {
  const keys = new Map<string, string>();
  for (const { instance, attempt, idempotencyKey } of world.attempts) {
    const delivered = `${instance} ${attempt}`;
    expect(keys.get(delivered) ?? idempotencyKey).toBe(idempotencyKey);
    keys.set(delivered, idempotencyKey);
  }
  for (const { id, attempt, kind } of await everything(engine)) {
    const { entries } = await engine.get(id).history();
    const accepted = acceptedResults(entries);
    expect(accepted).toEqual([...new Set(accepted)].sort((a, b) => a - b));
    if (kind === "action") expect(accepted.length).toBeLessThanOrEqual(attempt);
  }
}

/** No window that begins with a first attempt holds more first attempts than two groups may have: the end of one and the next. */
function expectBounded(world: EngineWorld, count: number): void {
  for (const hostName of HOSTS) {
    // A crash delivers an attempt again: its first delivery counts.
    const firsts = world.attempts.filter(({ alert, attempt }) => attempt === 1 && alert?.labels["host"] === hostName);
    const startedAtMs = [...new Map(firsts.toReversed().map((one) => [one.instance, one.startedAtMs])).values()].sort(
      (a, b) => a - b,
    );
    for (const fromMs of startedAtMs) {
      const inside = startedAtMs.filter((atMs) => atMs >= fromMs && atMs <= fromMs + WINDOW_MS).length;
      expect(inside).toBeLessThanOrEqual(2 * count);
    }
  }
}
