import { describe, expect, test } from "vitest";
import { runAttempt } from "../../src/effects/local-effects.ts";
import type { Logger } from "../../src/system/logger.ts";
import { alert, approval, EFFECT_ID, INSTANCE, requestOf, summary } from "../support/effect-request.ts";

type Line = { readonly level: string; readonly fields: object; readonly message: string };

function recorder(): { logger: Logger; lines: Line[] } {
  const lines: Line[] = [];
  const at = (level: string) => (fields: object, message: string) => void lines.push({ level, fields, message });
  return { lines, logger: { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") } };
}

const names = { policy: "disk-cleanup", instance: INSTANCE, effectId: EFFECT_ID, attempt: 2 };

describe("a log action", () => {
  test("writes one line with the alert's labels and succeeds", async () => {
    const { logger, lines } = recorder();
    expect(await runAttempt(requestOf({ kind: "log" }), { logger })).toEqual({ ok: true });
    expect(lines).toEqual([
      {
        level: "info",
        message: "an alert asks for an action",
        fields: { kind: "action", ...names, labels: alert.labels },
      },
    ]);
  });

  test("writes a notice by what it says", async () => {
    const { logger, lines } = recorder();
    await runAttempt(requestOf({ kind: "log" }, { kind: "summary", alert: null, notice: summary }), { logger });
    await runAttempt(requestOf({ kind: "log" }, { kind: "approval-request", alert: null, notice: approval }), {
      logger,
    });
    expect(lines.map(({ message }) => message)).toEqual(["alerts were skipped", "a human must decide"]);
    expect(lines.map(({ fields }) => fields)).toMatchObject([
      { kind: "summary", ...names, summary: { skipped: 41, sample: [INSTANCE] } },
      { kind: "approval-request", ...names, approval: { instance: INSTANCE, dueAt: "2026-11-23T07:20:00.000Z" } },
    ]);
  });

  test("succeeds without a logger", async () => {
    expect(await runAttempt(requestOf({ kind: "log" }))).toEqual({ ok: true });
  });

  test("fails with a sentence, and rejects nothing, when the logger throws", async () => {
    const { logger } = recorder();
    const broken: Logger = { ...logger, info: () => raise() };
    expect(await runAttempt(requestOf({ kind: "log" }), { logger: broken })).toEqual({
      ok: false,
      error: "The log action could not be run: log is closed.",
    });
  });
});

function raise(): never {
  throw new Error("log is closed");
}
