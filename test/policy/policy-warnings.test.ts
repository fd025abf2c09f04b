import { expect, test } from "vitest";
import { loadPolicySet } from "../../src/formats/policy-file.ts";
import { policyWarnings } from "../../src/policy/policy-warnings.ts";

const RULE = "converge: { function: skip_when_exceed, count: 3, window: 5m, max_window: 10m }";

function warnings(fields: string, action = "webhook: { url: 'http://h/' }"): string[] {
  const text = `policies: [{ name: a, match: [], action: { ${action} }, ${fields} }]`;
  return policyWarnings(loadPolicySet(text, { file: "f" }));
}

test.each([
  [`${RULE}, again: { after: 11m, limit: 3 }`, []],
  [
    `${RULE}, again: { after: 10m, limit: 3 }`,
    [expect.stringContaining("decides again after 10m, but its group lasts 10m")],
  ],
  [
    `${RULE}, again: { after: 3m, limit: 3 }`,
    [expect.stringContaining("for the last time after 9m, but its group lasts 10m")],
  ],
  [`again: { after: 11m }`, [expect.stringContaining("has no rule")]],
])("a policy that decides again warns when its group may still be there: %s", (fields, expected) => {
  expect(warnings(fields)).toEqual(expected);
});

test("verifying a log line is most likely not meant", () => {
  expect(warnings("verify: { resolved_within: 5m }", "log: {}")).toEqual([expect.stringContaining("log line")]);
  expect(warnings("verify: { resolved_within: 5m }")).toEqual([]);
});
