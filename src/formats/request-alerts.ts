/** Finds the alerts in the body of a request, whichever of the known shapes it has. */
import type { ReceiptForm } from "../model/receipt.ts";
import { isObject, type RawObject } from "./alert-fields.ts";
import { alertsOfEvent, isRecordedEvent } from "./event-recorder.ts";
import { foreignShape } from "./foreign-shapes.ts";
import { Rejection, shown } from "./rejection.ts";

/** An alert that has not been read yet. */
export type RawAlert = {
  readonly raw: RawObject;
  /** v4: it is part of a webhook or in the event recorder, or has a status of its own. */
  readonly form: ReceiptForm;
  /** `status` of its webhook. */
  readonly webhookStatus: unknown;
};

export type RawAlerts = {
  /** In the order of the body. What is not an alert keeps its place as a rejection. */
  readonly alerts: readonly (RawAlert | Rejection)[];
  /** How many alerts the senders say that they have left out. */
  readonly truncated: number;
};

const NO_ALERTS: RawAlerts = { alerts: [], truncated: 0 };

/**
 * A body is an array of alerts (API v2), a webhook, one alert, an entry of the event recorder, or a list of these. The
 * groups of `GET /api/v2/alerts/groups` are such a list: their alerts are taken as `GET /api/v2/alerts` gives them.
 * `bareForm`: of alerts that are not part of a webhook and have no status.
 */
export function rawAlertsOf(body: unknown, bareForm: ReceiptForm = "v2"): RawAlerts | Rejection {
  if (!Array.isArray(body)) return partOf(body, bareForm);
  const parts = body.map((part): RawAlerts => {
    const alerts = partOf(part, bareForm);
    return alerts instanceof Rejection ? { alerts: [alerts], truncated: 0 } : alerts;
  });
  const alerts = parts.flatMap((part) => part.alerts);
  const [first] = alerts;
  // A list of something else is one mistake, not as many as it has items.
  if (first instanceof Rejection && alerts.every((one) => one instanceof Rejection && one.code === "shape"))
    return first;
  return {
    alerts,
    truncated: parts.reduce((sum, { truncated }) => sum + truncated, 0),
  };
}

/** Does the value say itself when it came, or who sent it? A list of such is a list of requests, not a body. */
export function isRequest(value: unknown): boolean {
  return isCaptured(value) || isRecordedEvent(value) || (isWebhook(value) && !isObject(value.receiver));
}

/** `{ receivedAt, path, headers, body }`. */
export function isCaptured(value: unknown): value is RawObject & { readonly body: unknown } {
  return isObject(value) && "body" in value && !isWebhook(value) && !isObject(value.labels);
}

function isWebhook(value: unknown): value is RawObject & { readonly alerts: readonly unknown[] } {
  return isObject(value) && Array.isArray(value.alerts);
}

function partOf(part: unknown, bareForm: ReceiptForm): RawAlerts | Rejection {
  if (isRecordedEvent(part)) {
    const alerts = alertsOfEvent(part);
    if (alerts instanceof Rejection) return alerts;
    return {
      ...NO_ALERTS,
      alerts: alerts.map((raw) => (raw instanceof Rejection ? raw : rawAlert(raw, "v4", undefined))),
    };
  }
  if (isWebhook(part)) return alertsOfWebhook(part);
  if (!isObject(part)) return new Rejection("shape", `an alert must be an object, got ${shown(part)}`);
  const foreign = foreignShape(part);
  if (foreign !== null) return foreign;
  const alert = rawAlert(part, bareForm, bareForm === "v4" ? "firing" : undefined);
  return alert instanceof Rejection ? alert : { ...NO_ALERTS, alerts: [alert] };
}

function alertsOfWebhook({ alerts, status, truncatedAlerts }: RawObject & { alerts: readonly unknown[] }): RawAlerts {
  const isCount = typeof truncatedAlerts === "number" && Number.isSafeInteger(truncatedAlerts) && truncatedAlerts > 0;
  return { alerts: alerts.map((raw) => rawAlert(raw, "v4", status)), truncated: isCount ? truncatedAlerts : 0 };
}

/** An alert that Alertmanager lists has an object for its status; Prometheus' own API gives no `startsAt`. */
function rawAlert(raw: unknown, form: ReceiptForm, webhookStatus: unknown): RawAlert | Rejection {
  if (!isObject(raw)) return new Rejection("shape", `an alert must be an object, got ${shown(raw)}`);
  const { status } = raw;
  if (isObject(status)) {
    if (status.state === "suppressed") return suppressed(status);
    return { raw: { ...raw, status: undefined }, form: "v2", webhookStatus: undefined };
  }
  if (raw.activeAt !== undefined && raw.startsAt === undefined)
    return new Rejection(
      "shape",
      "an alert of Prometheus' own API has no startsAt: take Alertmanager's /api/v2/alerts",
    );
  const hasStatus = status !== undefined && status !== null && status !== "";
  return { raw, form: hasStatus ? "v4" : form, webhookStatus };
}

function suppressed({ silencedBy, inhibitedBy, mutedBy }: RawObject): Rejection {
  const by = [silencedBy, inhibitedBy, mutedBy].flatMap((ids) => (Array.isArray(ids) ? ids.map(String) : []));
  const whom = by.length === 0 ? "" : ` by ${shown(by.join(", "))}`;
  return new Rejection("suppressed", `Alertmanager held it back${whom}, so nobody would have been told of it`);
}
