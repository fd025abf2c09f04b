import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { loadPolicySet } from "../../src/formats/policy-file.ts";
import type { ConvergenceFunction } from "../../src/model/convergence-rule.ts";
import { CONVERGENCE_FUNCTIONS } from "../../src/model/convergence-rule.ts";
import { HIDDEN, policyDocument } from "../../src/present/policy-document.ts";
import { dimensionsText, ruleText } from "../../src/present/rule-text.ts";

const read = (text: string) => loadPolicySet(text, { file: "policies.yaml" });

const EVERYTHING = `
policies:
  - name: all
    match: ['alertname=~"Disk.*", path!="C:\\\\Windows"', 'text=~"a\\\\.b\\n\\"c\\""']
    action: { webhook: { url: "http://127.0.0.1:1/x", timeout: 1500ms, headers: { authorization: "Bearer secret" } } }
    converge: { function: collect, by: [cluster], where: { rack: [r1, 2] }, count: 3, window: 5m, max_window: 1h30m, summary_delay: 10s }
    retry: { limit: 2, delay: 10s, backoff: 3 }
    approval: { timeout: 45m, notify: { exec: { command: [mail, "a b"], timeout: 5s } }, quorum: 2 }
    verify: { resolved_within: 10m }
    after_silence: skip
    again: { after: 2h, limit: 3 }
    mode: observe
    limits: { actions: 50, per: 10m, failures: 5 }
    on_resolved: keep
  - { name: least, match: ['"k8s.node"="é"'], action: { handler: { name: h } } }
  - { name: plain, match: ['a="b"'], action: { log: {} } }
`;

describe("a policy shown as its file said it", () => {
  test.each([
    ["everything that a policy can say", EVERYTHING],
    ["the demo's policies", readFileSync(new URL("../../demo/policies.yaml", import.meta.url), "utf8")],
  ])("makes the same version again: %s", (_, text) => {
    const { policies } = read(text);
    const again = read(stringify({ policies: policies.map((policy) => policyDocument(policy, "show")) }));
    expect(again.policies).toEqual(policies);
  });

  test("shows no value of a header", () => {
    const [policy] = read(EVERYTHING).policies;
    const shown = JSON.stringify(policyDocument(policy as NonNullable<typeof policy>, "hide"));
    expect(shown).toContain(`"authorization":"${HIDDEN}"`);
    expect(shown).not.toContain("secret");
  });
});

describe("a rule in words", () => {
  const rule = { function: "skip_when_exceed", by: ["cluster"], count: 3, windowMs: 600_000 } as const;

  test("says how many, per what, and in which time", () => {
    const { en, zh } = ruleText(rule, { cluster: "core" });
    expect(en).toBe("at most 3 per cluster=core in 10m; the others are skipped");
    expect(zh).toBe("10m 内每个 cluster=core 最多执行 3 次，其余跳过");
    expect(ruleText({ ...rule, maxWindowMs: 3_600_000 }, null).en).toBe(
      "at most 3 per cluster in 10m (a group lasts 1h); the others are skipped",
    );
  });

  test("names its dimensions: own values, an empty one, and listed ones once", () => {
    expect(
      dimensionsText({ ...rule, by: ["cluster", "rack"], where: { rack: ["r1"], dc: ["a", 2] } }, { cluster: "x" }),
    ).toBe('cluster=x, rack="", dc in (a, 2)');
    expect(ruleText({ ...rule, by: [] }, {}).en).toBe("at most 3 in 10m; the others are skipped");
  });

  test.each(CONVERGENCE_FUNCTIONS)("%s has one in both languages", (fn: ConvergenceFunction) => {
    const { en, zh } = ruleText({ ...rule, function: fn, count: 1 }, { cluster: "core" });
    expect(en).toMatch(/cluster=core/);
    expect(zh).toMatch(/cluster=core/);
  });
});
