/**
 * All ten functions, several policies, silences, pauses, verify, `again`, retries, resolves and people at once: after every step of a
 * random storm the engines, one or two of them, say of each instance what a slow model says that was written apart.
 */
import fc from "fast-check";
import { describe, test } from "vitest";
import { CONVERGENCE_FUNCTIONS, type ConvergenceFunction } from "../../src/model/convergence-rule.ts";
import { memoryStore } from "../../src/stores/memory/memory-store.ts";
import { redisStore } from "../../src/stores/redis/redis-store.ts";
import type { Store } from "../../src/stores/store.ts";
import { lifeMoves, lifeSettings } from "../support/life-storms.ts";
import { playLives } from "../support/play-lives.ts";
import { useRedis } from "../support/redis-server.ts";

const RUNS = Number(process.env["BECALM_LIVES_RUNS"] ?? 8);
const REDIS_RUNS = Number(process.env["BECALM_LIVES_REDIS_RUNS"] ?? 4);

const server = useRedis();

describe("whole lives", () => {
  test.each(CONVERGENCE_FUNCTIONS)(
    "%s, with everything else that a policy may say, does what a model that was written apart says",
    { timeout: 60_000 + RUNS * 2_000 },
    async (fn: ConvergenceFunction) => {
      const seed = process.env["BECALM_LIVES_SEED"];
      await fc.assert(
        fc.asyncProperty(lifeSettings(fn), lifeMoves, fc.constantFrom(1, 2), async (setting, storm, engines) => {
          const store = memoryStore();
          await playLives({ setting, storm, engines, connect: () => store });
        }),
        { numRuns: RUNS, ...(seed === undefined ? {} : { seed: Number(seed) }) },
      );
    },
  );

  test("two engines on a real Redis do what the model says", async () => {
    let played = 0;
    const setting = fc.constantFrom(...CONVERGENCE_FUNCTIONS).chain(lifeSettings);
    await fc.assert(
      fc.asyncProperty(setting, lifeMoves, async (given, storm) => {
        played += 1;
        const namespace = `lives-${process.pid}-${played}`;
        const stores: Store[] = [];
        const connect = () => {
          const store = redisStore(server.url, { namespace });
          stores.push(store);
          return store;
        };
        try {
          await playLives({ setting: given, storm, engines: 2, connect });
        } finally {
          for (const store of stores) await store.close();
        }
      }),
      { numRuns: REDIS_RUNS },
    );
  });
});
