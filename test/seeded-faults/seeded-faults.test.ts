/** Each seeded fault is caught by the simulation; whatever catches none of them shows nothing. */
import { describe, expect, test } from "vitest";
import type { SimulationReport } from "../simulation/report.ts";
import { buildProgram, faultySource, runProgram } from "../simulation/simulation-build.ts";
import { SCRIPT_FAULTS, SEEDED_FAULTS } from "./seeded-faults.ts";

/** Schedules that are tried; most faults show in the first few. */
const SCHEDULES_MAX = 600;

describe("the simulation", () => {
  test.each(SEEDED_FAULTS.map((fault) => [fault.name, fault] as const))(
    "catches that %s",
    { timeout: 300_000 },
    async (_, fault) => {
      const program = await buildProgram("test/simulation/simulation-program.ts", fault);
      const args = ["--seed", "1", "--count", String(SCHEDULES_MAX), "--scenario", fault.scenario, "--stop-at-first"];
      const { failures } = await runProgram<SimulationReport>(program, args);
      const spoke = failures.flatMap(({ violations }) => violations.map(({ checker }) => checker));
      expect(fault.foundBy.filter((checker) => spoke.includes(checker))).not.toEqual([]);
    },
  );
});

describe("the seeded faults", () => {
  test("are at least sixteen, and nothing of them is in the product", async () => {
    expect(SEEDED_FAULTS.length).toBeGreaterThanOrEqual(16);
    for (const fault of [...SEEDED_FAULTS, ...SCRIPT_FAULTS])
      expect((await faultySource(fault)).source).toContain(fault.replace);
  });
});
