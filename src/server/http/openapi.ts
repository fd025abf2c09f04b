/** The description of the routes, made of the same rows that answer them. Pure. */
import { z } from "zod";
import type { Answer, Route } from "./route.ts";

type Json = Record<string, unknown>;

const ERROR_SCHEMA = {
  type: "object",
  required: ["error"],
  properties: {
    error: {
      type: "object",
      required: ["code", "message"],
      properties: {
        code: { type: "string", description: "stable; docs/errors.md lists all" },
        message: { type: "string" },
        details: { type: "object" },
      },
    },
  },
} as const;

export function openApi(routes: readonly Route[], { version }: { version: string }): Json {
  const paths = new Map<string, Map<string, Json>>();
  for (const route of routes) {
    const at = paths.get(route.path) ?? new Map<string, Json>();
    at.set(route.method.toLowerCase(), operation(route));
    paths.set(route.path, at);
  }
  return {
    openapi: "3.1.0",
    info: { title: "Becalm", version, description: "Turns alert storms into a few audited actions." },
    components: {
      securitySchemes: { token: { type: "http", scheme: "bearer" } },
      schemas: { Error: ERROR_SCHEMA },
    },
    security: [{ token: [] }, {}],
    paths: Object.fromEntries([...paths].map(([path, at]) => [path, Object.fromEntries(at)])),
  };
}

function operation(route: Route): Json {
  const { method, path, role, summary, body, answers } = route;
  const named = `${method.toLowerCase()}${path.replace(/[^a-zA-Z0-9]+(\w)?/g, (_, next = "") => String(next).toUpperCase())}`;
  return {
    operationId: named,
    summary,
    tags: [tagOf(path)],
    "x-role": role,
    ...(role === "open" ? { security: [] } : {}),
    parameters: parametersOf(route),
    ...(body === undefined ? {} : { requestBody: requestBody(body) }),
    responses: {
      ...refusalsOf(route),
      ...Object.fromEntries(Object.entries(answers).map(([status, answer]) => [status, response(status, answer)])),
      ...(role === "open" ? {} : { 401: refusal("no valid token"), 403: refusal("the role or the page may not") }),
    },
  };
}

/** What a route refuses because of its form; an answer of its own says it better. */
function refusalsOf({ path, query = [], body }: Route): Json {
  const hasName = path.includes("{");
  const hasBody = body !== undefined;
  return {
    ...(query.length > 0 || hasBody ? { 400: refusal("a parameter or the body is invalid") } : {}),
    ...(hasName ? { 404: refusal("there is nothing of this name") } : {}),
    ...(hasBody ? { 413: refusal("the body is too large"), 415: refusal("the body has another media type") } : {}),
    ...(path.startsWith("/api/v2") && (hasName || hasBody)
      ? { 422: refusal("a name or the body is not as Alertmanager's API requires") }
      : {}),
  };
}

function tagOf(path: string): string {
  if (path.startsWith("/api/v2")) return "Alertmanager API v2";
  return path.startsWith("/v1") ? "Becalm API v1" : "Operation";
}

function parametersOf({ path, query = [] }: Route): Json[] {
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: "path",
    required: true,
    schema: { type: "string" },
  }));
  const inQuery = query.map(({ name, what, type = "string" }) => ({
    name,
    in: "query",
    required: false,
    description: what,
    schema: { type },
  }));
  return [...inPath, ...inQuery];
}

function requestBody({ schema, types = ["application/json"], what }: NonNullable<Route["body"]>): Json {
  const shape = schema === undefined ? {} : withoutDialect(z.toJSONSchema(schema, { io: "input" }));
  return {
    required: true,
    ...(what === undefined ? {} : { description: what }),
    content: Object.fromEntries(types.map((type) => [type, { schema: shape }])),
  };
}

function withoutDialect(schema: Json): Json {
  return Object.fromEntries(Object.entries(schema).filter(([key]) => key !== "$schema"));
}

function response(status: string, { what, type = "application/json" }: Answer): Json {
  const isRefusal = Number(status) >= 400;
  const schema = isRefusal ? { $ref: "#/components/schemas/Error" } : {};
  return { description: what, content: { [type]: { schema } } };
}

function refusal(what: string): Json {
  return response("400", { what });
}
