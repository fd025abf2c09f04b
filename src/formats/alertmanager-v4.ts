import type { Alert } from "../model/alert.ts";
import { buildAlert, isObject, readTime } from "./alert-fields.ts";
import { Rejection, shown } from "./rejection.ts";

/**
 * One alert of Alertmanager's webhook, version 4. Its own `status` says whether it fires; the group's status, group labels
 * and the sender's fingerprint are not looked at. `startsAt` is required: it is half of the episode's identity.
 */
export function readV4Alert(raw: unknown): Alert | Rejection {
  if (!isObject(raw)) return new Rejection("shape", `an alert must be an object, got ${shown(raw)}`);
  const { status } = raw;
  if (status !== "firing" && status !== "resolved") {
    return new Rejection("status", `status must be "firing" or "resolved", got ${shown(status)}`);
  }
  const startsAtMs = readTime(raw.startsAt, "startsAt");
  if (startsAtMs instanceof Rejection) return startsAtMs;
  if (startsAtMs === null) return new Rejection("starts_at", "startsAt is missing");
  const endsAtMs = readTime(raw.endsAt, "endsAt");
  if (endsAtMs instanceof Rejection) return endsAtMs;
  return buildAlert(raw, { startsAtMs, endsAtMs, status });
}
