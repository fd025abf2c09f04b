import type { Alert } from "../model/alert.ts";
import { BecalmError } from "../model/errors.ts";
import type { Receipt, ReceiptForm } from "../model/receipt.ts";
import { buildReceipt, checkedTime, isObject, type RawObject, readTime } from "./alert-fields.ts";
import { Rejection, shown } from "./rejection.ts";

/** A point in time as a program gives it: RFC 3339 text, a Date, or epoch milliseconds. */
export type TimeInput = string | number | Date;

/** An alert as a program gives it: the shape of Alertmanager's v2 or v4 alerts, or an Alert. */
export type AlertInput =
  | Alert
  | Receipt
  | {
      readonly labels: Readonly<Record<string, string>>;
      readonly annotations?: Readonly<Record<string, string>> | undefined;
      /** Default: when the alert was received. */
      readonly startsAt?: TimeInput | null | undefined;
      readonly endsAt?: TimeInput | null | undefined;
      /** Default: resolved if `endsAt` is at or before the receipt, else firing. */
      readonly status?: "firing" | "resolved" | undefined;
      readonly generatorURL?: string | null | undefined;
    };

/**
 * The receipt that a program's input is, checked and with its own fingerprint. One with a `status` is v4, as a
 * webhook's alert; one without is v2.
 * @throws BECALM_ALERT_INVALID
 */
export function toReceipt(input: AlertInput, { receivedAtMs }: { receivedAtMs: number }): Receipt {
  const receipt = tryReceipt(input, receivedAtMs);
  if (receipt instanceof BecalmError) throw receipt;
  return receipt;
}

/** What `toReceipt` throws is given back instead. */
export function tryReceipt(input: AlertInput, receivedAtMs: number): Receipt | BecalmError {
  const receipt = readAlertInput(input, receivedAtMs);
  return receipt instanceof Rejection ? receipt.toError("The alert") : receipt;
}

function readAlertInput(input: unknown, receivedAtMs: number): Receipt | Rejection {
  if (!isObject(input)) return new Rejection("shape", `an alert must be an object, got ${shown(input)}`);
  const startsAtMs = readTimeInput(input, "startsAt");
  if (startsAtMs instanceof Rejection) return startsAtMs;
  const endsAtMs = readTimeInput(input, "endsAt");
  if (endsAtMs instanceof Rejection) return endsAtMs;
  const form = readForm(input);
  const { status = endsAtMs !== null && endsAtMs <= receivedAtMs ? "resolved" : "firing" } = input;
  if (status !== "firing" && status !== "resolved") {
    return new Rejection("status", `status must be "firing" or "resolved", got ${shown(status)}`);
  }
  return buildReceipt(input, { form, startsAtMs, endsAtMs, status });
}

/** A receipt says what it is; a bare alert with a status is as good as a webhook's. */
function readForm({ form, status }: RawObject): ReceiptForm {
  if (form === "v2" || form === "v4") return form;
  return status === undefined ? "v2" : "v4";
}

/** Reads `startsAt`, or `startsAtMs` of an Alert. */
export function readTimeInput(input: RawObject, name: "startsAt" | "endsAt"): number | null | Rejection {
  const raw = input[name] ?? input[`${name}Ms`];
  const atMs = raw instanceof Date ? raw.getTime() : raw;
  if (typeof atMs !== "number") return readTime(atMs, name);
  return checkedTime(Math.floor(atMs), name);
}

export function receiptOrNone(reading: Receipt | BecalmError): Receipt | undefined {
  return reading instanceof BecalmError ? undefined : reading;
}
