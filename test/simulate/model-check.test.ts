import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { check } from "../../src/cli/check.ts";
import { loadPolicySet } from "../../src/formats/policy-file.ts";
import { compileMatchers, type Matcher } from "../../src/policy/matcher.ts";
import { contradiction } from "../../src/policy/policy-reach.ts";
import { explorePolicy } from "../../src/simulate/model-check.ts";
import { ROOT } from "../support/command.ts";
import { capturing } from "../support/detect-run.ts";

const DATA = join(ROOT, "test/data/model-check");

type Line = {
  readonly model?: {
    readonly policy: string;
    readonly findings: readonly { kind: string; steps: readonly string[] }[];
  };
};

async function modelOf(file: string, { strict = false } = {}) {
  const { terminal, lines } = capturing();
  const code = await check(terminal, { files: [file], model: true, strict, json: true });
  const models = lines.flatMap((line) => (JSON.parse(line) as Line).model ?? []);
  return { code, found: models.flatMap(({ policy, findings }) => findings.map((one) => ({ policy, ...one }))) };
}

const policyIn = (file: string) => {
  const [policy] = loadPolicySet(readFileSync(join(ROOT, file), "utf8"), { file }).policies;
  if (policy === undefined) throw new Error(`${file} has no policy`);
  return policy;
};

describe("check --model", () => {
  test.each([
    ["never-matches", "never_matches", []],
    ["rule-never-applies", "rule_never_applies", []],
    ["waits-for-ever", "waits_for_ever", ["the brake stops everything", "alert 1 fires"]],
    [
      "runs-twice",
      "runs_twice",
      [
        "alert 1 fires",
        "the action of alert 1 succeeds",
        "the time to verify is over (alert 1)",
        "the retry is due (alert 1)",
      ],
    ],
    ["shared-action", "shared_action", []],
  ])("finds in %s.yaml what it is an example of, and nothing else", async (name, kind, steps) => {
    const { code, found } = await modelOf(join(DATA, `${name}.yaml`), { strict: true });
    expect(found).toMatchObject([{ policy: "restart-host", kind, steps }]);
    expect(code).toBe(1);
    expect((await modelOf(join(DATA, `${name}.yaml`))).code).toBe(0);
  });

  test("has an example for each finding", () => {
    expect(readdirSync(DATA)).toHaveLength(5);
  });

  test("says of a walk that reached its bound that it is not exhausted, and of one that did not that it is", () => {
    const policy = policyIn("demo/policies.yaml");
    expect(explorePolicy(policy, { hasBrake: false, statesMax: 500 })).toMatchObject({
      states: 500,
      isExhausted: false,
    });
    const single = explorePolicy({ ...policy, converge: null }, { hasBrake: false });
    expect(single).toMatchObject({ alerts: 1, isExhausted: true, findings: [] });
    expect(single.states).toBeLessThan(100);
  });

  test("names the numbers that it explores smaller than they are", () => {
    const policy = policyIn("demo/policies.yaml");
    const rule = { function: "trigger", by: [], count: 40, windowMs: 60_000 } as const;
    const large = { ...policy, converge: rule, retry: { ...policy.retry, limit: 5 } };
    const { reduced, isExhausted, findings } = explorePolicy(large, { hasBrake: false, statesMax: 2_000 });
    expect([reduced, findings]).toEqual([["count 40 as 3", "retry.limit 5 as 1"], []]);
    expect(typeof isExhausted).toBe("boolean");
  });

  test.each(["demo/policies.yaml", "demo/host-policies.yaml"])(
    "finds nothing in %s",
    (file) => {
      const set = loadPolicySet(readFileSync(join(ROOT, file), "utf8"), { file });
      for (const policy of set.policies) {
        expect(contradiction(policy.match)).toBeNull();
        const { findings } = explorePolicy(policy, { hasBrake: set.limits !== undefined, statesMax: 4_000 });
        expect([policy.name, findings]).toEqual([policy.name, []]);
      }
    },
    60_000,
  );
});

const matcher: fc.Arbitrary<Matcher> = fc.record({
  name: fc.constantFrom("a", "b"),
  operator: fc.constantFrom("=" as const, "!=" as const, "=~" as const, "!~" as const),
  value: fc.constantFrom("x", "y", "", "x|y", "z.*"),
});

test("matchers that are said to contradict each other match no labels at all", () => {
  const values = [undefined, "x", "y", "z1", "x|y", "z.*", "other"];
  const all = values.flatMap((a) =>
    values.map((b) => ({ ...(a === undefined ? {} : { a }), ...(b === undefined ? {} : { b }) })),
  );
  const seen = { contrary: 0 };
  fc.assert(
    fc.property(fc.array(matcher, { maxLength: 4 }), (match) => {
      if (contradiction(match) === null) return;
      seen.contrary += 1;
      const matches = compileMatchers(match);
      expect(all.filter((labels) => matches(labels as Record<string, string>))).toEqual([]);
    }),
    { numRuns: 500 },
  );
  expect(seen.contrary).toBeGreaterThan(20);
});
