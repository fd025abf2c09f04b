import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { loadStrategies, parseStrategies, strategiesFrom } from "../../src/formats/strategy-file.ts";
import { STRATEGY_FILE_KEYS } from "../../src/formats/strategy-keys.ts";
import { type Schema, schemaMistakes } from "../support/json-schema.ts";

function read(path: string): string {
  return readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
}

const schema = JSON.parse(read("docs/schema/strategies.schema.json")) as Schema & { $defs: Record<string, Schema> };

const QUERY = "query: { value: v, time: t, dimensions: [h] }";
const LEVELS = 'levels: [{ severity: warning, when: "> 1" }]';
const RIGHT = `name: a, ${QUERY}, interval: 1m, ${LEVELS}`;

/** So many entries of a map of texts. */
function many(count: number): string {
  return Array.from({ length: count }, (_, index) => `n${index}: x`).join(", ");
}

function mistakesOf(text: string): string[] {
  return parseStrategies(text, { file: "s.yaml" }).mistakes.map(({ message }) => message);
}

describe("a strategy file", () => {
  test("is read with every default filled in", () => {
    expect(loadStrategies(`strategies: [{ ${RIGHT} }]`, { file: "s.yaml" })).toEqual([
      {
        name: "a",
        query: { filter: {}, value: "v", time: "t", dimensions: ["h"], unit: null, precision: 2 },
        intervalSeconds: 60,
        latenessSeconds: 60,
        levels: [
          {
            severity: "warning",
            when: [[{ operator: ">", limit: 1 }]],
            trigger: { count: 1, window: 1 },
            recovery: { count: 1 },
          },
        ],
        noData: null,
        resendSeconds: 300,
        labels: {},
        annotations: {},
      },
    ]);
  });

  test("is read with every key that there is", () => {
    const text = `
strategies:
  - name: cpu.busy
    query: { filter: { metric: cpu, core: 0 }, value: v, time: t, dimensions: [], unit: ratio, precision: 3 }
    interval: 10m
    levels:
      - { severity: critical, when: "> 9 and < 20", trigger: { count: 2, window: 4 }, recovery: { count: 7 } }
      - { severity: warning, when: "> 5" }
    trigger: { count: 3 }
    recovery: { count: 5 }
    no_data: { intervals: 4, severity: page, keep: 2h }
    resend: 20m
    labels: { team: hosts }
    annotations: { summary: "{{ value }} of {{team}}" }
`;
    const [strategy] = loadStrategies(text, { file: "s.yaml" });
    expect(strategy).toMatchObject({
      query: { filter: { metric: "cpu", core: "0" }, unit: "ratio", precision: 3 },
      levels: [
        { trigger: { count: 2, window: 4 }, recovery: { count: 7 } },
        { trigger: { count: 3, window: 3 }, recovery: { count: 5 } },
      ],
      noData: { intervals: 4, severity: "page", keepSeconds: 7_200 },
      resendSeconds: 1_200,
    });
  });

  test("may be JSON, or a program's plain objects", () => {
    const file = { strategies: [parse(`{ ${RIGHT} }`)] };
    const fromYaml = loadStrategies(`strategies: [{ ${RIGHT} }]`, { file: "s.yaml" });
    expect(loadStrategies(JSON.stringify(file), { file: "s.json" })).toEqual(fromYaml);
    expect(strategiesFrom(file)).toEqual(fromYaml);
  });
});

describe("a mistake names file, line, key, what was expected and what was found", () => {
  test.each([
    ["{ query: {}, interval: 1m }", "strategies[0].name"],
    [`{ ${RIGHT}, levles: [] }`, "expected the key levels, found the unknown key"],
    [`{ ${RIGHT}, resend: 30s }`, "strategies[0].resend: expected a duration from 1m to 1d"],
    [`{ ${RIGHT}, resend: 300 }`, "strategies[0].resend: expected a duration"],
    [`{ ${RIGHT}, resend: 61500ms }`, "expected whole seconds"],
    [`{ name: a, ${QUERY}, interval: 0, ${LEVELS} }`, "interval: expected a duration from 1s to 1d"],
    [`{ name: a, ${QUERY}, interval: 1m }`, "expected levels or no_data"],
    [`{ name: a, ${QUERY}, interval: 1m, levels: [] }`, "expected levels or no_data"],
    [`{ name: "a b", ${QUERY}, interval: 1m, ${LEVELS} }`, "expected a name of letters"],
    [
      `{ name: a, query: { value: v, time: t }, interval: 1m, ${LEVELS} }`,
      "query.dimensions: expected a list of the fields",
    ],
    [
      `{ name: a, query: { value: v, time: t, dimensions: [h, h] }, interval: 1m, ${LEVELS} }`,
      "expected each field once",
    ],
    [
      `{ name: a, query: { value: v, time: t, dimensions: [], unit: furlong }, interval: 1m, ${LEVELS} }`,
      "expected a unit",
    ],
    [
      `{ name: a, query: { value: v, time: t, dimensions: [], filter: { m: [] } }, interval: 1m, ${LEVELS} }`,
      "filter.m: expected at least one text",
    ],
    [
      `{ name: a, query: { value: v, time: t, dimensions: [], precision: 16 }, interval: 1m, ${LEVELS} }`,
      "number from 0 to 15",
    ],
    [
      `{ name: a, ${QUERY}, interval: 1m, levels: [{ severity: w, when: "1 <" }] }`,
      "levels[0].when: expected a condition",
    ],
    [
      `{ name: a, ${QUERY}, interval: 1m, levels: [{ severity: w, when: "> 1" }, { severity: w, when: "> 0" }] }`,
      "as strategies[0].levels[0].severity",
    ],
    [`{ ${RIGHT}, trigger: { count: 3, window: 2 } }`, "trigger.window: expected a whole number from 3"],
    [`{ ${RIGHT}, no_data: { intervals: 9, keep: 1m } }`, "no_data.keep: expected a duration from 9m"],
    [`{ ${RIGHT}, labels: { severity: page } }`, "no label severity"],
    [
      `{ ${RIGHT}, annotations: { summary: "{{ hots }}" } }`,
      "with one of value, alertname, severity, h, found {{ hots }}",
    ],
    [`{ ${RIGHT}, labels: { h: here } }`, "no label that is a dimension too"],
    [`{ ${RIGHT}, labels: { "": here } }`, "a name of 1 to 1024 bytes"],
    [
      `{ ${RIGHT}, labels: { ${many(254)} } }`,
      "at most 256, with the dimensions, alertname, severity, no_data, found 258",
    ],
    [`{ ${RIGHT}, annotations: { ${many(256)} } }`, "at most 256, with the summary, found 257"],
    ...["severity", "no_data", "alertname"].map((name) => [
      `{ name: a, query: { value: v, time: t, dimensions: [h, ${name}] }, interval: 1m, ${LEVELS} }`,
      `query.dimensions[1]: expected no dimension that is named like a label of every alert, found "${name}"`,
    ]),
    [
      `{ name: a, query: { value: v, time: t, dimensions: [${"x".repeat(1_025)}] }, interval: 1m, ${LEVELS} }`,
      "expected a name of 1 to 1024 bytes, found 1025 characters",
    ],
    [`{ ${RIGHT} }, { ${RIGHT} }`, "strategies[1].name: expected a name that no other strategy has"],
  ])("%s", (strategies, message) => {
    const mistakes = mistakesOf(`strategies:\n  [${strategies}]`);
    expect(mistakes).toEqual([expect.stringContaining(message), ...mistakes.slice(1)]);
    expect(mistakes[0]).toMatch(/^s\.yaml:2:\d+: /);
  });

  test.each([
    ["", "an empty file"],
    ["strategies: []", "at least one strategy"],
    ["- a", "expected a map"],
    ["strategies: [", "YAML or JSON"],
    ["strategies: [*x]", "names no anchor"],
    ["a: 1\n---\nb: 2", "one document"],
  ])("also when the whole file is wrong: %j", (text, message) => {
    expect(mistakesOf(text)).toEqual(expect.arrayContaining([expect.stringContaining(message)]));
  });

  test.each(["a: 1\n}", "%"])("and in a few words, even when the file is not text but begins with %j", (begin) => {
    const mistakes = mistakesOf(`${begin}${"x\u0003\u001b[2J".repeat(9_000)}\n---\n`);
    expect(mistakes.length).toBeGreaterThan(0);
    for (const mistake of mistakes) {
      expect(mistake.length).toBeLessThan(300);
      expect(mistake).not.toMatch(/\p{Cc}/u);
    }
  });

  test("and all of them are listed at once, in the order of the file", () => {
    const text = `strategies:\n  - { ${RIGHT}, resend: soon }\n  - { ${RIGHT.replace("name: a", "name: b")}, nope: 1 }\n`;
    expect(() => loadStrategies(text, { file: "s.yaml" })).toThrow(
      expect.objectContaining({
        code: "BECALM_STRATEGY_INVALID",
        message: expect.stringMatching(/s\.yaml has 2 mistakes;.*s\.yaml:2:.*resend.*s\.yaml:3:.*nope/s),
        details: {
          file: "s.yaml",
          mistakes: [expect.objectContaining({ line: 2 }), expect.objectContaining({ line: 3 })],
        },
      }),
    );
  });
});

/** Files that are right or wrong in a way that a schema can tell. */
const JUDGED: readonly (readonly [string, boolean])[] = [
  [`strategies: [{ ${RIGHT} }]`, true],
  [`strategies: [{ name: a, ${QUERY}, interval: 1m, no_data: { intervals: 3 } }]`, true],
  [
    `strategies: [{ name: a, ${QUERY}, interval: 1m, levels: [{ severity: w, when: ">= 1 and < 3 or value == .5e3" }] }]`,
    true,
  ],
  [`strategies: []`, false],
  [`{}`, false],
  [`strategies: [{ name: a, ${QUERY}, ${LEVELS} }]`, false],
  [`strategies: [{ name: a, ${QUERY}, interval: 60, ${LEVELS} }]`, false],
  [`strategies: [{ name: a, ${QUERY}, interval: 1m }]`, false],
  [`strategies: [{ name: a, ${QUERY}, interval: 1m, levels: [] }]`, false],
  [`strategies: [{ name: a, ${QUERY}, interval: 1m, levels: [{ severity: w, when: "high" }] }]`, false],
  [`strategies: [{ name: a, ${QUERY}, interval: 1m, levels: [{ when: "> 1" }] }]`, false],
  [`strategies: [{ ${RIGHT}, trigger: { window: 2 } }]`, false],
  [`strategies: [{ ${RIGHT}, recovery: { count: 0 } }]`, false],
  [`strategies: [{ ${RIGHT}, labels: { a: 1 } }]`, false],
  [`strategies: [{ ${RIGHT.replace("[h]", "[severity]")} }]`, false],
  [`strategies: [{ ${RIGHT.replace("[h]", "[severity_of_h]")} }]`, true],
];

describe("the schema of strategies for editors", () => {
  test.each(Object.entries(STRATEGY_FILE_KEYS))("knows exactly the keys of the reader: %s", (name, keys) => {
    expect(Object.keys(schema.$defs[name]?.properties ?? {}).sort()).toEqual([...keys].sort());
    expect(schema.$defs[name]?.additionalProperties).toBe(false);
  });

  test.each(JUDGED)("judges as the reader does: %s", (text, isRight) => {
    expect(mistakesOf(text).length === 0).toBe(isRight);
    expect(schemaMistakes(schema, parse(text)).length === 0).toBe(isRight);
  });

  test("takes the demo's file and the page's example, which the reader takes too", () => {
    const [, example = ""] = /```yaml\n([\s\S]*?)```/.exec(read("docs/strategies.md")) ?? [];
    for (const text of [read("demo/strategies.yaml"), example]) {
      expect(schemaMistakes(schema, parse(text))).toEqual([]);
      expect(loadStrategies(text, { file: "s.yaml" }).length).toBeGreaterThan(0);
    }
  });

  test("has a row in docs/strategies.md for every key", () => {
    const page = read("docs/strategies.md");
    const { file: _, ...maps } = STRATEGY_FILE_KEYS;
    const keys = Object.values(maps).flat();
    expect(keys.filter((key) => !new RegExp(`[\`.]${key}\\b`).test(page))).toEqual([]);
  });
});
