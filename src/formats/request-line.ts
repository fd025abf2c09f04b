import type { Alert } from "../model/alert.ts";
import { REQUEST_LINE_BYTES_MAX } from "../model/limits.ts";
import { parseTimestamp } from "../model/timestamp.ts";
import { exceedsUtf8Bytes } from "../model/utf8.ts";
import { isObject } from "./alert-fields.ts";
import { readV2Alert } from "./alertmanager-v2.ts";
import { readV4Alert } from "./alertmanager-v4.ts";
import { jsonErrorOffset } from "./json-position.ts";
import { type AlertRejection, Rejection, type RejectionCode, shown } from "./rejection.ts";

export type RequestLineOptions = {
  /** When the request came, for a body that does not say so itself (a server's clock). */
  readonly receivedAtMs?: number;
  /** The time that a run has reached: the time of a line never falls below it. */
  readonly floorMs?: number;
};

/** The alerts of one request that were taken, in body order, and the ones that were not. */
export type RequestLine = {
  /** When the request says that it was received, else the option; null when neither does. */
  readonly receivedAtMs: number | null;
  /** The line's time: receivedAt, else the greatest startsAt, never below the floor; null when nothing gives one. */
  readonly atMs: number | null;
  readonly alerts: readonly Alert[];
  readonly rejections: readonly AlertRejection[];
};

/** A line of which nothing was taken. */
export type RejectedLine = { readonly rejected: RejectionCode; readonly reason: string };

/**
 * Reads one request: a captured one (`{ receivedAt, path, headers, body }`, of which only receivedAt and body count) or a bare
 * body. A body is Alertmanager's v2 array or its v4 webhook object, or either as a JSON text. Unknown keys are ignored.
 * A bad alert is rejected with its index and the others are taken. Never throws.
 */
export function parseRequestLine(line: string, options: RequestLineOptions = {}): RequestLine | RejectedLine {
  if (exceedsUtf8Bytes(line, REQUEST_LINE_BYTES_MAX)) {
    return { rejected: "limit", reason: `a request is at most ${REQUEST_LINE_BYTES_MAX} bytes` };
  }
  const value = parseJson(line, "the line");
  const request = value instanceof Rejection ? value : readRequest(value, options);
  return request instanceof Rejection ? { rejected: request.code, reason: request.reason } : request;
}

/** The same for a request that has been parsed already, such as the body that an HTTP server read. */
export function readRequest(value: unknown, options: RequestLineOptions = {}): RequestLine | Rejection {
  const isCaptured = isObject(value) && "body" in value && !Array.isArray(value.alerts);
  const receivedAtMs = readReceivedAt(isCaptured ? value.receivedAt : undefined, options);
  if (receivedAtMs instanceof Rejection) return receivedAtMs;
  const rawBody = isCaptured ? value.body : value;
  const body = typeof rawBody === "string" ? parseJson(rawBody, "the body") : rawBody;
  if (body instanceof Rejection) return body;
  if (Array.isArray(body)) return readV2Body(body, receivedAtMs, options.floorMs ?? null);
  if (isObject(body) && Array.isArray(body.alerts))
    return readV4Body(body.alerts, receivedAtMs, options.floorMs ?? null);
  return new Rejection(
    "shape",
    `expected an array of alerts (API v2) or an object with alerts (webhook), got ${shown(body)}`,
  );
}

function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    const offset = jsonErrorOffset(text);
    const found =
      offset >= text.length ? "it ends too early" : `unexpected ${JSON.stringify(text.slice(offset, offset + 12))}`;
    return new Rejection("json", `${what} is not JSON: ${found} at character ${offset + 1}`);
  }
}

function readReceivedAt(raw: unknown, options: RequestLineOptions): number | null | Rejection {
  if (raw === undefined || raw === null) return options.receivedAtMs ?? null;
  const atMs = typeof raw === "string" ? parseTimestamp(raw) : null;
  return atMs ?? new Rejection("received_at", `receivedAt must be an RFC 3339 time, got ${shown(raw)}`);
}

function readV4Body(raw: readonly unknown[], receivedAtMs: number | null, floorMs: number | null): RequestLine {
  const { alerts, rejections } = readAll(raw, readV4Alert);
  return { receivedAtMs, atMs: timeOfLine(alerts, receivedAtMs, floorMs), alerts, rejections };
}

function readV2Body(raw: readonly unknown[], receivedAtMs: number | null, floorMs: number | null): RequestLine {
  const { alerts, rejections } = readAll(raw, (item) => readV2Alert(item, receivedAtMs));
  const atMs = timeOfLine(alerts, receivedAtMs, floorMs);
  if (receivedAtMs !== null) return { receivedAtMs, atMs, alerts, rejections };
  // Without receivedAt the line's own time, known only now, decides which leases have run out.
  return { receivedAtMs, atMs, alerts: alerts.map((alert) => resolvedBy(alert, atMs)), rejections };
}

function resolvedBy(alert: Alert, atMs: number | null): Alert {
  const isResolved = atMs !== null && alert.endsAtMs !== null && alert.endsAtMs <= atMs;
  return isResolved ? { ...alert, status: "resolved" } : alert;
}

function readAll(
  raw: readonly unknown[],
  read: (item: unknown) => Alert | Rejection,
): Pick<RequestLine, "alerts" | "rejections"> {
  const alerts: Alert[] = [];
  const rejections: AlertRejection[] = [];
  for (let index = 0; index < raw.length; index += 1) {
    const alert = read(raw[index]);
    if (alert instanceof Rejection) rejections.push({ index, code: alert.code, reason: alert.reason });
    else alerts.push(alert);
  }
  return { alerts, rejections };
}

function timeOfLine(alerts: readonly Alert[], receivedAtMs: number | null, floorMs: number | null): number | null {
  let atMs = receivedAtMs;
  if (atMs === null) for (const { startsAtMs } of alerts) atMs = Math.max(atMs ?? startsAtMs, startsAtMs);
  return atMs === null ? floorMs : Math.max(atMs, floorMs ?? atMs);
}
