/**
 * `becalm check --model`: what the policies of a file can never do, what can wait for ever, and what a single alert can
 * trigger twice.
 */

import type { Policy, PolicySet } from "../policy/policy.ts";
import { contradiction, sharedActions, ungoverned } from "../policy/policy-reach.ts";
import { count } from "../present/text-table.ts";
import { type Explored, explorePolicy, type Finding, MODEL_STATES_MAX } from "../simulate/model-check.ts";
import { Progress } from "./progress.ts";
import type { Terminal } from "./terminal.ts";

type ModelFinding = {
  readonly kind: Finding["kind"] | "never_matches" | "rule_never_applies" | "shared_action";
  readonly what: string;
  /** The shortest way to it. */
  readonly steps: readonly string[];
};

type Modelled = {
  readonly policy: string;
  /** null: it cannot match, or only observes, so there is nothing to explore. */
  readonly explored: Explored | null;
  readonly findings: readonly ModelFinding[];
};

const WHAT: Readonly<Record<Finding["kind"], string>> = {
  never_runs: "its action can never run",
  waits_for_ever: "an alert can wait for ever: what a brake holds has no deadline, somebody has to resume",
  runs_twice:
    "a single alert can run its action twice although no attempt failed: it is tried again when the alert does not resolve in time",
};

/** Gives the number of findings. */
export async function checkModel(
  terminal: Terminal,
  { policies, limits }: PolicySet,
  { file, json }: { file: string; json: boolean },
): Promise<number> {
  const progress = new Progress(terminal);
  const shared = sharedActions(policies);
  let findings = 0;
  for (const policy of policies) {
    const onStates = (states: number) =>
      progress.update(
        () =>
          `${policy.name}: ${states.toLocaleString("en")} of at most ${MODEL_STATES_MAX.toLocaleString("en")} states`,
      );
    const modelled = modelOf(policy, { hasBrake: limits !== undefined, shared, onStates });
    progress.end();
    findings += modelled.findings.length;
    if (json) await terminal.json({ file, model: modelLine(modelled) });
    else for (const line of modelText(modelled, terminal.outColors)) await terminal.out(line);
  }
  return findings;
}

type ModelOptions = {
  readonly hasBrake: boolean;
  readonly shared: ReturnType<typeof sharedActions>;
  readonly onStates: (states: number) => void;
};

function modelOf(policy: Policy, { hasBrake, shared, onStates }: ModelOptions): Modelled {
  const findings: ModelFinding[] = [];
  const contrary = contradiction(policy.match);
  if (contrary !== null)
    findings.push({
      kind: "never_matches",
      what: `no alert can match: its matchers of ${contrary} contradict each other`,
      steps: [],
    });
  const excluded = ungoverned(policy);
  if (excluded !== null && contrary === null) {
    const what = `its rule governs no alert that it matches: \`where\` allows no such ${excluded}, so all of them run`;
    findings.push({ kind: "rule_never_applies", what, steps: [] });
  }
  for (const [, other] of shared.filter(([one]) => one === policy))
    findings.push({
      kind: "shared_action",
      what: `an alert that ${other.name} matches too triggers the same action twice`,
      steps: [],
    });
  if (contrary !== null || policy.mode === "observe") return { policy: policy.name, explored: null, findings };
  // A rule that governs nobody has no group to explore.
  const governed = excluded === null ? policy : { ...policy, converge: null };
  const explored = explorePolicy(governed, { hasBrake, onStates });
  for (const { kind, steps } of explored.findings) findings.push({ kind, what: WHAT[kind], steps });
  return { policy: policy.name, explored, findings };
}

function modelLine({ policy, explored, findings }: Modelled): object {
  const { alerts = 0, states = 0, isExhausted = true, reduced = [] } = explored ?? {};
  return { policy, alerts, states, exhausted: isExhausted, reduced, findings };
}

function modelText(
  { policy, explored, findings }: Modelled,
  { green, yellow, dim, bold }: Terminal["outColors"],
): string[] {
  const mark = findings.length === 0 ? green("✓") : yellow("!");
  return [
    `  ${mark} ${bold(policy)} ${dim(exploredText(explored))}`,
    ...findings.flatMap(({ what, steps }) => [
      `    ${yellow(what)}`,
      ...(steps.length === 0 ? [] : [`      ${steps.join(", then ")}`]),
    ]),
  ];
}

function exploredText(explored: Explored | null): string {
  if (explored === null) return "nothing to explore";
  const { alerts, states, isExhausted, reduced } = explored;
  const all = `${states.toLocaleString("en")} states of ${count(alerts, "alert", "alerts")}`;
  const bound = isExhausted
    ? "all explored"
    : "not exhausted: there are more, what is found is true, what is not found may be there";
  return [all, bound, ...reduced.map((text) => `with ${text}`)].join(", ");
}
