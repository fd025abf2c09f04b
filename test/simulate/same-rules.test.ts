/** Rules compared with themselves, on every recorded case. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { alertsOfFiles, simulate } from "../../src/cli/simulated-alerts.ts";
import { loadPolicySet } from "../../src/formats/policy-file.ts";
import { type Change, Comparison } from "../../src/simulate/diff.ts";

const CASES = new URL("../data/cases/alerts", import.meta.url).pathname;
const fixtures = readdirSync(CASES).flatMap((name): [string, string, string][] => {
  const alerts = ["alerts.jsonl", "alerts.json"]
    .map((file) => join(CASES, name, file))
    .find((path) => existsSync(path));
  const policies = join(CASES, name, "policies.yaml");
  return alerts === undefined || !existsSync(policies) ? [] : [[name, alerts, policies]];
});
const DEMO = new URL("../../demo/", import.meta.url).pathname;

describe("a file compared with itself changes nothing", () => {
  test.each([...fixtures, ["the demo's storm", join(DEMO, "storm.jsonl"), join(DEMO, "policies.yaml")] as const])(
    "in %s",
    async (_, alerts, file) => {
      let set: ReturnType<typeof loadPolicySet>;
      try {
        set = loadPolicySet(readFileSync(file, "utf8"), { file });
      } catch {
        // A case of a policy file that is refused.
        return;
      }
      const comparison = new Comparison();
      const changes: Change[] = [];
      const report = { onRejected: () => {}, onTaken: () => {} };
      const common = { policies: set, alerts: alertsOfFiles([alerts], false), report };
      await simulate({ ...common, onRow: (row) => comparison.addWas(row) }).catch(refusedFile);
      await simulate({
        ...common,
        onRow: (row) => {
          const change = comparison.compare(row);
          if (change !== null) changes.push(change);
        },
      }).catch(refusedFile);
      expect([...changes, ...comparison.gone()]).toEqual([]);
    },
  );
});

/** A case of a file that nothing can be taken of. */
function refusedFile(error: unknown): void {
  if ((error as { code?: string }).code !== "BECALM_ARGUMENT_INVALID") throw error;
}
