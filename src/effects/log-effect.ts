import type { Logger } from "../system/logger.ts";
import { effectSubject } from "./effect-message.ts";
import type { EffectRequest, EffectResult } from "./effect-port.ts";

const MESSAGES: Readonly<Record<EffectRequest["kind"], string>> = {
  action: "an alert asks for an action",
  summary: "alerts were skipped",
  "approval-request": "a human must decide",
};

/** Writes one line. It always succeeds: a log that is full is no reason to run an action again. */
export function runLog(request: EffectRequest, logger: Logger): EffectResult {
  const { kind, effectId, attempt, policy, instance, alert, notice } = request;
  const subject = notice === null ? { labels: alert?.labels ?? {} } : effectSubject(request, null);
  logger.info({ kind, policy, instance, effectId, attempt, ...subject }, MESSAGES[kind]);
  return { ok: true };
}
