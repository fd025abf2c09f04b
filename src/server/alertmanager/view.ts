/**
 * The alerts that fire, as Alertmanager would show them: earliest start, latest annotations, the end that each
 * re-sending renews. It is kept in memory for those who look (amtool, karma, Grafana) and no decision reads it; after a
 * start it is filled from the episodes that the store records (restored-view.ts), and by the senders within their
 * interval.
 */
import type { Alert } from "../../model/alert.ts";
import { fingerprintOf } from "../../model/fingerprint.ts";
import { type PostedAlert, RESOLVE_TIMEOUT_MS } from "./posted-alerts.ts";

export type ViewedAlert = {
  readonly fingerprint: string;
  readonly labels: Alert["labels"];
  readonly annotations: Alert["annotations"];
  readonly startsAtMs: number;
  readonly endsAtMs: number;
  /** The sender gave no end: it is assumed. */
  readonly isAssumedEnd: boolean;
  readonly updatedAtMs: number;
  readonly generatorURL: string | null;
};

/** An alert of a request that was taken: `endsAtMs` null means that it fires until its sender says otherwise. */
export type Sighting = Pick<PostedAlert, "labels" | "annotations" | "startsAtMs" | "endsAtMs" | "generatorURL">;

/** Ended alerts are kept this long, so that one that fires again keeps its start. */
const ENDED_KEPT_MS = 300_000;
const SWEPT_EVERY_MS = 30_000;
const ALERT_COUNT_MAX = 250_000;

export class AlertView {
  readonly #alerts = new Map<string, ViewedAlert>();
  readonly #countMax: number;
  #sweptAtMs = 0;
  #dropped = 0;

  constructor({ countMax = ALERT_COUNT_MAX }: { countMax?: number } = {}) {
    this.#countMax = countMax;
  }

  /** Alerts that were taken but are not shown, because the view is full. */
  get dropped(): number {
    return this.#dropped;
  }

  get size(): number {
    return this.#alerts.size;
  }

  put(sighting: Sighting, nowMs: number): void {
    if (nowMs - this.#sweptAtMs >= SWEPT_EVERY_MS) this.#sweep(nowMs);
    const alert = viewed(sighting, nowMs);
    const before = this.#alerts.get(alert.fingerprint);
    if (before === undefined && this.#alerts.size >= this.#countMax) {
      this.#dropped += 1;
      return;
    }
    this.#alerts.set(alert.fingerprint, before !== undefined && overlap(alert, before) ? merged(before, alert) : alert);
  }

  /** Puts an alert that nobody has sent since the start. False: somebody has. */
  putIfMissing(sighting: Sighting, nowMs: number): boolean {
    if (this.#alerts.has(fingerprintOf(withoutEmpty(sighting.labels)))) return false;
    this.put(sighting, nowMs);
    return true;
  }

  /** Those that fire, by fingerprint. */
  firing(nowMs: number): ViewedAlert[] {
    const firing = [...this.#alerts.values()].filter(({ endsAtMs }) => endsAtMs > nowMs);
    return firing.sort((a, b) => (a.fingerprint < b.fingerprint ? -1 : 1));
  }

  #sweep(nowMs: number): void {
    this.#sweptAtMs = nowMs;
    for (const [fingerprint, { endsAtMs }] of this.#alerts)
      if (endsAtMs + ENDED_KEPT_MS <= nowMs) this.#alerts.delete(fingerprint);
  }
}

function viewed({ labels, annotations, startsAtMs, endsAtMs, generatorURL }: Sighting, nowMs: number): ViewedAlert {
  const own = withoutEmpty(labels);
  return {
    fingerprint: fingerprintOf(own),
    labels: own,
    annotations,
    startsAtMs: startsAtMs ?? endsAtMs ?? nowMs,
    endsAtMs: endsAtMs ?? nowMs + RESOLVE_TIMEOUT_MS,
    isAssumedEnd: endsAtMs === null,
    updatedAtMs: nowMs,
    generatorURL,
  };
}

function withoutEmpty(labels: Alert["labels"]): Alert["labels"] {
  if (!Object.values(labels).includes("")) return labels;
  return Object.fromEntries(Object.entries(labels).filter(([, value]) => value !== ""));
}

function overlap(alert: ViewedAlert, before: ViewedAlert): boolean {
  const lies = (atMs: number) => atMs > before.startsAtMs && atMs < before.endsAtMs;
  return lies(alert.endsAtMs) || lies(alert.startsAtMs);
}

function merged(before: ViewedAlert, alert: ViewedAlert): ViewedAlert {
  const isResolved = (one: ViewedAlert) => one.endsAtMs <= alert.updatedAtMs;
  const isEndKept = isResolved(alert) ? isResolved(before) : !before.isAssumedEnd;
  return {
    ...alert,
    startsAtMs: Math.min(before.startsAtMs, alert.startsAtMs),
    endsAtMs: isEndKept ? Math.max(before.endsAtMs, alert.endsAtMs) : alert.endsAtMs,
  };
}
