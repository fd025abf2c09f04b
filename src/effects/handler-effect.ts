import type { Notice } from "../instance/audit-types.ts";
import type { Alert } from "../model/alert.ts";
import { messageOf } from "../model/errors.ts";
import { EFFECT_RESULT_BYTES_MAX } from "../model/limits.ts";
import type { Action } from "../policy/policy.ts";
import { cutText } from "./bounded-text.ts";
import { type Deadline, startDeadline } from "./deadline.ts";
import type { EffectRequest, EffectResult } from "./effect-port.ts";

/** What a handler gets. */
export type EffectHandlerInput = {
  readonly kind: EffectRequest["kind"];
  /** null for notices. */
  readonly alert: Alert | null;
  /** null for actions. */
  readonly notice: Notice | null;
  readonly policy: string;
  /** Instance id. */
  readonly instance: string;
  /** 1 for the first attempt; it keeps rising over retries and grants. */
  readonly attempt: number;
  /**
   * Rises with every attempt that begins in the convergence group; undefined: no rule governs the instance, or it is a
   * notice.
   */
  readonly fencingToken: number | undefined;
  /**
   * Fires at the action's timeout and when the instance is cancelled: stop then, nobody waits for the result any
   * longer.
   */
  readonly signal: AbortSignal;
  /** The same when the same attempt is delivered again, as after a crash. */
  readonly idempotencyKey: string;
};

/**
 * A promise is awaited. The result goes into the audit as JSON, at most 4 KiB of it; what is thrown fails the attempt.
 */
export type EffectHandler = (input: EffectHandlerInput) => unknown;

/** Handlers by the name under which policies ask for them (`action: { handler: { name } }`). */
export type EffectHandlers = Readonly<Record<string, EffectHandler>>;

type HandlerAction = Action & { kind: "handler" };

/**
 * Calls a handler of the program. One that ignores its signal does not hold the attempt: it is failed at the timeout.
 * One that returns no promise has ended, and nothing was made that could have ended it earlier. Never throws or
 * rejects.
 */
export function runHandler(
  request: EffectRequest,
  { name, timeoutMs }: HandlerAction,
  handlers: EffectHandlers,
): EffectResult | Promise<EffectResult> {
  const handler = Object.hasOwn(handlers, name) ? handlers[name] : undefined;
  if (handler === undefined) return { ok: false, error: missing(name, handlers) };
  let started: Deadline | null = null;
  let isOver = false;
  const deadline = () => {
    started ??= startDeadline(request.signal, timeoutMs);
    // Whoever asks only now gets a signal that nothing fires any longer.
    if (isOver) started.release();
    return started;
  };
  const result = call(name, () => handler(inputOf(request, deadline)));
  if (result instanceof Promise) return within(deadline(), name, result);
  isOver = true;
  (started as Deadline | null)?.release();
  return result;
}

/** Never throws or rejects, so that a handler which fails after its deadline leaves no unhandled rejection behind. */
function call(name: string, handle: () => unknown): EffectResult | Promise<EffectResult> {
  try {
    const answer = handle();
    return isThenable(answer) ? settle(name, answer) : recorded(answer);
  } catch (error) {
    return failure(name, error);
  }
}

/** The result, or what fired before it. */
function within(deadline: Deadline, name: string, settled: Promise<EffectResult>): Promise<EffectResult> {
  return new Promise((resolve) => {
    const end = (result: EffectResult) => {
      deadline.release();
      resolve(result);
    };
    deadline.whenFired(() => end({ ok: false, error: `Handler "${name}" ${deadline.fired()}.` }));
    void settled.then(end);
  });
}

/** What `await` waits for. Reading `then` may run code of the program's, and may throw. */
function isThenable(answer: unknown): answer is PromiseLike<unknown> {
  const canThen = (typeof answer === "object" && answer !== null) || typeof answer === "function";
  return canThen && typeof (answer as { then?: unknown }).then === "function";
}

function inputOf(request: EffectRequest, deadline: () => Deadline): EffectHandlerInput {
  const { kind, alert, notice, policy, instance, attempt, token, effectId } = request;
  return {
    kind,
    alert,
    notice,
    policy,
    instance,
    attempt,
    fencingToken: token,
    get signal() {
      return deadline().signal;
    },
    idempotencyKey: effectId,
  };
}

async function settle(name: string, answer: PromiseLike<unknown>): Promise<EffectResult> {
  try {
    return recorded(await answer);
  } catch (error) {
    return failure(name, error);
  }
}

function failure(name: string, error: unknown): EffectResult {
  return { ok: false, error: `Handler "${name}" failed: ${textOf(error)}` };
}

function recorded(answer: unknown): EffectResult {
  const result = answer === undefined ? undefined : recordable(answer);
  return result === undefined ? { ok: true } : { ok: true, result };
}

/**
 * The result as plain JSON: a copy of its own, or a text where there is no such JSON. The work is done, so nothing here
 * fails it.
 */
function recordable(result: unknown): unknown {
  try {
    const json = JSON.stringify(result) as string | undefined;
    if (json === undefined) return undefined;
    return Buffer.byteLength(json) <= EFFECT_RESULT_BYTES_MAX
      ? (JSON.parse(json) as unknown)
      : cutText(json, EFFECT_RESULT_BYTES_MAX);
  } catch (error) {
    return cutText(`(a result that is not JSON: ${textOf(error)})`, EFFECT_RESULT_BYTES_MAX);
  }
}

/** Whatever was thrown, also an object that cannot become a text. */
function textOf(thrown: unknown): string {
  try {
    return messageOf(thrown) || "an error without a message";
  } catch {
    return "something was thrown that is neither an error nor a text";
  }
}

function missing(name: string, handlers: EffectHandlers): string {
  const names = Object.keys(handlers).sort();
  const registered = names.length === 0 ? "none is" : names.map((known) => `"${known}"`).join(", ");
  return `No handler "${name}" is registered (registered: ${registered}). Give it to the engine's \`handlers\`, or correct the policy's action.`;
}
