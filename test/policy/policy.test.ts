import { describe, expect, test } from "vitest";
import { canonicalJson } from "../../src/model/canonical-json.ts";
import { retryDelayMs } from "../../src/model/retry.ts";
import { actionTimeoutMs } from "../../src/policy/policy.ts";

describe("the delay before a retry", () => {
  test("is delay, delay * backoff, ... and never more than a day", () => {
    const retry = { limit: 9, delayMs: 10_000, backoff: 2 };
    expect([1, 2, 3].map((n) => retryDelayMs(retry, n))).toEqual([10_000, 20_000, 40_000]);
    expect(retryDelayMs({ limit: 100, delayMs: 10_000, backoff: 10 }, 100)).toBe(86_400_000);
    expect(retryDelayMs({ limit: 1, delayMs: 0, backoff: 10 }, 100)).toBe(0);
  });
});

describe("the timeout of an action", () => {
  test("is a minute for log, which names none", () => {
    expect(actionTimeoutMs({ kind: "log" })).toBe(60_000);
    expect(actionTimeoutMs({ kind: "handler", name: "x", timeoutMs: 5 })).toBe(5);
  });
});

describe("canonical JSON", () => {
  test("does not depend on the order of keys and leaves undefined ones out", () => {
    expect(canonicalJson({ b: [1, { d: null, c: "x" }], a: undefined })).toBe('{"b":[1,{"c":"x","d":null}]}');
    expect(canonicalJson({ "\u{1f600}": 1, "\uff01": 2 })).toBe('{"\uff01":2,"\u{1f600}":1}');
  });
});
