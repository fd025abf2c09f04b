/**
 * An attempt as a job of BullMQ: all that it takes to run it, and what came of it. Any worker of BullMQ may be one of
 * those who run them.
 */
import type { Effect } from "../../instance/effect.ts";
import { EFFECT_ERROR_BYTES_MAX, EFFECT_RESULT_BYTES_MAX } from "../../model/limits.ts";
import { cutText } from "../bounded-text.ts";
import type { EffectRequest, EffectResult } from "../effect-port.ts";
import type { Postponed } from "../webhook-effect.ts";

export type AttemptJob = { readonly effect: Effect; readonly request: Omit<EffectRequest, "signal"> };

export function jobOf(effect: Effect, request: EffectRequest): AttemptJob {
  const { kind, effectId, attempt, token, policy, instance, alert, notice, subject, action } = request;
  return { effect, request: { kind, effectId, attempt, token, policy, instance, alert, notice, subject, action } };
}

/** How a job ends: with its result, or because the target answered that the result comes later. */
export type JobEnd = EffectResult | Postponed;

/** Until when the result of a job that has ended is waited for; null: the job gave its result back. */
export function awaitedUntilMsOf({ request: { action } }: AttemptJob, returned: unknown): number | null {
  if (action.kind !== "webhook" || action.callback !== true) return null;
  const { awaitedUntilMs } = (returned ?? {}) as { awaitedUntilMs?: unknown };
  return typeof awaitedUntilMs === "number" ? awaitedUntilMs : null;
}

/**
 * What a job gave back: ours a result, others' whatever their processor returns. It goes into the audit, so it is
 * bounded.
 */
export function resultOf(returned: unknown): EffectResult {
  if (returned === undefined || returned === null) return { ok: true };
  const { ok, error, result } = returned as { ok?: unknown; error?: unknown; result?: unknown };
  if (ok === true) return { ok, ...bounded(result) };
  if (ok === false && typeof error === "string") return { ...failed(error), ...bounded(result) };
  return { ok: true, ...bounded(returned) };
}

export function failed(why: string): EffectResult & { readonly ok: false } {
  return { ok: false, error: cutText(why, EFFECT_ERROR_BYTES_MAX) };
}

function bounded(result: unknown): { readonly result?: unknown } {
  if (result === undefined) return {};
  const text = JSON.stringify(result);
  return { result: text.length <= EFFECT_RESULT_BYTES_MAX ? result : cutText(text, EFFECT_RESULT_BYTES_MAX) };
}
