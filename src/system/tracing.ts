/**
 * Spans of OpenTelemetry, for those who have registered a provider. Without one `isTracing` is false, and nothing is
 * made, carried or asked.
 */
import {
  type Context,
  context,
  ProxyTracerProvider,
  propagation,
  type Span,
  type Tracer,
  trace,
} from "@opentelemetry/api";

/** What stands behind the API while nobody has registered a provider. */
const NOBODY = new ProxyTracerProvider().getDelegate();

/** Has the program registered a provider? Asked when an engine opens and when a server starts: register before. */
export function isTracing(): boolean {
  const provider = trace.getTracerProvider();
  return provider instanceof ProxyTracerProvider ? provider.getDelegate() !== NOBODY : true;
}

export function tracer(): Tracer {
  return trace.getTracer("becalm");
}

/** The headers that hand the current span on; none without a provider. */
export function traceHeaders(): Record<string, string> {
  const headers: Record<string, string> = {};
  propagation.inject(context.active(), headers);
  return headers;
}

/** Runs `act` inside a span, which the caller ends. */
export function inSpan<T>(span: Span, act: () => T, parent: Context = context.active()): T {
  return context.with(trace.setSpan(parent, span), act);
}
