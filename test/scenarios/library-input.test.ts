/** What a program gives by mistake is reported at once, with what was meant. */
import { describe, expect, test } from "vitest";
import {
  BecalmError,
  createEngine,
  evaluateConvergence,
  lmdbDetectionStore,
  lmdbStore,
  loadPolicySet,
  memoryDetectionStore,
  memoryStore,
  type PolicyDocument,
  type PolicyInput,
  parsePolicies,
  redisDetectionStore,
  redisStore,
} from "../../src/index.ts";
import { silentLogger } from "../../src/system/logger.ts";

const policies = [{ name: "act", match: [], action: { log: {} } }];
const refused = (message: RegExp) =>
  expect.objectContaining({ code: "BECALM_ARGUMENT_INVALID", message: expect.stringMatching(message) });

describe("an engine is not made", () => {
  test.each<[string, object, RegExp]>([
    ["of a name that it does not know", { Store: {} }, /has no option "Store". Did you mean store\?/],
    ["of a name that is like nothing", { zebra: 1 }, /has no option "zebra"\.$/],
    [
      "of an address instead of a store",
      { store: "redis://user:secret@h" },
      /a store, as redisStore\(URL\) .*, not a text/,
    ],
    ["with no attempt at once", { concurrency: 0 }, /"concurrency" a whole number from 1 to 1000, not 0/],
    ["with words for a number", { concurrency: "x" }, /"concurrency" a whole number/],
    [
      "with a retention that is not a number",
      { retentionMs: Number.NaN },
      /"retentionMs" a whole number from 1 on, not NaN/,
    ],
    ["with a drain before now", { drainMs: -1 }, /"drainMs" a whole number from 0 on, not -1/],
    ["with more partitions than ids have digits for", { partitions: 101 }, /"partitions" a whole number from 1 to 100/],
    ["with a logger that has no levels", { logger: {} }, /"logger" a logger with debug/],
    ["with a handler that cannot be called", { handlers: { act: "restart" } }, /"handlers" an object of functions/],
    ["with a word for a flag", { allowExec: "yes" }, /"allowExec" true or false/],
    ["with a number to watch it", { inspect: 5 }, /"inspect" a server of createInspectServer/],
  ])("%s", (_, options, message) => {
    let error: unknown = null;
    try {
      createEngine({ policies, ...options });
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toEqual(refused(message));
    expect(String(error)).not.toContain("secret");
  });

  test("of something that is not an object", () => {
    expect(() => createEngine(null as never)).toThrow(refused(/createEngine takes an object, not null/));
  });

  test("without a warning when it has no policies, nor is one without them put into force", async () => {
    const warnings: string[] = [];
    const logger = { ...silentLogger, warn: (_: object, what: string) => void warnings.push(what) };
    const engine = createEngine({ policies: [], logger });
    expect(warnings).toEqual([expect.stringMatching(/no policies: every alert is unmatched.*engine\.reload/)]);
    await engine.reload(policies);
    expect(warnings).toHaveLength(1);
    await engine.reload([]);
    expect(warnings).toHaveLength(2);
    await engine.stop();
  });

  test("but options that are undefined are as good as left out", async () => {
    const engine = createEngine({ policies, concurrency: undefined } as never);
    await engine.stop();
  });
});

describe("a call of an engine", () => {
  test("with a state in another spelling, or a bare id, says what was given and what is meant", async () => {
    const engine = createEngine({ policies });
    await expect(engine.list({ state: "waiting" })).rejects.toEqual(
      refused(/"state" one of .*, not "waiting"\. Did you mean Waiting\?$/),
    );
    await expect(engine.approve("03-0a1b" as never, { by: "ann", why: "so" })).rejects.toEqual(
      refused(/engine\.approve takes \{ id \} or \{ group \}, not a text/),
    );
    await engine.stop();
  });
});

describe("an engine is not made of policies", () => {
  const policyOf = (more: object): PolicyDocument => ({
    ...policies[0],
    name: "act",
    match: [],
    action: { log: {} },
    ...more,
  });
  const made = (policy: PolicyDocument) => createEngine({ policies: [policy], handlers: { restart: () => {} } });

  test("with mistakes, all of which are named", () => {
    expect(() => made(policyOf({ macth: [], retry: { limit: -1 } }))).toThrow(
      expect.objectContaining({
        code: "BECALM_POLICY_INVALID",
        message: expect.stringMatching(/macth[\s\S]*retry\.limit/),
      }),
    );
  });

  test.each<[string, object, RegExp]>([
    ["act", { action: { handler: { name: "restrat" } } }, /"restrat" in action\. Did you mean "restart"\?/],
    [
      "ask for it",
      { approval: { notify: { handler: { name: "page" } } } },
      /"page" in approval\.notify\.\n.*given: restart/,
    ],
  ])("whose handlers are missing, to %s", (_, more, message) => {
    expect(() => made(policyOf(more))).toThrow(refused(message));
  });

  test("nor are such put into force later, and the old ones stay", async () => {
    const engine = made(policyOf({}));
    const other = policyOf({ action: { handler: { name: "page" } } });
    await expect(engine.reload([other])).rejects.toEqual(refused(/engine\.reload has no handler/));
    expect((await engine.policy("act"))?.action.kind).toBe("log");
    await engine.stop();
  });
});

describe("a store with a misspelt option would open another namespace, and is refused", () => {
  const options: object = { namspace: "production" };
  test.each<[string, () => unknown]>([
    ["redisStore", () => redisStore("redis://127.0.0.1:1", options)],
    ["lmdbStore", () => lmdbStore("/nonexistent/becalm", options)],
    ["redisDetectionStore", () => redisDetectionStore("redis://127.0.0.1:1", options)],
    ["lmdbDetectionStore", () => lmdbDetectionStore("/nonexistent/becalm", options)],
  ])("%s", (call, make) => {
    expect(make).toThrow(refused(new RegExp(`${call} has no option "namspace"\\. Did you mean namespace\\?`)));
  });

  test("memory stores", () => {
    expect(() => memoryStore(options)).toThrow(refused(/memoryStore has no option "namspace"/));
    expect(() => memoryDetectionStore(options)).toThrow(refused(/memoryDetectionStore has no option/));
  });
});

test("an error keeps its message in JSON, as in a logged answer of ingest", () => {
  const error = new BecalmError("BECALM_NOT_FOUND", "There is no x.", { details: { id: "x" }, cause: new Error("y") });
  const plain = { name: "BecalmError", code: "BECALM_NOT_FOUND", message: "There is no x.", details: { id: "x" } };
  expect(JSON.parse(JSON.stringify({ error }))).toEqual({ error: plain });
});

test("policies are typed: what is misspelt does not compile", () => {
  const action = { log: {} };
  const rule = { function: "skip_when_exceed", by: ["cluster"], window: "5m" } as const;
  const typed = (given: PolicyInput) => expect(given).toBeDefined();
  typed([{ name: "a", match: [], action, converge: rule, retry: { limit: 1 }, on_resolved: "keep" }]);
  typed({ policies: [{ name: "a", match: 'x="1"', action: { handler: { name: "b", timeout: "1m" } } }], silences: [] });
  typed(parsePolicies("policies: []", { file: "f" }).policySet);
  typed(loadPolicySet("policies: []", { file: "f" }).policies);
  // @ts-expect-error: macth
  typed([{ name: "a", macth: [], action }]);
  // @ts-expect-error: converg
  typed([{ name: "a", match: [], action, converg: rule }]);
  // @ts-expect-error: no such function
  typed([{ name: "a", match: [], action, converge: { ...rule, function: "skip_when_exceeds" } }]);
  // @ts-expect-error: a number has no unit
  typed([{ name: "a", match: [], action, converge: { ...rule, window: 5 } }]);
  // @ts-expect-error: two kinds of action
  typed([{ name: "a", match: [], action: { log: {}, handler: { name: "b" } } }]);
  // @ts-expect-error: a key of the whole file
  typed({ policies: [{ name: "a", match: [], action }], silence: [] });
});

describe("an engine refuses", () => {
  test.each<[object, RegExp]>([
    [{ state: "foo" }, /"state" one of Idle, Processing/],
    [{ limit: 0 }, /"limit" a whole number from 1 to 1000/],
    [{ polcy: "a" }, /Did you mean policy\?/],
  ])("to list by %j", async (filter, message) => {
    const engine = createEngine({ policies });
    await expect(engine.list(filter as never)).rejects.toEqual(refused(message));
    await engine.stop();
  });

  test.each<[object, RegExp]>([
    [{}, /takes one of id and group/],
    [{ id: "a", group: "b" }, /takes one of id and group/],
    [{ id: "" }, /"id" a text that is not empty, not an empty text/],
  ])("to grant or deny %j", async (target, message) => {
    const engine = createEngine({ policies });
    const who = { by: "ann", why: "so" };
    await expect(engine.approve(target as never, who)).rejects.toEqual(refused(message));
    await expect(engine.deny(target as never, who)).rejects.toEqual(refused(message));
    await engine.stop();
  });
});

test.each(["constructor", "skip"])("there is no convergence function %s", (name) => {
  expect(() => evaluateConvergence({ function: name as never, count: 1 }, {} as never)).toThrow(
    refused(/Unknown convergence function "(constructor|skip)". Use one of skip_when_success,/),
  );
});
