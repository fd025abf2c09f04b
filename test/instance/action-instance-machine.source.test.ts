import { readFileSync } from "node:fs";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { actionInstanceMachine } from "../../machines/action-instance.machine.ts";

/**
 * Stately's editor reads the source text: it needs one literal config whose guards and actions are names. Evaluating that text with
 * nothing in scope fails on the first name from outside, so a config that evaluates is a literal.
 */
const source = readFileSync(new URL("../../machines/action-instance.machine.ts", import.meta.url), "utf8");
const CONTEXT_LINE = /^ {2}context: .*,$/m;

function literalOf(text: string): string {
  const opening = ".createMachine(";
  const from = text.indexOf(opening) + opening.length;
  return text.slice(from, text.lastIndexOf(");"));
}

describe("the machine opens in Stately's editor as it is", () => {
  test("the config is one literal, apart from the context's factory", () => {
    const literal = literalOf(source);
    expect(literal.match(CONTEXT_LINE)).toHaveLength(1);
    const evaluated: unknown = runInNewContext(`(${literal.replace(CONTEXT_LINE, "")})`);
    const { context, ...config } = actionInstanceMachine.config;
    expect(context).toBeTypeOf("function");
    expect(JSON.parse(JSON.stringify(config))).toEqual(JSON.parse(JSON.stringify(evaluated)));
  });

  test("config and definition survive JSON", () => {
    const { context: _, ...config } = actionInstanceMachine.config;
    expect(JSON.parse(JSON.stringify(config))).toEqual(config);
    expect(() => JSON.stringify(actionInstanceMachine.definition)).not.toThrow();
  });

  test("every guard and action that the config names is provided, and none is left over", () => {
    const named = { guard: new Set<string>(), actions: new Set<string>() };
    collect(actionInstanceMachine.config.states, named);
    expect([...named.guard].sort()).toEqual(Object.keys(actionInstanceMachine.implementations.guards).sort());
    expect([...named.actions].sort()).toEqual(Object.keys(actionInstanceMachine.implementations.actions).sort());
  });

  test("it uses no delay, actor or invocation: the engine owns time and effects", () => {
    expect(literalOf(source)).not.toMatch(/\b(after|invoke|spawn|delay)\b\s*:/);
    expect(actionInstanceMachine.implementations.delays).toEqual({});
    expect(actionInstanceMachine.implementations.actors).toEqual({});
  });

  test("it imports xstate and src/authoring.ts, nothing else", () => {
    const imported = [...source.matchAll(/from "([^"]+)"/g)].map((match) => match[1]);
    expect(imported).toEqual(["xstate", "../src/authoring.ts"]);
  });
});

type Named = { guard: Set<string>; actions: Set<string> };

function collect(node: unknown, named: Named): void {
  if (typeof node !== "object" || node === null) return;
  for (const [key, value] of Object.entries(node)) {
    if (key === "guard") named.guard.add(String(value));
    else if (key === "actions" || key === "entry" || key === "exit")
      for (const name of [value].flat()) named.actions.add(String(name));
    else collect(value, named);
  }
}
