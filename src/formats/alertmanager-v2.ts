import type { Alert } from "../model/alert.ts";
import { buildAlert, type RawObject, readTime } from "./alert-fields.ts";
import { Rejection } from "./rejection.ts";

/**
 * One alert of a POST to `/api/v2/alerts`, as Prometheus sends it: no status and no fingerprint, `endsAt` is a lease.
 * It is resolved when `endsAt <= receivedAtMs`. An absent `startsAt` is `receivedAtMs` (each receipt is then an episode
 * of its own), or `endsAt` if that is earlier. With `receivedAtMs` null nothing is resolved yet; the caller decides later.
 */
export function readV2Alert(raw: RawObject, receivedAtMs: number | null): Alert | Rejection {
  const endsAtMs = readTime(raw.endsAt, "endsAt");
  if (endsAtMs instanceof Rejection) return endsAtMs;
  const givenStartsAtMs = readTime(raw.startsAt, "startsAt");
  if (givenStartsAtMs instanceof Rejection) return givenStartsAtMs;
  const startsAtMs =
    givenStartsAtMs ?? (receivedAtMs === null ? null : Math.min(receivedAtMs, endsAtMs ?? receivedAtMs));
  if (startsAtMs === null)
    return new Rejection("starts_at", "startsAt is missing, and the line has no receivedAt to stand for it");
  if (endsAtMs !== null && endsAtMs < startsAtMs) return new Rejection("ends_at", "endsAt lies before startsAt");
  const status = receivedAtMs !== null && endsAtMs !== null && endsAtMs <= receivedAtMs ? "resolved" : "firing";
  return buildAlert(raw, { startsAtMs, endsAtMs, status });
}
