/**
 * The simulation as a program of its own, because it takes Node's clocks and timers over: `--seed N --count N [--scenario NAME] [--stop-at-first] [--verbose]`.
 * It prints one JSON line: what was run, and each seed that failed with what was found. `--verbose` prints each step of the schedule on stderr.
 */
import { parseArgs } from "node:util";
import { violationsOf } from "../checkers/all-checkers.ts";
import { storyOf } from "../checkers/story.ts";
import type { FailedSchedule, SimulationReport } from "./report.ts";
import { scenarioNamed, scenarioOf } from "./scenario.ts";
import { runSchedule } from "./simulation.ts";

const FAILURES_MAX = 20;
const now = Date.now;

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    count: { type: "string", default: "100" },
    scenario: { type: "string" },
    "stop-at-first": { type: "boolean", default: false },
    verbose: { type: "boolean", default: false },
  },
});

const failures: FailedSchedule[] = [];
const sum = { schedules: 0, steps: 0, instances: 0, attempts: 0, timers: 0 };
const startedAtMs = now();
const first = Number(values.seed);
for (let seed = first; seed < first + Number(values.count); seed += 1) {
  const scenario = values.scenario === undefined ? scenarioOf(seed) : scenarioNamed(values.scenario);
  const { recording, steps } = await runSchedule(scenario, seed);
  const violations = violationsOf(recording);
  if (values.verbose) for (const line of storyOf(recording)) process.stderr.write(`${line}\n`);
  sum.schedules += 1;
  sum.steps += steps;
  sum.instances += recording.instances.length;
  sum.attempts += recording.deliveries.length;
  for (const { lines } of recording.instances)
    sum.timers += lines.filter((line) => line.includes('"timer.elapsed"')).length;
  if (violations.length === 0) continue;
  if (failures.length < FAILURES_MAX)
    failures.push({ seed, scenario: scenario.name, violations: violations.slice(0, 5) });
  if (values["stop-at-first"]) break;
}
const report: SimulationReport = { ...sum, ms: now() - startedAtMs, failures };
process.stdout.write(`${JSON.stringify(report)}\n`);
