import { getEventListeners } from "node:events";
import { describe, expect, test } from "vitest";
import type { EffectRequest } from "../../src/effects/effect-port.ts";
import { type EffectHandlerInput, type EffectHandlers, runAttempt } from "../../src/effects/local-effects.ts";
import { EFFECT_ERROR_BYTES_MAX, EFFECT_RESULT_BYTES_MAX } from "../../src/model/limits.ts";
import { alert, EFFECT_ID, INSTANCE, requestOf, summary } from "../support/effect-request.ts";

const NEVER = new Promise<never>(() => {});

function run(handlers: EffectHandlers, changes: Partial<EffectRequest> & { name?: string; timeoutMs?: number } = {}) {
  const { name = "clean", timeoutMs = 10_000, ...rest } = changes;
  return runAttempt(requestOf({ kind: "handler", name, timeoutMs }, rest), { handlers });
}

describe("what a handler gets", () => {
  test("is the alert with everything that names the attempt", async () => {
    const inputs: EffectHandlerInput[] = [];
    await run({ clean: (input) => inputs.push(input) });
    const [{ signal, ...input }] = inputs as [EffectHandlerInput];
    expect(input).toEqual({
      kind: "action",
      alert,
      notice: null,
      policy: "disk-cleanup",
      instance: INSTANCE,
      attempt: 2,
      idempotencyKey: EFFECT_ID,
    });
    expect(signal.aborted).toBe(false);
  });

  test("has the fencing token of its group's attempt", async () => {
    const inputs: EffectHandlerInput[] = [];
    await run({ clean: (input) => inputs.push(input) }, { token: 7 });
    expect(inputs[0]?.fencingToken).toBe(7);
  });

  test("of a summary is the notice in place of the alert", async () => {
    const inputs: EffectHandlerInput[] = [];
    await run({ clean: (input) => inputs.push(input) }, { kind: "summary", alert: null, notice: summary });
    expect(inputs[0]).toMatchObject({ kind: "summary", alert: null, notice: summary });
  });
});

describe("what a handler returns", () => {
  test("is recorded, whether it comes at once or later", async () => {
    expect(await run({ clean: () => ({ freed: 3 }) })).toEqual({ ok: true, result: { freed: 3 } });
    expect(await run({ clean: async () => ["a", null] })).toEqual({ ok: true, result: ["a", null] });
  });

  test.each([[undefined], [() => {}], [Symbol("x")]])(
    "is left out when JSON has nothing for it (%s)",
    async (value) => {
      expect(await run({ clean: () => value })).toEqual({ ok: true });
    },
  );

  test("is recorded as it was then: later changes do not reach the audit", async () => {
    const kept = { freed: 3 };
    const result = await run({ clean: () => kept });
    kept.freed = 4;
    expect(result).toEqual({ ok: true, result: { freed: 3 } });
  });

  test("becomes a text that is cut when it is too large", async () => {
    const { result } = await run({ clean: () => ({ text: "é".repeat(1_000_000) }) });
    expect(result).toMatch(/^\{"text":"é+\.\.\. \(cut\)$/);
    expect(Buffer.byteLength(result as string)).toBeLessThanOrEqual(EFFECT_RESULT_BYTES_MAX);
  });

  test("does not undo its success when it is no JSON", async () => {
    const cycle: Record<string, unknown> = {};
    cycle["self"] = cycle;
    for (const value of [cycle, 10n]) {
      const result = await run({ clean: () => value });
      expect(result).toMatchObject({ ok: true });
      expect(result.result).toMatch(/^\(a result that is not JSON: /);
    }
  });
});

describe("a handler that fails", () => {
  const failures: [string, () => unknown, string][] = [
    ["throws", () => fail(new Error("disk is busy")), "disk is busy"],
    ["rejects", () => Promise.reject(new Error("disk is busy")), "disk is busy"],
    ["throws a text", () => fail("busy"), "busy"],
    ["throws nothing", () => fail(undefined), "undefined"],
    ["throws an error without a message", () => fail(new Error()), "an error without a message"],
    [
      "throws what cannot become a text",
      () => fail(Object.create(null)),
      "something was thrown that is neither an error nor a text",
    ],
  ];

  function fail(thrown: unknown): never {
    throw thrown;
  }

  test.each(failures)("%s: the attempt is failed with what it said", async (_how, clean, said) => {
    expect(await run({ clean })).toEqual({ ok: false, error: `Handler "clean" failed: ${said}` });
  });

  test("with a very long message is cut", async () => {
    const result = await run({ clean: () => fail(new Error("x".repeat(1_000_000))) });
    const error = result.ok ? "" : result.error;
    expect(Buffer.byteLength(error)).toBe(EFFECT_ERROR_BYTES_MAX);
    expect(error).toMatch(/x\.\.\. \(cut\)$/);
  });
});

describe("a handler that nobody registered", () => {
  test("is a failure that names those who are", async () => {
    expect(await run({ restart: () => 1, notify: () => 2 })).toEqual({
      ok: false,
      error:
        'No handler "clean" is registered (registered: "notify", "restart"). Give it to the engine\'s `handlers`, or correct the policy\'s action.',
    });
    const none = await runAttempt(requestOf({ kind: "handler", name: "clean", timeoutMs: 1_000 }));
    expect(none.ok ? "" : none.error).toContain("(registered: none is)");
  });

  test.each(["constructor", "toString", "__proto__"])("is not found among what every object has (%s)", async (name) => {
    const result = await run({ clean: () => 1 }, { name });
    expect(result.ok ? "" : result.error).toContain(`No handler "${name}" is registered`);
  });
});

describe("a handler that takes too long", () => {
  test("is failed at its timeout with its signal fired, though it ignores it", async () => {
    const signals: AbortSignal[] = [];
    const clean = ({ signal }: EffectHandlerInput) => {
      signals.push(signal);
      return NEVER;
    };
    expect(await run({ clean }, { timeoutMs: 30 })).toEqual({
      ok: false,
      error: 'Handler "clean" did not end within 30ms.',
    });
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
  });

  test("is failed for the timeout, not for the error that its signal made it throw", async () => {
    const clean = ({ signal }: EffectHandlerInput) =>
      new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("aborted"))));
    expect(await run({ clean }, { timeoutMs: 30 })).toEqual({
      ok: false,
      error: 'Handler "clean" did not end within 30ms.',
    });
  });

  test("and fails after that leaves no unhandled rejection", async () => {
    const unhandled: unknown[] = [];
    const note = (error: unknown) => unhandled.push(error);
    process.on("unhandledRejection", note);
    let fail = (_error: Error): void => {};
    const late = new Promise<never>((_, reject) => {
      fail = reject;
    });
    await run({ clean: () => late }, { timeoutMs: 10 });
    fail(new Error("too late"));
    // Node reports unhandled rejections once the microtasks are done, before the next turn of the loop.
    await new Promise((resolve) => setImmediate(resolve));
    process.off("unhandledRejection", note);
    expect(unhandled).toEqual([]);
  });

  test("is failed at once when it is cancelled", async () => {
    const cancel = new AbortController();
    const clean = () => {
      cancel.abort();
      return NEVER;
    };
    expect(await run({ clean }, { signal: cancel.signal })).toEqual({
      ok: false,
      error: 'Handler "clean" was cancelled.',
    });
  });

  test("that ended at once leaves nothing behind for whoever asks for its signal later", async () => {
    const { signal } = new AbortController();
    const inputs: EffectHandlerInput[] = [];
    await run({ clean: (input) => void inputs.push(input) }, { signal });
    expect(inputs[0]?.signal.aborted).toBe(false);
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });

  test("is failed when its answer throws at being looked at, and waited for when it is a function that can be", async () => {
    const broken = new Proxy(
      {},
      {
        get: () => {
          throw new Error("no look");
        },
      },
    );
    expect(await run({ clean: () => broken })).toEqual({ ok: false, error: 'Handler "clean" failed: no look' });
    const later = new Proxy(() => {}, {
      get: (_, name) => (name === "then" ? (resolve: (value: number) => void) => resolve(7) : undefined),
    });
    expect(await run({ clean: () => later })).toEqual({ ok: true, result: 7 });
  });
});
