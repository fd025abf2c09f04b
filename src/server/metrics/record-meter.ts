/** Numbers about metric records and the alerts that were detected in them. */
import { Counter, Gauge } from "prom-client";
import type { RecordStream, Taken } from "../records/record-stream.ts";
import type { Metrics } from "./metrics.ts";

/** Of a batch's counts, those that say what became of a record. */
const OUTCOMES = ["accepted", "rejected", "unmatched", "duplicates", "withoutValue", "late"] as const;

export type RecordMeter = {
  taken(stream: string, taken: Taken): void;
  delivered(stream: string, status: string, outcome: string): void;
  /** Asks these streams when somebody reads. */
  watch(streams: readonly RecordStream[]): void;
};

export function recordMeter({ registry }: Metrics): RecordMeter {
  const registers = [registry];
  const records = new Counter({
    name: "becalm_records_total",
    help: "Metric records, by what became of them; one that several groups of strategies match counts in each.",
    labelNames: ["stream", "outcome"],
    registers,
  });
  const alerts = new Counter({
    name: "becalm_detected_alerts_total",
    help: "Detected alerts that the engine was given, by status and by what became of them.",
    labelNames: ["stream", "status", "outcome"],
    registers,
  });
  let watched: readonly RecordStream[] = [];
  new Gauge({
    name: "becalm_detected_alerts_undelivered",
    help: "Detected alerts that the engine has not taken yet.",
    labelNames: ["stream"],
    registers,
    collect() {
      for (const { name, undelivered } of watched) this.set({ stream: name }, undelivered);
    },
  });
  return {
    delivered: (stream, status, outcome) => alerts.inc({ stream, status, outcome }),
    taken: (stream, { counts }) => {
      for (const outcome of OUTCOMES) if (counts[outcome] > 0) records.inc({ stream, outcome }, counts[outcome]);
    },
    watch: (streams) => {
      watched = streams;
    },
  };
}
