import type { DetectedAlert } from "../detection/core/detected-alert.ts";
import { isoTime } from "../model/timestamp.ts";

/**
 * A detected alert as a request line that `becalm run` takes: an alert of Alertmanager's API v2, received at the data
 * time at which it was decided. `seq` and `detection` are for whoever else reads it.
 */
export function detectedLine(seq: number, { alert, strategy, severity, reason, dimensionsMd5, time }: DetectedAlert) {
  const endsAt = alert.endsAtMs === null ? {} : { endsAt: isoTime(alert.endsAtMs) };
  return {
    seq,
    receivedAt: isoTime(time * 1_000),
    path: "/api/v2/alerts",
    body: [{ labels: alert.labels, annotations: alert.annotations, startsAt: isoTime(alert.startsAtMs), ...endsAt }],
    detection: { strategy, severity, reason, dimensionsMd5 },
  };
}
