/** Rules with another count on a captured storm: exactly the instances go another way that a slow model, written apart, expects. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { alertsOfFiles, simulate } from "../../src/cli/simulated-alerts.ts";
import { loadPolicySet } from "../../src/formats/policy-file.ts";
import { type Change, Comparison, type OutcomeRow } from "../../src/simulate/diff.ts";
import { activitiesOf, labelsText, type SlowRule, slowOutcomes } from "../support/slow-storm-model.ts";

const STORM = new URL("../data/prometheus-storm/webhook-v4.jsonl", import.meta.url).pathname;
const activities = activitiesOf(readFileSync(STORM, "utf8"));
const MINUTE_MS = 60_000;

const rules = (["skip_when_exceed", "collect", "trigger"] as const).flatMap((name) =>
  [
    { alertname: "HighErrorRate", by: "cluster", windowMs: 5 * MINUTE_MS },
    { alertname: "InstanceDown", by: "rack", windowMs: 2 * MINUTE_MS },
  ].map((rest): SlowRule => ({ policy: `${name}-${rest.by}`, function: name, count: 1, ...rest })),
);

const fileOf = (count: number) =>
  JSON.stringify({
    policies: rules.map(({ policy, alertname, function: name, by, windowMs }) => ({
      name: policy,
      match: [`alertname="${alertname}"`],
      action: { log: {} },
      converge: { function: name, by: [by], count, window: `${windowMs / MINUTE_MS}m` },
    })),
  });

const nameOf = (labels: Readonly<Record<string, string>>, startsAt: string) =>
  `${labelsText(labels)} ${new Date(startsAt).toISOString()}`;

async function diffOf(was: number, now: number): Promise<Change[]> {
  const comparison = new Comparison();
  const changes: Change[] = [];
  const run = (count: number, onRow: (row: OutcomeRow) => void) =>
    simulate({
      policies: loadPolicySet(fileOf(count), { file: `count-${count}` }),
      alerts: alertsOfFiles([STORM], false),
      report: { onRejected: () => {}, onTaken: () => {} },
      onRow,
    });
  await run(was, (row) => comparison.addWas(row));
  await run(now, (row) => changes.push(...[comparison.compare(row)].filter((change) => change !== null)));
  return [...changes, ...comparison.gone()];
}

function expectedOf(was: number, now: number): string[] {
  return rules.flatMap((rule) => {
    const [before, after] = [was, now].map((count) =>
      slowOutcomes(activities, { ...rule, count }, ({ labels, sentStart }) => nameOf(labels, sentStart)),
    );
    return [...(after ?? [])].flatMap(([name, outcome]) => {
      const old = before?.get(name);
      const isSame = old?.state === outcome.state && old.reason === outcome.reason;
      return isSame
        ? []
        : [`${rule.policy} ${name}: ${old?.state} ${old?.reason} -> ${outcome.state} ${outcome.reason}`];
    });
  });
}

describe("diff of the captured storm with another count", () => {
  test.each([
    [1, 2],
    [1, 3],
    [2, 5],
    [3, 1],
    [1, 40],
  ])("from %i to %i changes exactly the instances that the slow model expects, and as it expects", async (was, now) => {
    const changes = (await diffOf(was, now)).map(
      ({ policy, alert, was: before, now: after }) =>
        `${policy} ${nameOf(alert?.labels ?? {}, alert?.startsAt ?? "")}: ${before?.state} ${before?.reason} -> ${after?.state} ${after?.reason}`,
    );
    const expected = expectedOf(was, now);
    expect(expected.length).toBeGreaterThan(10);
    expect(changes.sort()).toEqual(expected.sort());
  });
});
