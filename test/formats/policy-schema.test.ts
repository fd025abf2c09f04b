import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { loadPolicySet, parsePolicies } from "../../src/formats/policy-file.ts";
import { POLICY_FILE_KEYS } from "../../src/formats/policy-keys.ts";
import { CONVERGENCE_FUNCTIONS } from "../../src/model/convergence-rule.ts";
import { type Schema, schemaMistakes } from "../support/json-schema.ts";

function read(path: string): string {
  return readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
}

const schema = JSON.parse(read("docs/schema/policies.schema.json")) as Schema & { $defs: Record<string, Schema> };

/** Files that are right or wrong in a way that a schema can tell. */
const RIGHT = `{ name: a, match: ['x="1"'], action: { log: {} } }`;
const JUDGED: readonly (readonly [string, boolean])[] = [
  [`policies: []`, true],
  [`policies: [${RIGHT}]`, true],
  [`{ policies: [], silences: null }`, true],
  [`policies: [{ name: a, match: 'x="1"', action: { log: null }, converge: null }]`, true],
  [
    `policies: [{ name: a, match: [], action: { log: {} }, converge: { function: trigger, window: 5m, where: { a: [1, b] } } }]`,
    true,
  ],
  [
    `policies: [{ name: a, match: [], action: { exec: { command: [/bin/true, ""], timeout: 1m30s } }, retry: { delay: 0 } }]`,
    true,
  ],
  [`policies: [{ name: a, match: [], action: { webhook: { url: "HTTP://h/", headers: { a: b } } } }]`, true],
  [
    `policies: [{ name: a, match: [], action: { log: {} }, verify: { resolved_within: 10m }, after_silence: skip, again: { after: 11m, limit: 3 }, mode: observe, limits: { actions: 50, per: 10m, failures: 5 }, approval: { quorum: 2 } }]`,
    true,
  ],
  [`{ policies: [], limits: { failures: 5, per: 1m } }`, true],
  [`{ policies: [], limits: { per: 1m } }`, false],
  [`{ policies: [], limits: { actions: 5 } }`, false],
  [`policies: [{ name: a, match: [], action: { log: {} }, verify: {} }]`, false],
  [`policies: [{ name: a, match: [], action: { log: {} }, again: { limit: 3 } }]`, false],
  [`policies: [{ name: a, match: [], action: { log: {} }, again: { after: 11m, limit: 0 } }]`, false],
  [`policies: [{ name: a, match: [], action: { log: {} }, after_silence: maybe }]`, false],
  [`policies: [{ name: a, match: [], action: { log: {} }, mode: dry }]`, false],
  [`policies: [{ name: a, match: [], action: { log: {} }, approval: { quorum: 0 } }]`, false],
  [`silences: []`, false],
  [`[]`, false],
  [`policies: [{ name: a, match: [] }]`, false],
  [`policies: [{ name: "a b", match: [], action: { log: {} } }]`, false],
  [`policies: [{ name: a, match: [], action: {} }]`, false],
  [`policies: [{ name: a, match: [], action: { log: {}, handler: { name: x } } }]`, false],
  [`policies: [{ name: a, match: [], action: { webhook: { url: "ftp://h" } } }]`, false],
  [`policies: [{ name: a, match: [], action: { exec: { command: [] } } }]`, false],
  [`policies: [{ name: a, match: [], action: { handler: { name: "" } } }]`, false],
  [`policies: [{ name: a, match: [], action: { log: {} }, converge: { function: trigger } }]`, false],
  [`policies: [{ name: a, match: [], action: { log: {} }, converge: { function: triggr, window: 5m } }]`, false],
  [`policies: [{ name: a, match: [], action: { log: {} }, converge: { function: trigger, window: 300 } }]`, false],
  [
    `policies: [{ name: a, match: [], action: { log: {} }, converge: { function: trigger, window: 5m, count: 0 } }]`,
    false,
  ],
  [
    `policies: [{ name: a, match: [], action: { log: {} }, converge: { function: trigger, window: 5m, where: { a: [true] } } }]`,
    false,
  ],
  [
    `policies: [{ name: a, match: [], action: { log: {} }, converge: { function: trigger, window: 5m, by: [a, a] } }]`,
    false,
  ],
  [`policies: [{ name: a, match: [], action: { log: {} }, retry: { limit: 101 } }]`, false],
  [`policies: [{ name: a, match: [], action: { log: {} }, on_resolved: maybe }]`, false],
  [
    `{ policies: [], silences: [{ match: [], from: 2026-01-01T00:00:00Z, to: 2026-01-02T00:00:00Z, author: a, comment: b }] }`,
    false,
  ],
];

describe("the schema for editors", () => {
  test.each(Object.entries(POLICY_FILE_KEYS))("knows exactly the keys of the reader: %s", (name, keys) => {
    expect(Object.keys(schema.$defs[name]?.properties ?? {}).sort()).toEqual([...keys].sort());
    expect(schema.$defs[name]?.additionalProperties).toBe(false);
  });

  test("knows exactly the convergence functions", () => {
    expect(schema.$defs["converge"]?.properties?.["function"]?.enum).toEqual(CONVERGENCE_FUNCTIONS);
  });

  test.each(JUDGED)("judges as the reader does: %s", (text, isRight) => {
    expect(parsePolicies(text, { file: "f" }).mistakes.length === 0).toBe(isRight);
    expect(schemaMistakes(schema, parse(text)).length === 0).toBe(isRight);
  });

  test("takes the demo's file, which the reader takes too", () => {
    const text = read("demo/policies.yaml");
    expect(schemaMistakes(schema, parse(text))).toEqual([]);
    expect(loadPolicySet(text, { file: "demo/policies.yaml" }).policies.length).toBeGreaterThan(3);
  });

  test("takes the example of docs/policies.md, which the reader takes too", () => {
    const [, text = ""] = /```yaml\n([\s\S]*?)```/.exec(read("docs/policies.md")) ?? [];
    expect(schemaMistakes(schema, parse(text))).toEqual([]);
    expect(loadPolicySet(text, { file: "docs/policies.md" }).silences).toHaveLength(1);
  });

  test("has a row in docs/policies.md for every key", () => {
    const page = read("docs/policies.md");
    const { file, ...maps } = POLICY_FILE_KEYS;
    expect(file.filter((key) => !page.includes(`${key}:`))).toEqual([]);
    expect(
      Object.values(maps)
        .flat()
        .filter((key) => !new RegExp(`[\`.]${key}\\b`).test(page)),
    ).toEqual([]);
  });
});
