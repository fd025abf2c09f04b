/** Whatever a program gives to a public function by mistake, it is told what is wrong, and never meets a bare TypeError. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as becalm from "../../src/index.ts";
import * as testing from "../../src/testing.ts";

const WRONG: readonly unknown[] = [undefined, null, "x", "", 5, true, {}, [], [null], () => {}];
const POLICIES = [{ name: "act", match: [], action: { log: {} } }];
const TEXT = "policies: [{ name: act, match: [], action: { log: {} } }]";
const STRATEGIES =
  "strategies: [{ name: s, query: { value: v, time: t, dimensions: [] }, interval: 1s, levels: [{ severity: page, when: '> 1' }] }]";
const shown = (value: unknown) => (typeof value === "function" ? "a function" : (JSON.stringify(value) ?? "undefined"));

/** How a call ended otherwise than with a result or a BecalmError that has something to say. */
async function faultOf(call: (...args: never[]) => unknown, args: readonly unknown[]): Promise<string | null> {
  try {
    const result: unknown = await call(...(args as never[]));
    const { stop, close } = (result ?? {}) as { stop?: () => unknown; close?: () => unknown };
    await (typeof stop === "function" ? stop.call(result) : typeof close === "function" ? close.call(result) : null);
    return null;
  } catch (error) {
    if (error instanceof becalm.BecalmError && error.message.length > 20 && !error.message.includes("[object"))
      return null;
    return `(${args.map(shown).join(", ")}): ${String(error)}`;
  }
}

/** `wrong`: what takes a while is left out by those who would wait for it. */
async function faultsOf(
  call: (...args: never[]) => unknown,
  begins: readonly (readonly unknown[])[],
  wrong = WRONG,
): Promise<string[]> {
  const faults: (string | null)[] = [];
  for (const begin of begins)
    for (const given of wrong)
      for (const args of [[given], [given, given]]) faults.push(await faultOf(call, [...begin, ...args]));
  return faults.filter((fault) => fault !== null);
}

/** Whose right first argument is given too, so that the second is looked at. */
const FIRST: Readonly<Record<string, unknown>> = {
  loadPolicySet: TEXT,
  parsePolicies: TEXT,
  loadStrategies: STRATEGIES,
  fingerprintOf: { a: "b" },
  dimensionKey: { function: "trigger", by: ["a"] },
  evaluateConvergence: { function: "trigger", count: 1 },
};

const entries = [
  ...Object.entries(becalm).map(([name, call]) => ["becalm", name, call] as const),
  ...Object.entries(testing).map(([name, call]) => ["becalm/testing", name, call] as const),
];
const functions = entries.filter(([, name, call]) => typeof call === "function" && /^[a-z]/.test(name));

test("all public functions are looked at", () => {
  expect(functions.length).toBeGreaterThan(24);
});

test.each(functions)("%s: %s names what is wrong with its arguments", async (_, name, call) => {
  const begins = name in FIRST ? [[], [FIRST[name]]] : [[]];
  expect(await faultsOf(call as () => unknown, begins)).toEqual([]);
});

test("the second argument of those who read a file may be left out", () => {
  expect(becalm.loadPolicySet(TEXT).policies).toHaveLength(1);
  expect(becalm.parsePolicies("policies: 5").mistakes[0]).toMatchObject({ line: 1 });
  expect(becalm.loadStrategies(STRATEGIES)).toHaveLength(1);
});

describe("an engine", () => {
  let engine: becalm.Engine;
  let id = "";
  beforeAll(async () => {
    engine = becalm.createEngine({ policies: POLICIES });
    await engine.start();
    id = (await engine.ingest([{ labels: { a: "b" } }])).instances[0]?.id ?? "";
  });
  afterAll(() => engine.stop());

  const CALLS = [
    ["ingest", [{ labels: { a: "c" } }]],
    ["list", {}],
    ["approve", { id: "00-x" }],
    ["deny", { id: "00-x" }],
    ["reload", POLICIES],
    ["shadow", {}],
    ["policy", "act"],
    ["subscribe", () => {}],
    ["complete", { id: "e", instanceId: "00-x", partition: 0, attempt: 1 }],
    ["pause", { by: "a", why: "b", policy: "none" }],
    ["resume", { by: "a", why: "b", policy: "none" }],
    ["silence", { by: "a", why: "b" }],
    ["saveSilence", { id: "s", match: [{ name: "a", operator: "=", value: "b" }], fromMs: 0, toMs: 1, author: "a" }],
    ["expireSilence", "s"],
    ["deadLetters", { limit: 1 }],
    ["resumeDeadLetters", ["x"]],
    ["get", "00-x"],
  ] as const;

  test.each(CALLS)("%s names what is wrong with its arguments", async (name, first) => {
    const call = (...args: never[]) => (engine[name] as (...given: never[]) => unknown)(...args);
    expect(await faultsOf(call, [[], [first]])).toEqual([]);
  });

  test.each(["send", "snapshot", "history", "waitFor"] as const)("get(id).%s does so too", async (name) => {
    const call = (...args: never[]) => (engine.get(id)[name] as (...given: never[]) => unknown)(...args);
    const begins = name === "waitFor" ? [[], [() => true]] : [[]];
    const wrong = WRONG.filter((given) => typeof given !== "function");
    expect(await faultsOf(call, begins, wrong)).toEqual([]);
  });

  test("stores no silence that it could not read again", async () => {
    expect(await engine.silences()).toEqual([]);
  });
});
