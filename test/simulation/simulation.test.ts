/** Ten thousand schedules of live engines on one store: what must hold in each of them. */
import { expect, test } from "vitest";
import { failureText, type SimulationReport } from "./report.ts";
import { buildProgram, runProgram } from "./simulation-build.ts";

const SCHEDULE_COUNT = 10_000;
/** Each in a process of its own. */
const PROCESS_COUNT = 2;

test("whatever the schedule, whoever dies, and whatever the network loses: no promise is broken", {
  timeout: 900_000,
}, async () => {
  const program = await buildProgram("test/simulation/simulation-program.ts");
  const count = SCHEDULE_COUNT / PROCESS_COUNT;
  const runs = Array.from({ length: PROCESS_COUNT }, (_, index) =>
    runProgram<SimulationReport>(program, ["--seed", String(1 + index * count), "--count", String(count)]),
  );
  const reports = await Promise.all(runs);
  expect(reports.flatMap(({ failures }) => failures.map(failureText))).toEqual([]);
  const sum = (of: (report: SimulationReport) => number) => reports.reduce((all, report) => all + of(report), 0);
  // Too little, and they would show nothing.
  expect(sum(({ schedules }) => schedules)).toBe(SCHEDULE_COUNT);
  expect(sum(({ instances }) => instances)).toBeGreaterThan(6 * SCHEDULE_COUNT);
  expect(sum(({ attempts }) => attempts)).toBeGreaterThan(5 * SCHEDULE_COUNT);
  expect(sum(({ timers }) => timers)).toBeGreaterThan(SCHEDULE_COUNT);
});

test("a seed repeats its schedule step by step", async () => {
  const program = await buildProgram("test/simulation/simulation-program.ts");
  const run = () => runProgram<SimulationReport>(program, ["--seed", "77", "--count", "20"]);
  const { ms: _, ...first } = await run();
  expect(await run()).toMatchObject(first);
});
