/**
 * From a request to the route that answers it: path, origin, caller, role; and every error in the shape that its path
 * promises.
 */
import { Hono } from "hono";
import type { Logger } from "../system/logger.ts";
import { isTracing } from "../system/tracing.ts";
import { type AccessRules, authenticate, isAllowedOrigin, originRefusal, type Refusal } from "./auth/access.ts";
import { HttpRefusal, refusalOf } from "./http/http-refusal.ts";
import { empty, isAlertmanagerPath, jsonWith, refusalReply, text } from "./http/replies.ts";
import { type Ctx, type Env, honoPath, methodsAt, type Route } from "./http/route.ts";
import { traced } from "./http/traced.ts";
import { isSignedPath } from "./links/links.ts";

export type AppOptions = {
  readonly access: AccessRules;
  readonly routes: readonly Route[];
  readonly logger: Logger;
  /** While true every answer asks its client to close the connection. */
  readonly isDraining: () => boolean;
  /** Called for each answered request, for the metrics. `route` is the row's path, never the request's. */
  readonly answered: (request: { method: string; route: string; status: number; ms: number }) => void;
};

const NO_ROUTE = "none";

export function createApp(options: AppOptions): Hono<Env> {
  const app = new Hono<Env>({ strict: false });
  const answers = new Answers(options);
  if (isTracing()) app.use(traced);
  app.use(async (c, next) => {
    const startedMs = performance.now();
    const early = answers.before(c);
    if (early !== null) c.res = early;
    else await next();
    answers.after(c, performance.now() - startedMs);
  });
  for (const route of options.routes) {
    app.on(route.method, honoPath(route.path), async (c) => {
      c.set("route", route.path);
      return answers.guarded(c, route);
    });
  }
  app.notFound((c) => answers.missing(c));
  app.onError((error, c) => answers.failed(c, error));
  return app;
}

class Answers {
  readonly #options: AppOptions;

  constructor(options: AppOptions) {
    this.#options = options;
  }

  /** What is answered before any route is looked at, or null. */
  before(c: Ctx): Response | null {
    const { access, routes } = this.#options;
    const path = c.req.path;
    this.#allowOrigin(c.env, path);
    if (path.includes("//")) return moved(path.replace(/\/{2,}/g, "/") + new URL(c.req.url).search);
    if (path === "/api/v2") return moved("/api/v2/");
    const { headers } = c.env.incoming;
    const { method } = c.req;
    const refused = originRefusal(access, {
      method,
      host: headers.host,
      origin: headers.origin,
      authorization: headers.authorization,
      fetchSite: headers["sec-fetch-site"] as string | undefined,
      isSigned: isSignedPath(path),
    });
    if (refused !== null) return this.#refused(path, refused);
    const isPlain = method !== "HEAD" && method !== "OPTIONS";
    const isPreflight = method === "OPTIONS" && isAllowedOrigin(access, headers);
    if (isPreflight) return empty();
    // Hono would answer HEAD from GET; Alertmanager does so outside its API only.
    if (isPlain || (method === "HEAD" && !isAlertmanagerPath(path))) return null;
    return methodsAt(routes, path).length === 0 ? null : this.missing(c);
  }

  after(c: Ctx, ms: number): void {
    const { isDraining, answered } = this.#options;
    if (isDraining()) c.res.headers.set("connection", "close");
    answered({ method: c.req.method, route: c.get("route") ?? NO_ROUTE, status: c.res.status, ms });
  }

  /** On the socket's own headers: an event stream answers there, past Hono. */
  #allowOrigin({ incoming, outgoing }: Env["Bindings"], path: string): void {
    if (isAlertmanagerPath(path)) outgoing.setHeader("vary", "Origin");
    const { origin } = incoming.headers;
    if (origin === undefined || !isAllowedOrigin(this.#options.access, incoming.headers)) return;
    outgoing.setHeader("access-control-allow-origin", origin);
    outgoing.setHeader("access-control-allow-headers", "authorization, content-type, if-match, last-event-id");
    outgoing.setHeader("access-control-allow-methods", "GET, POST, PUT, DELETE");
    outgoing.setHeader("access-control-expose-headers", "etag, retry-after");
  }

  async guarded(c: Ctx, route: Route): Promise<Response> {
    if (route.role !== "open") {
      const caller = authenticate(this.#options.access, c.env.incoming.headers, route.role);
      if ("status" in caller) return this.#refused(c.req.path, caller);
      c.set("caller", caller);
    }
    try {
      return await route.handle(c);
    } catch (error) {
      return this.failed(c, error);
    }
  }

  failed(c: Ctx, error: unknown): Response {
    const refusal = refusalOf(error);
    if (refusal !== null) return refusalReply(c.req.path, refusal);
    // The route and not the path, which may be a proof.
    const where = { method: c.req.method, route: c.get("route") ?? NO_ROUTE };
    this.#options.logger.error({ err: error, ...where }, "a request failed unexpectedly");
    return jsonWith(500, {
      error: { code: "UNEXPECTED", message: "This is a mistake of the server; its log says more." },
    });
  }

  /** 404, or 405 with the methods that the path has. */
  missing(c: Ctx): Response {
    const { path, method } = c.req;
    const allowed = methodsAt(this.#options.routes, path);
    const isApi = isAlertmanagerPath(path) || path.startsWith("/v1/");
    if (allowed.length === 0) {
      if (isAlertmanagerPath(path)) return jsonWith(404, { code: 404, message: `path ${path} was not found` });
      if (!isApi) return text("404 page not found\n", 404);
      return refusalReply(path, new HttpRefusal(404, "BECALM_NOT_FOUND", { why: `No such route: ${path}.` }));
    }
    const why = `method ${method} is not allowed, but [${allowed.join(",")}] are`;
    const headers = { allow: allowed.join(",") };
    if (!isApi) return text("Method Not Allowed\n", 405, headers);
    return refusalReply(path, new HttpRefusal(405, "BECALM_REQUEST_REFUSED", { why, headers }));
  }

  #refused(path: string, { status, code, why }: Refusal): Response {
    const headers = status === 401 ? { "www-authenticate": 'Bearer realm="becalm"' } : {};
    return refusalReply(path, new HttpRefusal(status, code, { why, headers }));
  }
}

function moved(location: string): Response {
  return new Response(null, { status: 301, headers: { location, "content-length": "0" } });
}
