/** A span for each request, under its sender's if it has one (`traceparent`). */
import { propagation, ROOT_CONTEXT, SpanKind, SpanStatusCode } from "@opentelemetry/api";
import { inSpan, tracer } from "../../system/tracing.ts";
import type { Ctx } from "./route.ts";

export async function traced(c: Ctx, next: () => Promise<void>): Promise<void> {
  const { method } = c.req;
  const parent = propagation.extract(ROOT_CONTEXT, c.env.incoming.headers);
  const attributes = { "http.request.method": method };
  const span = tracer().startSpan(method, { kind: SpanKind.SERVER, attributes }, parent);
  try {
    await inSpan(span, next, parent);
  } finally {
    // The route and not the path, which may be a proof.
    const route = c.get("route");
    if (route !== undefined) span.updateName(`${method} ${route}`).setAttribute("http.route", route);
    span.setAttribute("http.response.status_code", c.res.status);
    if (c.res.status >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
    span.end();
  }
}
