/** `npm run chaos -- --scenario "killed engines" --seed 7 --seconds 60`: real processes, and what goes wrong with them; `--list` names them. `--bulk timers --count 100000`, `--unwaited 500000`, `--failover "cluster" --fault stop`. */

import { parseArgs } from "node:util";
import { grouped } from "../../src/model/grouped.ts";
import { runBulk } from "./bulk.ts";
import { runChaos } from "./chaos.ts";
import { CHAOS_SCENARIOS, chaosScenarioNamed } from "./chaos-scenario.ts";
import type { DeploymentKind } from "./deployment.ts";
import { runFailover } from "./failover.ts";
import { runUnwaited } from "./unwaited.ts";

const { values } = parseArgs({
  options: {
    scenario: { type: "string", default: "short" },
    seed: { type: "string", default: "1" },
    contender: { type: "string", default: "becalm" },
    seconds: { type: "string" },
    engines: { type: "string" },
    rate: { type: "string" },
    bulk: { type: "string" },
    count: { type: "string", default: "20000" },
    unwaited: { type: "string" },
    failover: { type: "string" },
    fault: { type: "string", default: "kill" },
    verbose: { type: "boolean", default: false },
    list: { type: "boolean", default: false },
  },
});

if (values.list) {
  for (const { name, deployment, engines, seconds } of CHAOS_SCENARIOS)
    process.stdout.write(`${name}: ${engines} engines, ${deployment}, ${seconds} s\n`);
  process.exit(0);
}
if (values.bulk !== undefined) {
  const bulk = await runBulk(values.bulk === "timers" ? "timers" : "attempts", Number(values.count));
  process.stdout.write(`${JSON.stringify(bulk, null, 2)}\n`);
  process.exit(bulk.twice + bulk.never === 0 ? 0 : 1);
}
if (values.unwaited !== undefined) {
  process.stdout.write(`${JSON.stringify(await runUnwaited(Number(values.unwaited)), null, 2)}\n`);
  process.exit(0);
}
if (values.failover !== undefined) {
  const fault = values.fault === "stop" ? "stop" : "kill";
  process.stdout.write(`${JSON.stringify(await runFailover(values.failover as DeploymentKind, fault), null, 2)}\n`);
  process.exit(0);
}
const log = (line: string) => void process.stderr.write(`${new Date().toISOString().slice(11, 23)} ${line}\n`);
const scenario = chaosScenarioNamed(values.scenario);
const report = await runChaos({
  scenario: {
    ...scenario,
    seconds: Number(values.seconds ?? scenario.seconds),
    engines: Number(values.engines ?? scenario.engines),
    alertsPerSecond: Number(values.rate ?? scenario.alertsPerSecond),
  },
  seed: Number(values.seed),
  contender: values.contender === "textbook" ? "textbook" : "becalm",
  log,
  ...(values.verbose ? { logFault: log } : {}),
});
const { violations, ...told } = report;
process.stdout.write(`${JSON.stringify(told, null, 2)}\n`);
const SHOWN_COUNT = 20;
// Rare kinds first: behind hundreds that wait for a peer is the one that they wait for.
const kinds = grouped(violations, ({ checker, what }) => `${checker}: ${what.replace(/^[^:]*: /, "")}`);
for (const [kind, some] of [...kinds].sort(([, a], [, b]) => a.length - b.length).slice(0, SHOWN_COUNT))
  process.stdout.write(`${some.length} x ${kind} (${some[0]?.what.split(":")[0]})\n`);
process.stdout.write(`${violations.length} violations\n`);
process.exit(violations.length === 0 ? 0 : 1);
