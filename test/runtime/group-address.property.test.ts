import fc from "fast-check";
import { expect, test } from "vitest";
import { dimensionKey, ruleGoverns } from "../../src/convergence/dimension-key.ts";
import type { ConvergenceRule } from "../../src/model/convergence-rule.ts";
import { groupIdOf, partitionOf } from "../../src/model/ids.ts";
import type { Policy } from "../../src/policy/policy.ts";
import { groupAddress } from "../../src/runtime/inbox/group-address.ts";

const NAMES = ["cluster", "rack", "severity", "__proto__", "constructor"];
const name = fc.constantFrom(...NAMES);
const value = fc.constantFrom("", "a", "b", "a|rack:b", "1");
const labels = fc
  .uniqueArray(fc.tuple(name, value), { selector: ([one]) => one })
  .map((entries) => Object.fromEntries(entries) as Record<string, string>);

const rules = fc.record({
  by: fc.uniqueArray(name, { maxLength: 3 }),
  where: fc
    .uniqueArray(fc.tuple(name, fc.uniqueArray(value, { minLength: 1, maxLength: 3 })), {
      selector: ([one]) => one,
      maxLength: 2,
    })
    .map((entries) => Object.fromEntries(entries) as Record<string, string[]>),
});

test("the address of a group is that of its dimension key, whoever asked before", () => {
  fc.assert(
    fc.property(rules, fc.array(labels, { maxLength: 40 }), fc.integer({ min: 1, max: 64 }), (named, alerts, count) => {
      const rule = { function: "defense", ...named } as unknown as ConvergenceRule;
      const policy = { name: "restart", converge: rule } as unknown as Policy;
      for (const partitions of [count, count + 1]) {
        for (const alert of alerts.filter((one) => ruleGoverns(rule, one))) {
          const groupId = groupIdOf("restart", dimensionKey(rule, alert));
          const expected = { groupId, partition: partitionOf(groupId, partitions) };
          expect(groupAddress(policy, rule, { labels: alert, partitions })).toEqual(expected);
        }
      }
    }),
  );
});
