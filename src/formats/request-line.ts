import { ALERT_COUNT_MAX, REQUEST_LINE_BYTES_MAX } from "../model/limits.ts";
import type { Receipt } from "../model/receipt.ts";
import { parseAlertTime } from "../model/timestamp.ts";
import { exceedsUtf8Bytes } from "../model/utf8.ts";
import { isObject } from "./alert-fields.ts";
import { readV2Alert } from "./alertmanager-v2.ts";
import { readV4Alert } from "./alertmanager-v4.ts";
import { isRecordedEvent } from "./event-recorder.ts";
import { jsonErrorOffset } from "./json-position.ts";
import { type AlertRejection, Rejection, type RejectionCode, shown } from "./rejection.ts";
import { isCaptured, isRequest, type RawAlert, type RawAlerts, rawAlertsOf } from "./request-alerts.ts";

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
  /** The request's own time: receivedAt, else the greatest startsAt; null when nothing gives one. */
  readonly ownAtMs: number | null;
  /** The line's time: the request's own, never below the floor; without one the floor. */
  readonly atMs: number | null;
  readonly alerts: readonly Receipt[];
  readonly rejections: readonly AlertRejection[];
  /** How many alerts the sender says that it has left out (`truncatedAlerts`). */
  readonly truncated: number;
};

/** A line of which nothing was taken. */
export type RejectedLine = { readonly rejected: RejectionCode; readonly reason: string };

/**
 * Reads one request: a captured one (`{ receivedAt, path, headers, body }`, of which only receivedAt and body count) or
 * a bare body, in any of the shapes of request-alerts.ts. A body may also be a JSON text. Unknown keys are ignored.
 * A bad alert is rejected with its index and the others are taken. Never throws.
 */
export function parseRequestLine(line: string, options: RequestLineOptions = {}): RequestLine | RejectedLine {
  const value = parseRequestText(line);
  const request = value instanceof Rejection ? value : readRequest(value, options);
  return request instanceof Rejection ? { rejected: request.code, reason: request.reason } : request;
}

/** The JSON value of a line, or of a whole document. */
export function parseRequestText(text: string): unknown {
  if (exceedsUtf8Bytes(text, REQUEST_LINE_BYTES_MAX))
    return new Rejection("limit", `a request is at most ${REQUEST_LINE_BYTES_MAX} bytes`);
  return parseJson(text, "the line");
}

/** The requests that a value holds: a list of captured requests, webhooks or recorded events is one of several. */
export function requestsOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) && value.some(isRequest) ? value : [value];
}

/** Reads a request that has been parsed already, such as the body that an HTTP server read. */
export function readRequest(value: unknown, options: RequestLineOptions = {}): RequestLine | Rejection {
  const rawBody = isCaptured(value) ? value.body : value;
  const receivedAtMs = readReceivedAt(receivedAtOf(value), options);
  if (receivedAtMs instanceof Rejection) return receivedAtMs;
  const body = typeof rawBody === "string" ? parseJson(rawBody, "the body") : rawBody;
  const found = body instanceof Rejection ? body : rawAlertsOf(body, isDetected(value) ? "v4" : "v2");
  if (found instanceof Rejection) return found;
  if (found.alerts.length > ALERT_COUNT_MAX)
    return new Rejection("limit", `a request has at most ${ALERT_COUNT_MAX} alerts, got ${found.alerts.length}`);
  return readAlerts(found, receivedAtMs, options.floorMs ?? null);
}

/** A line of `becalm detect`: its alert is reported once, and fires until it is told to have resolved. */
function isDetected(value: unknown): boolean {
  return isCaptured(value) && isObject(value.detection);
}

function receivedAtOf(value: unknown): unknown {
  if (isCaptured(value)) return value.receivedAt;
  return isRecordedEvent(value) ? value["@timestamp"] : undefined;
}

function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return new Rejection("json", `${what} is not JSON: ${jsonMistake(text, jsonErrorOffset(text))}`);
  }
}

/** What stands where a text stops being JSON, and where that is. */
function jsonMistake(text: string, offset: number): string {
  const found =
    offset >= text.length ? "it ends too early" : `unexpected ${JSON.stringify(text.slice(offset, offset + 12))}`;
  const lineStart = text.lastIndexOf("\n", offset - 1) + 1;
  if (lineStart === 0) return `${found} at character ${offset + 1}`;
  const line = text.slice(0, lineStart).split("\n").length;
  return `${found} at character ${offset - lineStart + 1} of its line ${line}`;
}

function readReceivedAt(raw: unknown, options: RequestLineOptions): number | null | Rejection {
  if (raw === undefined || raw === null) return options.receivedAtMs ?? null;
  const atMs = typeof raw === "string" ? parseAlertTime(raw) : null;
  return (
    atMs ?? new Rejection("received_at", `receivedAt must be a time such as 2026-11-23T06:00:00Z, got ${shown(raw)}`)
  );
}

function readAlerts({ alerts: raw, truncated }: RawAlerts, receivedAtMs: number | null, floorMs: number | null) {
  const read: ReadAlert[] = [];
  const rejections: AlertRejection[] = [];
  for (let index = 0; index < raw.length; index += 1) {
    const item = raw[index] as RawAlert | Rejection;
    const receipt = item instanceof Rejection ? item : readAlert(item, receivedAtMs);
    if (receipt instanceof Rejection) rejections.push({ index, code: receipt.code, reason: receipt.reason });
    else read.push({ index, receipt, saysItself: hasStatus((item as RawAlert).raw) });
  }
  const ownAtMs = receivedAtMs ?? greatestStart(read);
  const atMs = ownAtMs === null ? floorMs : Math.max(ownAtMs, floorMs ?? ownAtMs);
  if (atMs === null)
    return { receivedAtMs, ownAtMs, atMs, alerts: [], rejections: undated(read, rejections), truncated };
  // Without receivedAt the line's own time, known only now, decides which ends have passed.
  const alerts = read.map(({ receipt, saysItself }) =>
    receivedAtMs !== null || saysItself ? receipt : resolvedBy(receipt, atMs),
  );
  return { receivedAtMs, ownAtMs, atMs, alerts, rejections, truncated };
}

/** `saysItself`: that it fires, or has ended. */
type ReadAlert = { readonly index: number; readonly receipt: Receipt; readonly saysItself: boolean };

function hasStatus({ status }: RawAlert["raw"]): boolean {
  return typeof status === "string" && status !== "";
}

/** Nothing says when any of these was received. */
function undated(read: readonly ReadAlert[], rejections: readonly AlertRejection[]): AlertRejection[] {
  const reason = "startsAt is missing, and nothing says when the request was received";
  const missing = read.map(({ index }): AlertRejection => ({ index, code: "starts_at", reason }));
  return [...rejections, ...missing].sort((a, b) => (a.index ?? 0) - (b.index ?? 0));
}

function readAlert({ raw, form, webhookStatus }: RawAlert, receivedAtMs: number | null): Receipt | Rejection {
  return form === "v4" ? readV4Alert(raw, { receivedAtMs, status: webhookStatus }) : readV2Alert(raw, receivedAtMs);
}

function resolvedBy(receipt: Receipt, atMs: number): Receipt {
  return receipt.endsAtMs !== null && receipt.endsAtMs <= atMs ? { ...receipt, status: "resolved" } : receipt;
}

function greatestStart(read: readonly ReadAlert[]): number | null {
  let atMs: number | null = null;
  for (const { receipt } of read) {
    const { startsAtMs } = receipt;
    if (startsAtMs !== null && (atMs === null || startsAtMs > atMs)) atMs = startsAtMs;
  }
  return atMs;
}
