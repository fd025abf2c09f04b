/** A span for each attempt, under the request whose commit emitted it. */
import { type Context, context, type Span, SpanKind, SpanStatusCode } from "@opentelemetry/api";
import type { Effect } from "../instance/effect.ts";
import { inSpan, tracer } from "../system/tracing.ts";
import type { EffectRequest, EffectResult, OpenEffectPort } from "./effect-port.ts";

/** Effects that wait for their turn, with the context that emitted them; further ones are traced by themselves. */
const REMEMBERED_COUNT_MAX = 10_000;

export class TracedEffects {
  readonly #emittedIn = new Map<string, Context>();
  readonly #spans = new Map<string, Span>();

  /** Hears of a commit, in the context of the request that made it. */
  emitted(effects: readonly Effect[]): void {
    for (const { id } of effects)
      if (!this.#spans.has(id) && this.#emittedIn.size < REMEMBERED_COUNT_MAX)
        this.#emittedIn.set(id, context.active());
  }

  /** The port with a span around each attempt. */
  around(open: OpenEffectPort): OpenEffectPort {
    return (complete, postponed) => {
      const port = open(
        (effect, result) => {
          this.#end(effect, result);
          complete(effect, result);
        },
        (effect, untilMs) => {
          this.#end(effect, null);
          postponed(effect, untilMs);
        },
      );
      return {
        dispatch: (effect, request) => {
          const parent = this.#emittedIn.get(effect.id) ?? context.active();
          this.#emittedIn.delete(effect.id);
          const span = tracer().startSpan(
            `effect ${request.kind}`,
            { kind: SpanKind.CLIENT, attributes: about(request) },
            parent,
          );
          this.#spans.set(effect.id, span);
          inSpan(span, () => port.dispatch(effect, request), parent);
        },
      };
    };
  }

  /** `result` null: it comes later, and is not part of the span. */
  #end({ id }: Effect, result: EffectResult | null): void {
    const span = this.#spans.get(id);
    this.#spans.delete(id);
    if (result?.ok === false) span?.setStatus({ code: SpanStatusCode.ERROR, message: result.error });
    if (result === null) span?.addEvent("postponed");
    span?.end();
  }
}

function about({ policy, instance, effectId, attempt, action }: EffectRequest) {
  return {
    "becalm.policy": policy,
    "becalm.instance": instance,
    "becalm.effect": effectId,
    "becalm.attempt": attempt,
    "becalm.action": action.kind,
  };
}
