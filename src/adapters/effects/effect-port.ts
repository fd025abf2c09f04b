import { messageOf } from "../../core/errors.ts";
import { EFFECT_ERROR_BYTES_MAX } from "../../core/limits.ts";
import type { EffectPort, EffectRequest, EffectResult } from "../../ports/effect-port.ts";
import type { Logger } from "../../ports/logger.ts";
import { silentLogger } from "../log/pino-logger.ts";
import { cutText } from "./bounded-text.ts";
import { runExec } from "./exec-effect.ts";
import { type EffectHandlers, runHandler } from "./handler-effect.ts";
import { runLog } from "./log-effect.ts";
import { runWebhook } from "./webhook-effect.ts";

export type { EffectHandler, EffectHandlerInput, EffectHandlers } from "./handler-effect.ts";

export type EffectPortOptions = {
  /** What `handler` actions call, by name. */
  readonly handlers?: EffectHandlers;
  /** May policies start programs? Without it every `exec` action fails. */
  readonly allowExec?: boolean;
  /** Where `log` actions write. */
  readonly logger?: Logger;
};

/** Runs attempts in this process: each of the four kinds of action in its own file. Whatever an action throws ends here as a failed result. */
export function effectPort(options: EffectPortOptions = {}): EffectPort {
  return {
    run: async (request) => {
      try {
        return bounded(await runEffect(request, options));
      } catch (error) {
        return bounded({
          ok: false,
          error: `The ${request.action.kind} action could not be run: ${messageOf(error)}.`,
        });
      }
    },
  };
}

function runEffect(request: EffectRequest, options: EffectPortOptions): EffectResult | Promise<EffectResult> {
  const { action } = request;
  if (request.signal.aborted) return { ok: false, error: "The attempt was cancelled before it began." };
  switch (action.kind) {
    case "log":
      return runLog(request, options.logger ?? silentLogger);
    case "webhook":
      return runWebhook(request, action);
    case "exec":
      return options.allowExec === true ? runExec(request, action) : { ok: false, error: forbidden(request.policy) };
    case "handler":
      return runHandler(request, action, options.handlers ?? {});
  }
}

function forbidden(policy: string): string {
  return `BECALM_EFFECT_FORBIDDEN: policy "${policy}" wants to start a program, and this engine may not. Start it with --allow-exec (allowExec: true), or change the policy's action.`;
}

function bounded(result: EffectResult): EffectResult {
  return result.ok ? result : { ...result, error: cutText(result.error, EFFECT_ERROR_BYTES_MAX) };
}
