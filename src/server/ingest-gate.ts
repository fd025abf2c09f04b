/**
 * Alerts on their way to the engine, counted by what became of them. How many may be under way at once is the engine's
 * business.
 */
import type { Engine, IngestResult } from "../engine.ts";
import type { AlertInput } from "../formats/alert-input.ts";
import { isForNow } from "./http/http-refusal.ts";
import type { Metrics } from "./metrics/metrics.ts";

/** What a request had beside the alerts that the engine gets. */
export type BesideAlerts = {
  /** Alerts that break the format. */
  readonly malformed: number;
  /** Alerts that the sender left out, as it says. */
  readonly truncated: number;
};

const NOTHING_BESIDE: BesideAlerts = { malformed: 0, truncated: 0 };

export class IngestGate {
  readonly #engine: Pick<Engine, "ingest">;
  readonly #metrics: Metrics;
  readonly #now: () => number;
  readonly #received: (count: number) => void;

  constructor(
    engine: Pick<Engine, "ingest">,
    { metrics, now, received }: { metrics: Metrics; now: () => number; received: (count: number) => void },
  ) {
    this.#engine = engine;
    this.#metrics = metrics;
    this.#now = now;
    this.#received = received;
  }

  readonly ingest = async (
    alerts: readonly AlertInput[],
    { malformed, truncated }: BesideAlerts = NOTHING_BESIDE,
  ): Promise<IngestResult> => {
    this.#metrics.received("rejected", malformed);
    this.#metrics.leftOut(truncated);
    try {
      const result = await this.#engine.ingest(alerts);
      this.#received(alerts.length);
      this.#count(alerts, result);
      return result;
    } catch (error) {
      this.#metrics.received("refused", alerts.length);
      throw error;
    }
  };

  #count(alerts: readonly AlertInput[], { instances, unmatched, rejected }: IngestResult): void {
    const counts = new Map<string, number>();
    const add = (outcome: string) => counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
    const nowMs = this.#now();
    for (const { outcome, alert } of instances) {
      add(outcome);
      if (outcome !== "created") continue;
      const startsAtMs = startOf(alerts[alert] as AlertInput);
      if (startsAtMs !== null) this.#metrics.decidedAfter(nowMs - startsAtMs);
    }
    for (const { error } of rejected) add(isForNow(error) ? "refused" : "rejected");
    for (const [outcome, count] of counts) this.#metrics.received(outcome, count);
    this.#metrics.received("unmatched", unmatched.length);
  }
}

function startOf(alert: AlertInput): number | null {
  const given = "startsAtMs" in alert ? alert.startsAtMs : alert.startsAt;
  return typeof given === "number" ? given : null;
}
