/**
 * Health, metrics, reload, and the description of all routes.
 *
 * Healthy means that the process answers: starting it anew would help if it did not. Ready means that it takes alerts:
 * while it takes none, nothing should be sent to it, and a rollout should not go on.
 */
import { json, text } from "./http/replies.ts";
import type { Ctx, Method, Route } from "./http/route.ts";

export type OperationPorts = {
  /** Why it is not ready, as far as this caller may know, or null. */
  readonly notReady: (c: Ctx) => string | null;
  readonly metrics: () => Promise<{ type: string; body: string }>;
  /** Reads the policies again. Rejects with every mistake; the old ones stay in force. */
  readonly reload: () => Promise<void>;
  readonly openApi: () => object;
};

export function operationRoutes({ notReady, metrics, reload, openApi }: OperationPorts): Route[] {
  const get = (path: string, route: Omit<Route, "method" | "path" | "role"> & { role?: Route["role"] }): Route => ({
    method: "GET" satisfies Method,
    path,
    role: "read",
    ...route,
  });
  return [
    get("/-/healthy", {
      role: "open",
      summary: "The process answers",
      answers: { 200: { what: "OK", type: "text/plain" } },
      handle: () => text("OK"),
    }),
    get("/-/ready", {
      role: "open",
      summary: "It takes alerts",
      answers: { 200: { what: "OK", type: "text/plain" }, 503: { what: "why not", type: "text/plain" } },
      handle: (c) => {
        const why = notReady(c);
        return why === null ? text("OK") : text(`${why}\n`, 503);
      },
    }),
    {
      method: "POST",
      path: "/-/reload",
      role: "admin",
      summary: "Reads the policy file again; with mistakes the old policies stay in force",
      answers: { 200: { what: "the policies are in force", type: "text/plain" }, 400: { what: "every mistake" } },
      handle: async () => {
        await reload();
        return text("");
      },
    },
    get("/metrics", {
      summary: "For Prometheus",
      answers: { 200: { what: "metrics", type: "text/plain" } },
      handle: async () => {
        const { type, body } = await metrics();
        return new Response(body, { headers: { "content-type": type } });
      },
    }),
    get("/openapi.json", {
      summary: "This description",
      answers: { 200: { what: "OpenAPI 3.1" } },
      handle: () => json(openApi()),
    }),
  ];
}
