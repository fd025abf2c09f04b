/**
 * One row a route: how it is called, who may call it, what its description says. The app, its 404 and 405, and
 * /openapi.json come from these.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Context } from "hono";
import type { z } from "zod";
import type { Caller, Role } from "../auth/tokens.ts";

export type Env = {
  Bindings: { incoming: IncomingMessage; outgoing: ServerResponse };
  Variables: { caller: Caller; route: string };
};

export type Ctx = Context<Env>;

export type Method = "GET" | "POST" | "PUT" | "DELETE";

export type Parameter = { readonly name: string; readonly what: string; readonly type?: "integer" | "boolean" };

export type Answer = {
  readonly what: string;
  readonly type?: "application/json" | "text/plain" | "text/event-stream" | "image/svg+xml" | "text/html";
};

export type Route = {
  readonly method: Method;
  /** As OpenAPI spells it: `/v1/instances/{id}`. */
  readonly path: string;
  /** Who may call it; `open`: everybody, or the request carries a proof of its own. */
  readonly role: Role | "open";
  readonly summary: string;
  readonly query?: readonly Parameter[];
  /** What a body must look like, and its media types (default: JSON). */
  readonly body?: { readonly schema?: z.ZodType; readonly types?: readonly string[]; readonly what?: string };
  /** By status, besides the refusals that every route may answer with. */
  readonly answers: Readonly<Record<number, Answer>>;
  readonly handle: (c: Ctx) => Response | Promise<Response>;
};

/** `/v1/instances/{id}` as Hono writes it. */
export function honoPath(path: string): string {
  return path.replace(/\{(\w+)\}/g, ":$1");
}

const PATTERNS = new WeakMap<Route, RegExp>();

function patternOf(route: Route): RegExp {
  const known = PATTERNS.get(route);
  if (known !== undefined) return known;
  const source = route.path.replace(/[.*+?^$()|[\]\\]/g, "\\$&").replace(/\{\w+\}/g, "[^/]+");
  const pattern = new RegExp(`^${source}/?$`);
  PATTERNS.set(route, pattern);
  return pattern;
}

/** The methods that the routes of a path answer; empty: there is no such path. */
export function methodsAt(routes: readonly Route[], path: string): Method[] {
  return routes.filter((route) => patternOf(route).test(path)).map(({ method }) => method);
}

/** Calls `then` once, when the answer is out or its client has left. */
export function whenGone({ env: { outgoing } }: Ctx, then: (isAnswered: boolean) => void): void {
  outgoing.once("close", () => then(outgoing.writableEnded));
}
