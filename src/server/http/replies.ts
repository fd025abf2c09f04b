/** Answers: JSON, texts, and errors in the shape that the caller of a path expects. */
import type { HttpRefusal } from "./http-refusal.ts";

const JSON_HEADERS = { "content-type": "application/json" } as const;
const TEXT_HEADERS = { "content-type": "text/plain; charset=utf-8" } as const;

export function json(value: unknown, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(JSON.stringify(value), { headers: { ...JSON_HEADERS, ...headers } });
}

export function jsonWith(status: number, value: unknown, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(JSON.stringify(value), { status, headers: { ...JSON_HEADERS, ...headers } });
}

export function text(body: string, status = 200, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(body, { status, headers: { ...TEXT_HEADERS, ...headers } });
}

export function empty(status = 200): Response {
  return new Response(null, { status, headers: { "content-length": "0" } });
}

/** Under /api/v2 as Alertmanager's API answers errors of the protocol; elsewhere with code, message and details. */
export function refusalReply(path: string, { status, code, message, headers, details }: HttpRefusal): Response {
  const body = isAlertmanagerPath(path) ? { code: status, message } : { error: { code, message, details } };
  return jsonWith(status, body, headers);
}

export function isAlertmanagerPath(path: string): boolean {
  return path === "/api/v2" || path.startsWith("/api/v2/");
}
