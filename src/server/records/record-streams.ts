/** The detection streams that a server has: named when it starts, each with its own turn. */
import type { DetectedAlert } from "../../detection/core/detected-alert.ts";
import type { Strategy } from "../../detection/core/strategy.ts";
import { messageOf } from "../../model/errors.ts";
import type { Logger } from "../../system/logger.ts";
import type { AlertView } from "../alertmanager/view.ts";
import { HttpRefusal, isForNow } from "../http/http-refusal.ts";
import type { IngestGate } from "../ingest-gate.ts";
import type { RecordMeter } from "../metrics/record-meter.ts";
import { type Delivery, RecordStream, type StreamPorts, type Taken } from "./record-stream.ts";

const TICK_MS = 2_000;

export type RecordStreamsOptions = {
  readonly names: readonly string[];
  readonly strategies: readonly Strategy[];
  readonly portsOf: (stream: string) => Omit<StreamPorts, "deliver">;
  readonly logger: Logger;
};

/** Where detected alerts go. */
export type AlertSink = {
  readonly ingest: IngestGate["ingest"];
  readonly view: AlertView;
  readonly meter: RecordMeter;
  readonly now: () => number;
};

export class RecordStreams {
  readonly #streams: readonly RecordStream[];
  readonly #logger: Logger;
  #strategies: readonly Strategy[];
  #sink: AlertSink | null = null;
  #timer: NodeJS.Timeout | null = null;
  #ticking: Promise<void> = Promise.resolve();

  constructor({ names, strategies, portsOf, logger }: RecordStreamsOptions) {
    this.#strategies = strategies;
    this.#logger = logger;
    this.#streams = names.map((name) => {
      const deliver = (alerts: readonly DetectedAlert[]) => this.#deliver(name, alerts);
      return new RecordStream(name, strategies, { ...portsOf(name), deliver });
    });
  }

  get all(): readonly RecordStream[] {
    return this.#streams;
  }

  get strategies(): readonly Strategy[] {
    return this.#strategies;
  }

  /** Where alerts go from now on. */
  connect(sink: AlertSink): void {
    this.#sink = sink;
    sink.meter.watch(this.#streams);
  }

  /** Delivers what an earlier process left, and lets time go on for streams that are silent. */
  start(): void {
    const tick = async (): Promise<void> => {
      for (const stream of this.#streams) await this.#tick(stream);
      if (this.#timer !== null) this.#timer = setTimeout(run, TICK_MS);
    };
    const run = () => {
      this.#ticking = tick();
    };
    this.#timer = setTimeout(run, 0);
  }

  find(name: string): RecordStream {
    const stream = this.#streams.find((one) => one.name === name);
    if (stream !== undefined) return stream;
    const names = this.#streams.map((one) => one.name).join(", ");
    const why = `Unknown stream ${JSON.stringify(name)}. This server has ${names}; name more with --stream.`;
    throw new HttpRefusal(404, "BECALM_NOT_FOUND", { why });
  }

  count(stream: RecordStream, taken: Taken): void {
    this.#sink?.meter.taken(stream.name, taken);
  }

  async reload(strategies: readonly Strategy[]): Promise<void> {
    for (const stream of this.#streams) await stream.reload(strategies);
    this.#strategies = strategies;
  }

  async close(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    await this.#ticking;
    await Promise.all(this.#streams.map((stream) => stream.close()));
  }

  async #tick(stream: RecordStream): Promise<void> {
    try {
      await stream.tick();
    } catch (error) {
      this.#logger.error({ err: error, stream: stream.name }, `a stream could not go on: ${messageOf(error)}`);
    }
  }

  async #deliver(stream: string, alerts: readonly DetectedAlert[]): Promise<Delivery[]> {
    const { ingest, view, meter, now } = this.#sink as AlertSink;
    const result = await ingest(alerts.map(({ alert }) => alert));
    const deliveries = alerts.map(
      (): { outcome: Delivery["outcome"]; instances: Delivery["instances"][number][]; error?: string } => ({
        outcome: "taken",
        instances: [],
      }),
    );
    const at = (index: number) => deliveries[index] as (typeof deliveries)[number];
    for (const { alert, error } of result.rejected) {
      if (isForNow(error)) throw error;
      Object.assign(at(alert), { outcome: "rejected", error: error.message });
      this.#logger.error({ reason: error.message }, "the engine rejects a detected alert");
    }
    for (const index of result.unmatched) at(index).outcome = "unmatched";
    for (const { alert, policy, id, outcome } of result.instances) at(alert).instances.push({ policy, id, outcome });
    const nowMs = now();
    for (const [index, { alert }] of alerts.entries()) {
      const endsAtMs = alert.status === "resolved" ? Math.min(alert.endsAtMs ?? nowMs, nowMs) : alert.endsAtMs;
      if (at(index).outcome !== "rejected") view.put({ ...alert, endsAtMs }, nowMs);
      meter.delivered(stream, alert.status, at(index).outcome);
    }
    return deliveries;
  }
}
