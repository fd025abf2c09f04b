import type { Alert } from "../model/alert.ts";
import { buildAlert, checkedTime, isObject, type RawObject, readTime } from "./alert-fields.ts";
import { Rejection, shown } from "./rejection.ts";

/** A point in time as a program gives it: RFC 3339 text, a Date, or epoch milliseconds. */
export type TimeInput = string | number | Date;

/** An alert as a program gives it: the shape of Alertmanager's v2 or v4 alerts, or an Alert. */
export type AlertInput =
  | Alert
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
 * The alert of a program's input, checked and with its own fingerprint. `receivedAtMs` stands for a missing `startsAt`.
 * Throws BECALM_ALERT_INVALID.
 */
export function toAlert(input: AlertInput, { receivedAtMs }: { receivedAtMs: number }): Alert {
  const alert = readAlertInput(input, receivedAtMs);
  if (alert instanceof Rejection) throw alert.toError("The alert");
  return alert;
}

function readAlertInput(input: unknown, receivedAtMs: number): Alert | Rejection {
  if (!isObject(input)) return new Rejection("shape", `an alert must be an object, got ${shown(input)}`);
  const startsAtMs = readTimeInput(input, "startsAt");
  if (startsAtMs instanceof Rejection) return startsAtMs;
  const endsAtMs = readTimeInput(input, "endsAt");
  if (endsAtMs instanceof Rejection) return endsAtMs;
  const { status = endsAtMs !== null && endsAtMs <= receivedAtMs ? "resolved" : "firing" } = input;
  if (status !== "firing" && status !== "resolved") {
    return new Rejection("status", `status must be "firing" or "resolved", got ${shown(status)}`);
  }
  return buildAlert(input, {
    startsAtMs: startsAtMs ?? Math.min(receivedAtMs, endsAtMs ?? receivedAtMs),
    endsAtMs,
    status,
  });
}

/** Reads `startsAt`, or `startsAtMs` of an Alert. */
function readTimeInput(input: RawObject, name: "startsAt" | "endsAt"): number | null | Rejection {
  const raw = input[name] ?? input[`${name}Ms`];
  const atMs = raw instanceof Date ? raw.getTime() : raw;
  if (typeof atMs !== "number") return readTime(atMs, name);
  return checkedTime(Math.floor(atMs), name);
}
