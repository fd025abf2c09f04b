/**
 * All ten functions, several policies, silences, pauses, verify, `again`, retries, resolves and people at once: after every step of a
 * random storm the engines, one or two of them, say of each instance what a slow model says that was written apart.
 */
import fc from "fast-check";
import { describe, test } from "vitest";
import { CONVERGENCE_FUNCTIONS, type ConvergenceFunction } from "../../src/model/convergence-rule.ts";
import { memoryStore } from "../../src/stores/memory/memory-store.ts";
import { lifeMoves, lifeSettings } from "../support/life-storms.ts";
import { playLives } from "../support/play-lives.ts";

const RUNS = Number(process.env["BECALM_LIVES_RUNS"] ?? 8);

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
});
