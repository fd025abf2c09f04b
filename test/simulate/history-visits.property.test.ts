import fc from "fast-check";
import { expect, test } from "vitest";
import { actionInstanceMachine } from "../../machines/action-instance.machine.ts";
import { stepsOf } from "../../src/drawing/chart-marks.ts";
import { chartOf, drawChart } from "../../src/drawing/index.ts";
import { parsePolicies } from "../../src/formats/policy-file.ts";
import { decodeHistory } from "../../src/instance/audit.ts";
import type { Birth, History } from "../../src/instance/audit-types.ts";
import { Draft } from "../../src/instance/draft.ts";
import { plainOutcomes } from "../../src/instance/outcome.ts";
import { CONVERGENCE_FUNCTIONS } from "../../src/model/convergence-rule.ts";
import { compilePolicy } from "../../src/policy/policy-versions.ts";
import { wholePath } from "../../src/present/instance-json.ts";
import { historyVisits } from "../../src/simulate/history-visits.ts";
import { eventsFor } from "../support/machine-exploration.ts";

const ID = "00-000000000000000000000001";
const CHART = chartOf(actionInstanceMachine);
const EXTRAS = ["", "verify: { resolved_within: 5m }", "again: { after: 45m, limit: 2 }", "on_resolved: keep"];

const policies = CONVERGENCE_FUNCTIONS.flatMap((fn) =>
  EXTRAS.map((extra, index) => {
    const rule = `converge: { function: ${fn}, by: [c], count: 2, window: 30m }`;
    const text = `policies: [{ name: p${index}, match: ['a="b"'], action: { log: {} }, retry: { limit: 1, delay: 10s }, ${rule}${extra === "" ? "" : `, ${extra}`} }]`;
    const { policySet, mistakes } = parsePolicies(text, { file: "p.yaml" });
    expect(mistakes).toEqual([]);
    return compilePolicy(policySet.policies[0] as never);
  }),
);

/** A history of what the machine accepts, chosen at random in every state that it reaches. */
function historyOf(policyAt: number, choices: readonly number[]): History {
  const policy = policies[policyAt % policies.length] as (typeof policies)[number];
  const birth: Birth = {
    kind: "action",
    policy: policy.policy.name,
    policyVersion: policy.policy.version,
    group: `${policy.policy.name}:!sha1#0`,
    createdAtMs: 500,
    alert: null,
    notice: null,
  };
  const draft = new Draft({ group: null, partition: 0, stored: new Map(), turn: 0, outcomes: plainOutcomes });
  let instance = draft.create(birth, { id: ID, policy });
  for (const choice of choices) {
    const events = eventsFor(instance.snapshot);
    // Most events are refused in most states: the first that is taken, from the chosen one on.
    for (let tried = 0; tried < events.length; tried += 1) {
      const after = draft.apply(instance, events[(choice + tried) % events.length] as never, { epoch: 1 });
      if (after === null) continue;
      instance = after;
      break;
    }
  }
  return decodeHistory(ID, draft.changed()[0]?.lines ?? [], policy.policy);
}

const histories = fc
  .tuple(fc.nat(), fc.array(fc.nat({ max: 10_000 }), { minLength: 1, maxLength: 12 }))
  .map(([policyAt, choices]) => historyOf(policyAt, choices));

test("the way that is drawn of any history is the path that its audit lists, each step one transition of the chart", () => {
  fc.assert(
    fc.property(histories, (history) => {
      const visits = historyVisits(history);
      const states = visits.map(({ state }) => state.split(".")[0]);
      expect(states.filter((state, index) => state !== states[index - 1])).toEqual(wholePath(history));
      for (const { edges, label } of stepsOf(CHART, visits)) {
        expect(edges).toHaveLength(1);
        expect(label).not.toBeNull();
      }
    }),
    { numRuns: 300 },
  );
});

test("a grant is drawn with its way through Idle, and what a silence skipped names the silence alone", () => {
  const silenced = drawChart(actionInstanceMachine, {
    format: "ascii",
    path: [{ state: "Idle" }, { state: "Skipped", event: "start", guard: "silenced" }],
  });
  expect(silenced).toContain("Idle ──start──▶ Skipped\n");
  expect(silenced).toMatch(/━ start \[silenced\] ━+ 1 ━━▶ Skipped/);
  expect(silenced).not.toMatch(/cancel ━/);
  const path = [
    { state: "Waiting" },
    { state: "Idle", event: "approval.granted", guard: "in_time" },
    { state: "Processing.running", event: "start", guard: "approved" },
  ];
  const granted = drawChart(actionInstanceMachine, { format: "ascii", path });
  expect(granted).toContain("Waiting ──approval.granted──▶ Idle ──start──▶ Processing.running\n");
  const mermaid = drawChart(actionInstanceMachine, { format: "mermaid", path });
  expect(mermaid).toContain("(2) start [approved]");
  const svg = drawChart(actionInstanceMachine, { format: "svg", path });
  expect(svg).toMatch(/<text class="chosen"[^>]*>approval.granted/);
});
