/** Alerts of a detection stream as they are told on stdout: in order, each once, whoever committed it. */
import type { DetectedAlert } from "../detection/core/detected-alert.ts";
import type { DetectionStore } from "../detection/detection-store.ts";
import { detectedLine } from "../formats/detected-line.ts";
import { printable } from "../present/text-width.ts";
import { isoTime } from "../present/time-text.ts";
import type { Logger } from "../system/logger.ts";
import type { Terminal } from "./terminal.ts";

const PAGE_COUNT = 500;

export type Telling = {
  readonly terminal: Terminal;
  /** A line for people instead of a request line. */
  readonly isForPeople: boolean;
  readonly fromSeq: number;
  readonly logger: Logger;
};

export class AlertTeller {
  readonly #telling: Telling;
  #nextSeq: number;

  constructor(telling: Telling) {
    this.#telling = telling;
    this.#nextSeq = telling.fromSeq;
  }

  /** Number of the last alert that was reported. */
  get lastSeq(): number {
    return this.#nextSeq - 1;
  }

  /** Tells stored alerts up to number `lastSeq` that were not told yet. */
  async tellStored(store: DetectionStore, lastSeq: number): Promise<void> {
    while (this.#nextSeq <= lastSeq) {
      const limit = Math.min(PAGE_COUNT, lastSeq - this.#nextSeq + 1);
      const page = await store.alerts({ fromSeq: this.#nextSeq, limit });
      if (page.length === 0) return;
      for (const { seq, value } of page) await this.#tell(seq, JSON.parse(value) as DetectedAlert);
    }
  }

  /** Tells alerts that were just committed; those before them must have been reported. */
  async tell(alerts: readonly DetectedAlert[], firstSeq: number): Promise<void> {
    for (const [index, alert] of alerts.entries()) {
      if (firstSeq + index >= this.#nextSeq) await this.#tell(firstSeq + index, alert);
    }
  }

  async #tell(seq: number, alert: DetectedAlert): Promise<void> {
    const { terminal, isForPeople, logger } = this.#telling;
    this.#nextSeq = seq + 1;
    logger.info(loggedAlert(seq, alert), `alert -> ${alert.alert.status}`);
    if (isForPeople) await terminal.out(peopleLine(alert, terminal));
    else await terminal.json(detectedLine(seq, alert));
  }
}

function loggedAlert(seq: number, { alert, time, severity, strategy }: DetectedAlert): object {
  const { labels, annotations } = alert;
  return { seq, strategy, severity, at: isoTime(time * 1_000), labels, sentence: annotations["summary"] ?? "" };
}

/**
 * `2026-11-23 06:49:54 UTC  firing    critical  cpu-core-busy  host=node-1, device=cpu0  cpu0 of node-1 is 97 % busy`.
 */
export function peopleLine(
  { alert, time, severity, strategy }: DetectedAlert,
  { outColors, reader: { times, say } }: Pick<Terminal, "outColors" | "reader">,
): string {
  const { red, green, dim } = outColors;
  const status = alert.status === "firing" ? red(say("firing  ", "触发")) : green(say("resolved", "恢复"));
  const summary = printable(alert.annotations["summary"] ?? "");
  const at = dim(`${times.seconds(time * 1_000)} ${times.zone}`);
  return [at, status, severity.padEnd(8), strategy, seriesText(alert.labels), dim(summary)]
    .filter((part) => part !== "")
    .join("  ");
}

/** The labels that tell alerts of one strategy apart. */
function seriesText(labels: Readonly<Record<string, string>>): string {
  const own = Object.entries(labels).filter(([name]) => name !== "alertname" && name !== "severity");
  return printable(own.map(([name, value]) => `${name}=${value}`).join(", "));
}
