/** What `engine.ingest` takes: alerts as a program makes them, or a body as its sender posted it. */

import { BecalmError } from "../model/errors.ts";
import { ALERT_COUNT_MAX } from "../model/limits.ts";
import { isObject, type RawObject } from "./alert-fields.ts";
import { type AlertInput, readTimeInput } from "./alert-input.ts";
import { Rejection, shown } from "./rejection.ts";
import { isCaptured, isRequest, type RawAlert, rawAlertsOf } from "./request-alerts.ts";

/**
 * A webhook of Alertmanager or Grafana, parsed. Only `alerts`, `status` and `truncatedAlerts` are read. The other keys
 * are named because a type with any key would match a list of alerts too, and hide what is wrong in one of them.
 */
export type WebhookBody = {
  readonly alerts: readonly unknown[];
  readonly status?: unknown;
  readonly truncatedAlerts?: unknown;
  readonly version?: unknown;
  readonly groupKey?: unknown;
  readonly receiver?: unknown;
  readonly groupLabels?: unknown;
  readonly commonLabels?: unknown;
  readonly commonAnnotations?: unknown;
  readonly externalURL?: unknown;
  readonly orgId?: unknown;
  readonly title?: unknown;
  readonly state?: unknown;
  readonly message?: unknown;
};

/** Alerts, one alert, or any body of docs/inputs.md, parsed or as its JSON text. */
export type IngestInput = readonly AlertInput[] | AlertInput | WebhookBody | string;

export type IngestAlerts = {
  /** In the order of the input. What is not an alert keeps its place as an error. */
  readonly inputs: readonly (AlertInput | BecalmError)[];
  /** How many alerts the sender says that it has left out (`truncatedAlerts`). */
  readonly truncated: number;
};

/**
 * The alerts of an input, not yet checked one by one.
 * @throws BECALM_ALERT_INVALID if the whole of it is something else, BECALM_ARGUMENT_INVALID if it is not a body at all
 */
export function ingestAlertsOf(input: unknown, receivedAtMs: number): IngestAlerts {
  const body = bodyOf(input);
  const { inputs, truncated } = Array.isArray(body) ? inputsOfList(body, receivedAtMs) : inputsOf(body, receivedAtMs);
  if (inputs.length <= ALERT_COUNT_MAX) return { inputs, truncated };
  throw new Rejection("limit", `it has ${inputs.length} alerts, at most ${ALERT_COUNT_MAX} are taken`).toError(
    "The request",
  );
}

function bodyOf(input: unknown): unknown {
  if (typeof input === "string") return bodyOf(parsed(input));
  if (Array.isArray(input)) return input;
  if (isCaptured(input)) return bodyOf(input.body);
  if (isObject(input)) return input;
  throw new BecalmError(
    "BECALM_ARGUMENT_INVALID",
    `engine.ingest takes alerts, or the body of a webhook, and got ${shown(input)}. If a web framework gave it, let it parse JSON first.`,
  );
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const refused = new Rejection("json", "it is not JSON").toError("The request");
    throw new BecalmError(refused.code, refused.message, { cause, details: refused.details });
  }
}

function inputsOfList(list: readonly unknown[], receivedAtMs: number): IngestAlerts {
  // The usual case, made by a program, costs nothing here.
  if (!list.some(isOfSender)) return { inputs: list as readonly AlertInput[], truncated: 0 };
  let truncated = 0;
  const inputs = list.flatMap((part) => {
    const found = rawAlertsOf(part);
    if (found instanceof Rejection) return [found.toError("The alert")];
    truncated += found.truncated;
    return found.alerts.map((alert) => inputOf(alert, receivedAtMs));
  });
  return { inputs, truncated };
}

/** A request in a list of such, or an alert that Alertmanager lists. */
function isOfSender(part: unknown): boolean {
  if (!isObject(part)) return false;
  const { labels, alerts, data, status } = part;
  // As a program makes it.
  if (isObject(labels) && alerts === undefined && data === undefined && typeof status !== "object") return false;
  return isRequest(part) || isObject(status) || Array.isArray(alerts);
}

function inputsOf(body: unknown, receivedAtMs: number): IngestAlerts {
  const found = rawAlertsOf(body);
  if (found instanceof Rejection) throw found.toError("The request");
  return { inputs: found.alerts.map((alert) => inputOf(alert, receivedAtMs)), truncated: found.truncated };
}

/** An alert of a webhook without a status of its own: ended if its `endsAt` says so, else it has the webhook's. */
function inputOf(alert: RawAlert | Rejection, receivedAtMs: number): AlertInput | BecalmError {
  if (alert instanceof Rejection) return alert.toError("The alert");
  const { raw, form, webhookStatus } = alert;
  if (form === "v2" || (typeof raw.status === "string" && raw.status !== "")) return raw as unknown as AlertInput;
  return {
    ...raw,
    status: hasEnded(raw, receivedAtMs) ? "resolved" : (webhookStatus ?? null),
  } as unknown as AlertInput;
}

function hasEnded(raw: RawObject, receivedAtMs: number): boolean {
  const endsAtMs = readTimeInput(raw, "endsAt");
  return typeof endsAtMs === "number" && endsAtMs <= receivedAtMs;
}
