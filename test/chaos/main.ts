/**
 * `npm run chaos -- --scenario "killed engines" --seed 7 --seconds 60`: real processes, and what goes wrong with them.
 * `--help` says what there is.
 */
import { parseArgs } from "node:util";
import { messageOf } from "../../src/model/errors.ts";
import { grouped } from "../../src/model/grouped.ts";
import { BULK_KINDS, type BulkKind, runBulk } from "./bulk.ts";
import { runChaos } from "./chaos.ts";
import { CHAOS_SCENARIOS, type ChaosScenario } from "./chaos-scenario.ts";
import { DEPLOYMENT_KINDS, type DeploymentKind } from "./deployment.ts";
import { FAILOVER_FAULTS, type FailoverFault, runFailover } from "./failover.ts";
import { runUnwaited } from "./unwaited.ts";

const CONTENDERS = ["becalm", "textbook"] as const;
const SHOWN_COUNT = 20;

const OPTIONS = {
  scenario: { type: "string", default: "short" },
  seed: { type: "string", default: "1" },
  contender: { type: "string", default: "becalm" },
  seconds: { type: "string" },
  engines: { type: "string" },
  rate: { type: "string" },
  verbose: { type: "boolean", default: false },
  bulk: { type: "string" },
  count: { type: "string", default: "20000" },
  unwaited: { type: "string" },
  failover: { type: "string" },
  fault: { type: "string", default: "kill" },
  list: { type: "boolean", default: false },
  help: { type: "boolean", default: false },
} as const;

const SCENARIOS = CHAOS_SCENARIOS.map(
  ({ name, deployment, engines, seconds }) => `${name}: ${engines} engines, ${deployment}, ${seconds} s`,
);
/** Failovers need somebody who can take over. */
const FAILING_OVER = DEPLOYMENT_KINDS.filter((kind) => /cluster|sentinel/.test(kind));

const HELP = `npm run chaos -- [options]

A scenario (exit 1 if a promise is broken):
  --scenario NAME        which of those below; default ${OPTIONS.scenario.default}
  --seed N               what happens when, and to whom; default ${OPTIONS.seed.default}
  --seconds N            how long; default: the scenario's
  --engines N            processes that take alerts; default: the scenario's
  --rate N               alerts a second; default: the scenario's
  --contender NAME       ${CONTENDERS.join(" or ")}, which does the same without Becalm; default ${OPTIONS.contender.default}
  --verbose              each fault as it happens

Or, instead of a scenario:
  --bulk KIND            very many ${BULK_KINDS.join(" or ")} at once (exit 1 if one comes twice or never)
    --count N            how many; default ${OPTIONS.count.default}
  --unwaited N           N alerts of a program that waits for no answer
  --failover DEPLOYMENT  how long alerts are refused then: ${FAILING_OVER.join(", ")}
    --fault KIND         ${FAILOVER_FAULTS.join(" or ")} the master; default ${OPTIONS.fault.default}
  --list                 only the scenarios
  --help

Scenarios:
${SCENARIOS.map((line) => `  ${line}`).join("\n")}
`;

const values = given();
process.exit(await exitCode());

function given() {
  try {
    return parseArgs({ options: OPTIONS }).values;
  } catch (error) {
    return wrong(messageOf(error));
  }
}

/** Runs what was asked for. */
async function exitCode(): Promise<number> {
  if (values.help) return print(HELP);
  if (values.list) return print(`${SCENARIOS.join("\n")}\n`);
  if (values.bulk !== undefined) {
    const kind: BulkKind = oneOf("--bulk", BULK_KINDS, values.bulk);
    const bulk = await runBulk(kind, countOf("--count", values.count));
    printJson(bulk);
    return bulk.twice + bulk.never === 0 ? 0 : 1;
  }
  if (values.unwaited !== undefined) return printJson(await runUnwaited(countOf("--unwaited", values.unwaited)));
  if (values.failover !== undefined) {
    const fault: FailoverFault = oneOf("--fault", FAILOVER_FAULTS, values.fault);
    const kind: DeploymentKind = oneOf("--failover", FAILING_OVER, values.failover);
    return printJson(await runFailover(kind, fault));
  }
  return runScenario();
}

async function runScenario(): Promise<number> {
  const log = (line: string) => void process.stderr.write(`${new Date().toISOString().slice(11, 23)} ${line}\n`);
  const names = CHAOS_SCENARIOS.map(({ name }) => name);
  const name = oneOf("--scenario", names, values.scenario);
  const scenario = CHAOS_SCENARIOS.find((one) => one.name === name) as ChaosScenario;
  const report = await runChaos({
    scenario: {
      ...scenario,
      seconds: countOf("--seconds", values.seconds ?? String(scenario.seconds)),
      engines: countOf("--engines", values.engines ?? String(scenario.engines)),
      alertsPerSecond: countOf("--rate", values.rate ?? String(scenario.alertsPerSecond)),
    },
    seed: countOf("--seed", values.seed),
    contender: oneOf("--contender", CONTENDERS, values.contender),
    log,
    ...(values.verbose ? { logFault: log } : {}),
  });
  const { violations, ...rest } = report;
  printJson(rest);
  // Rare kinds first: behind hundreds that wait for a peer is the one that they wait for.
  const kinds = grouped(violations, ({ checker, what }) => `${checker}: ${what.replace(/^[^:]*: /, "")}`);
  for (const [kind, some] of [...kinds].sort(([, a], [, b]) => a.length - b.length).slice(0, SHOWN_COUNT))
    print(`${some.length} x ${kind} (${some[0]?.what.split(":")[0]})\n`);
  print(`${violations.length} violations\n`);
  return violations.length === 0 ? 0 : 1;
}

function print(text: string): number {
  process.stdout.write(text);
  return 0;
}

function printJson(report: object): number {
  return print(`${JSON.stringify(report, null, 2)}\n`);
}

function oneOf<Name extends string>(option: string, names: readonly Name[], value: string): Name {
  return (
    names.find((name) => name === value) ?? wrong(`${option} "${value}" is unknown. There are: ${names.join(", ")}.`)
  );
}

function countOf(option: string, value: string): number {
  const count = Number(value);
  return Number.isSafeInteger(count) && count >= 0 ? count : wrong(`${option} takes a whole number, not "${value}".`);
}

function wrong(what: string): never {
  process.stderr.write(`${what}\n\`npm run chaos -- --help\` says what there is.\n`);
  process.exit(2);
}
