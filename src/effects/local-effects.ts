import { CANCELLED_BEFORE_IT_BEGAN, type Effect } from "../instance/effect.ts";
import { messageOf } from "../model/errors.ts";
import { EFFECT_ERROR_BYTES_MAX } from "../model/limits.ts";
import { type Logger, silentLogger } from "../system/logger.ts";
import type { AddressGuard } from "./address-guard.ts";
import { cutText } from "./bounded-text.ts";
import type { EffectRequest, EffectResult, OpenEffectPort } from "./effect-port.ts";
import { runExec } from "./exec-effect.ts";
import { type EffectHandlers, runHandler } from "./handler-effect.ts";
import { runLog } from "./log-effect.ts";
import type { SignedUrls } from "./signed-urls.ts";
import { type Postponed, runAwaitedWebhook, runWebhook } from "./webhook-effect.ts";
import type { WebhookAction } from "./webhook-request.ts";

export type { EffectHandler, EffectHandlerInput, EffectHandlers } from "./handler-effect.ts";

export type LocalEffectOptions = {
  /** What `handler` actions call, by name. */
  readonly handlers?: EffectHandlers;
  /** May policies start programs? Without it every `exec` action fails. */
  readonly allowExec?: boolean;
  /** Where `log` actions write. */
  readonly logger?: Logger;
  /** Makes the addresses that people and targets answer at; without it messages hold none. */
  readonly urls?: SignedUrls;
  /** Where webhooks may go; default: not to link-local and metadata addresses. */
  readonly guard?: AddressGuard;
  /** Default: the system's clock. */
  readonly now?: () => number;
};

/** Runs attempts in this process: who dispatches them gets their results. */
export function localEffects(options: LocalEffectOptions = {}): OpenEffectPort {
  return (complete, awaited) => ({
    dispatch: (effect, request) => {
      const end = (ended: EffectResult | Postponed) =>
        "ok" in ended ? complete(effect, ended) : awaited(effect, ended.awaitedUntilMs);
      const ended = runAwaitedAttempt(effect, request, options);
      if (ended instanceof Promise) void ended.then(end);
      else end(ended);
    },
  });
}

/** Runs one attempt as `runAttempt` does, and its result may also come later, by a callback. */
export function runAwaitedAttempt(
  effect: Effect,
  request: EffectRequest,
  options: LocalEffectOptions,
): EffectResult | Promise<EffectResult | Postponed> {
  const { action } = request;
  const isAwaited = action.kind === "webhook" && action.callback === true;
  return isAwaited ? runUntilCallback(effect, { request, action, options }) : runAttempt(request, options);
}

type AwaitedAttempt = {
  readonly request: EffectRequest;
  readonly action: WebhookAction;
  readonly options: LocalEffectOptions;
};

/** The whole of it is bounded by the action's timeout, the wait for the callback included. */
async function runUntilCallback(
  effect: Effect,
  { request, action, options }: AwaitedAttempt,
): Promise<EffectResult | Postponed> {
  const { urls, now = Date.now } = options;
  if (urls === undefined) return { ok: false, error: NO_CALLBACKS };
  const untilMs = now() + action.timeoutMs;
  const callback = { url: urls.callback(effect, untilMs), untilMs };
  const ended = cancelled(request) ?? (await runAwaitedWebhook(request, action, { ...options, callback }));
  return "ok" in ended ? bounded(ended) : ended;
}

const NO_CALLBACKS =
  "The policy says `callback: true`, and nobody can call back: only `becalm serve` with --external-url can be reached. Start it so, or take `callback` out of the policy.";

/**
 * Runs one attempt: each of the four kinds of action is in its own file. What ends at once is answered at once. Never
 * throws or rejects: whatever an action throws ends here as a failed result.
 */
export function runAttempt(
  request: EffectRequest,
  options: LocalEffectOptions = {},
): EffectResult | Promise<EffectResult> {
  try {
    const result = perform(request, options);
    return result instanceof Promise ? result.then(bounded, (error) => broken(request, error)) : bounded(result);
  } catch (error) {
    return broken(request, error);
  }
}

function broken({ action }: EffectRequest, error: unknown): EffectResult {
  return bounded({ ok: false, error: `The ${action.kind} action could not be run: ${messageOf(error)}.` });
}

function perform(request: EffectRequest, options: LocalEffectOptions): EffectResult | Promise<EffectResult> {
  const { action } = request;
  switch (action.kind) {
    case "log":
      return runLog(request, options.logger ?? silentLogger);
    case "handler":
      return runHandler(request, action, options.handlers ?? {});
    case "webhook":
      return cancelled(request) ?? runWebhook(request, action, options);
    case "exec":
      if (options.allowExec !== true) return { ok: false, error: forbidden(request.policy) };
      return cancelled(request) ?? runExec(request, action, options);
  }
}

/** What happens outside of this process cannot be taken back, so it is not begun in vain. */
function cancelled({ signal }: EffectRequest): EffectResult | null {
  return signal.aborted ? { ok: false, error: CANCELLED_BEFORE_IT_BEGAN } : null;
}

function forbidden(policy: string): string {
  return `BECALM_EFFECT_FORBIDDEN: policy "${policy}" wants to start a program, and this engine may not. Start it with --allow-exec (allowExec: true), or change the policy's action.`;
}

function bounded(result: EffectResult): EffectResult {
  return result.ok ? result : { ...result, error: cutText(result.error, EFFECT_ERROR_BYTES_MAX) };
}
