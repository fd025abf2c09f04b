import type { Receipt } from "../model/receipt.ts";
import { buildReceipt, type RawObject, readTime } from "./alert-fields.ts";
import { Rejection, shown } from "./rejection.ts";

/** What the request around an alert says. */
export type AlertContext = {
  /** null: not known yet; what `endsAt` decides is then decided later. */
  readonly receivedAtMs: number | null;
  /** `status` of the webhook, whatever it is; undefined: there is none. */
  readonly status: unknown;
};

/**
 * One alert of Alertmanager's webhook (version 4) or of Grafana's. Its own `status` says whether it fires. Without one
 * it is resolved if its `endsAt` has passed, else it has the status of its webhook. A sender's fingerprint is ignored.
 */
export function readV4Alert(
  raw: RawObject,
  { receivedAtMs, status: webhookStatus }: AlertContext,
): Receipt | Rejection {
  const startsAtMs = readTime(raw.startsAt, "startsAt");
  if (startsAtMs instanceof Rejection) return startsAtMs;
  const endsAtMs = readTime(raw.endsAt, "endsAt");
  if (endsAtMs instanceof Rejection) return endsAtMs;
  const hasEnded = endsAtMs !== null && receivedAtMs !== null && endsAtMs <= receivedAtMs;
  const status = readStatus(raw.status) ?? (hasEnded ? "resolved" : readStatus(webhookStatus));
  if (status instanceof Rejection) return status;
  if (status === null) return new Rejection("status", "the alert and its webhook have no status");
  return buildReceipt(raw, { form: "v4", startsAtMs, endsAtMs, status });
}

/** Of an alert or a webhook; null: it has none. */
export function readStatus(raw: unknown): Receipt["status"] | null | Rejection {
  if (raw === undefined || raw === null || raw === "") return null;
  if (raw === "firing" || raw === "resolved") return raw;
  return new Rejection("status", `status must be "firing" or "resolved", got ${shown(raw)}`);
}
