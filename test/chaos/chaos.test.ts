/** A short run of the fault harness with real processes; the long ones are run by command (docs/how-it-is-tested.md). */
import { describe, expect, test } from "vitest";
import { SCRIPT_FAULTS, SEEDED_FAULTS } from "../seeded-faults/seeded-faults.ts";
import { changedSources, type SeededFault } from "../simulation/simulation-build.ts";
import { type ChaosReport, runChaos } from "./chaos.ts";
import { type ChaosScenario, chaosScenarioNamed } from "./chaos-scenario.ts";
import { NAMED_POINTS, seamOf } from "./named-points.ts";

const SHORT = chaosScenarioNamed("short");
const SHOWN = [...SCRIPT_FAULTS, ...SEEDED_FAULTS.filter(({ name }) => name === "a retry's timer is not armed")];

function run(scenario: ChaosScenario, fault?: SeededFault): Promise<ChaosReport> {
  const options = { scenario, seed: 1, contender: "becalm", log: () => {} } as const;
  return runChaos(fault === undefined ? options : { ...options, fault });
}

describe("real processes that are killed, cut off and answered by halves", () => {
  test("lose no alert that was acknowledged, and break no promise", { timeout: 180_000 }, async () => {
    const { violations, outcome, faults } = await run(SHORT);
    expect(violations).toEqual([]);
    expect(outcome).toMatchObject({ isAllAcknowledged: true, acknowledged: outcome.sent, lost: 0, beyondLimit: 0 });
    expect(Object.keys(faults)).toHaveLength(SHORT.faults.length);
  });

  test("can be killed and stopped at every named point, each of which has one place in the sources", async () => {
    expect((await changedSources(NAMED_POINTS.map(seamOf))).size).toBeGreaterThan(4);
  });

  test.each(SHOWN.map((fault) => [fault.name, fault] as const))(
    "show that %s",
    { timeout: 180_000 },
    async (_, fault) => {
      const { violations } = await run(chaosScenarioNamed("race"), fault);
      const spoke = violations.map(({ checker }) => checker);
      expect(fault.foundBy.filter((checker) => spoke.includes(checker))).not.toEqual([]);
    },
  );
});
