/** Whoever looks at a commit sees who asked for it: the awaits from `ingest` to the store are unbroken. */
import { describe, expect, test } from "vitest";
import { createEngine, memoryStore, type PolicyDocument, type Store } from "../../src/index.ts";
import type { StoreCall } from "../support/watched-store.ts";

const alertOf = (host: string, name: string) => ({
  labels: { alertname: "Down", host, name },
  startsAt: "2026-11-23T06:49:54Z",
});

/** A store that keeps the stack of each commit. */
function tracing(store: Store, stacks: string[]): Store {
  return new Proxy(store, {
    get: (target, name) => {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== "function") return member;
      const method = member.bind(target) as (...given: unknown[]) => unknown;
      if ((name as StoreCall["method"]) !== "commit") return method;
      return (...given: unknown[]) => {
        const limit = Error.stackTraceLimit;
        Error.stackTraceLimit = 50;
        stacks.push(new Error("commit").stack ?? "");
        Error.stackTraceLimit = limit;
        return method(...given);
      };
    },
  });
}

function engineOn(store: Store, converge: object | null) {
  const policy = { name: "act", match: [], action: { log: {} }, converge } as PolicyDocument;
  return createEngine({ policies: [policy], store, partitions: 1 });
}

/** Names of the functions on the way, from the store outwards. */
function framesOf(stack: string): string[] {
  return stack.split("\n").flatMap((line) => /^\s+at (?:async )?([\w.#]+)/.exec(line)?.[1] ?? []);
}

describe.each([
  ["without a rule", null],
  ["of a forming group", { function: "skip_when_exceed", by: ["host"], count: 5, window: "5m" }],
  ["of a group that is known", { function: "skip_when_exceed", by: ["host"], count: 1, window: "5m" }],
])("a stack trace taken at the commit of an alert %s", (_, converge) => {
  test("names the whole way back to ingest", async () => {
    const stacks: string[] = [];
    const engine = engineOn(tracing(memoryStore(), stacks), converge);
    await engine.ingest([alertOf("a", "1")]);
    await engine.ingest([alertOf("a", "2"), alertOf("b", "3")]);
    expect(stacks.length).toBeGreaterThan(1);
    for (const stack of stacks) {
      const frames = framesOf(stack);
      expect(frames.join(" ")).toMatch(/runBatch .*Mailboxes\.submit .*deliver Upgrade\.deciding \w+\.ingest/);
      expect(frames.length).toBeLessThanOrEqual(12);
    }
    await engine.stop();
  });
});

test("an error of the store's that nobody expected names the request that met it", async () => {
  const store = memoryStore();
  store.commit = async () => {
    throw new TypeError("a defect");
  };
  const engine = engineOn(store, null);
  const error = await engine.ingest([alertOf("a", "1")]).catch((reason: unknown) => reason as Error);
  expect((error as Error).stack).toMatch(/runBatch[\s\S]*ingest/);
  await engine.stop();
});

test("the first of a batch is on the stack also when others of other requests are in it", async () => {
  const stacks: string[] = [];
  const engine = engineOn(tracing(memoryStore(), stacks), null);
  await engine.list();
  const first = engine.ingest([alertOf("a", "1")]);
  const second = engine.ingest([alertOf("b", "2")]);
  const results = await Promise.all([first, second]);
  expect(results.map(({ instances }) => instances[0]?.outcome)).toEqual(["created", "created"]);
  expect(stacks).toHaveLength(1);
  expect(framesOf(stacks[0] as string).join(" ")).toMatch(/deliver Upgrade\.deciding \w+\.ingest/);
  await engine.stop();
});
