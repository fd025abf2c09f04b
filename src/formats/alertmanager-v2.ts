import type { Receipt } from "../model/receipt.ts";
import { buildReceipt, type RawObject, readTime } from "./alert-fields.ts";
import { Rejection } from "./rejection.ts";

/**
 * One alert of a POST to `/api/v2/alerts`, as Prometheus sends it: no status and no fingerprint, `endsAt` is a lease.
 * It is resolved when `endsAt <= receivedAtMs`. With `receivedAtMs` null nothing is resolved yet; the caller decides
 * later.
 */
export function readV2Alert(raw: RawObject, receivedAtMs: number | null): Receipt | Rejection {
  const endsAtMs = readTime(raw.endsAt, "endsAt");
  if (endsAtMs instanceof Rejection) return endsAtMs;
  const startsAtMs = readTime(raw.startsAt, "startsAt");
  if (startsAtMs instanceof Rejection) return startsAtMs;
  if (endsAtMs !== null && startsAtMs !== null && endsAtMs < startsAtMs)
    return new Rejection("ends_at", "endsAt lies before startsAt");
  const status = receivedAtMs !== null && endsAtMs !== null && endsAtMs <= receivedAtMs ? "resolved" : "firing";
  return buildReceipt(raw, { form: "v2", startsAtMs, endsAtMs, status });
}
