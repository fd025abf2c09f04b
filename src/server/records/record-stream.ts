/**
 * One detection stream of the server: records in, detected alerts to the engine, in the order in which they were
 * detected.
 *
 * Everything that is done to a stream is done in turn. Records are durable, and so are the alerts that they led to,
 * before the engine hears of them; what the engine has taken is noted afterwards. So an alert that the engine could not
 * take for now is delivered with the next records, by the clock, or after a restart.
 */
import type { DetectedAlert } from "../../detection/core/detected-alert.ts";
import type { Strategy } from "../../detection/core/strategy.ts";
import { Detection, type DetectionWorld } from "../../detection/detection.ts";
import type { RefusedRow } from "../../detection/detection-batch.ts";
import type { SourceCounts } from "../../detection/source-position.ts";
import type { RecordRow } from "../../formats/record-row.ts";
import { HttpRefusal } from "../http/http-refusal.ts";

/** What records that come over HTTP are counted to. */
const SOURCE = "http";
const DELIVERED_AT_ONCE = 500;
/** Alerts that the engine has not taken: more records would only make more of them. */
const UNDELIVERED_COUNT_MAX = 10_000;
/** Refused rows that an answer names; the others are counted. */
const NAMED_COUNT_MAX = 100;

export type StreamPorts = {
  readonly world: DetectionWorld;
  /** Gives alerts to the engine. Rejects while it cannot take them. */
  readonly deliver: (alerts: readonly DetectedAlert[]) => Promise<readonly Delivery[]>;
  /** Called before records are taken, so that enrichment is fresh. */
  readonly refresh?: (() => Promise<void>) | undefined;
};

/** What the engine made of a detected alert. */
export type Delivery = {
  readonly outcome: "taken" | "unmatched" | "rejected";
  readonly instances: readonly { readonly policy: string; readonly id: string; readonly outcome: string }[];
  readonly error?: string;
};

export type Delivered = { readonly seq: number; readonly detected: DetectedAlert; readonly delivery: Delivery };

export type Taken = {
  readonly records: number;
  readonly counts: SourceCounts;
  readonly refused: readonly RefusedRow[];
  readonly delivered: readonly Delivered[];
};

export class RecordStream {
  readonly name: string;
  readonly #ports: StreamPorts;
  readonly #refused: RefusedRow[] = [];
  #detection: Detection;
  #isLoaded = false;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(name: string, strategies: readonly Strategy[], ports: StreamPorts) {
    this.name = name;
    this.#ports = ports;
    this.#detection = this.#detectionOf(strategies);
  }

  /** Detected alerts that the engine has not taken yet. */
  get undelivered(): number {
    return this.#detection.alertCount - this.#detection.toldCount;
  }

  /** How many alerts were detected, and how many records each group of strategies has received. */
  progress(): { readonly alerts: number; readonly groups: ReturnType<Detection["received"]> } {
    return { alerts: this.#detection.alertCount, groups: this.#isLoaded ? this.#detection.received() : [] };
  }

  /** Takes records, and delivers what they led to. `isLast`: none will follow that belong before the newest. */
  take(rows: Iterable<RecordRow>, { isLast }: { isLast: boolean }): Promise<Taken> {
    return this.#inTurn(async () => {
      await this.#load();
      const before = await this.#deliver();
      if (this.undelivered >= UNDELIVERED_COUNT_MAX) throw full(this.name, this.undelivered);
      await this.#ports.refresh?.();
      this.#refused.length = 0;
      let records = 0;
      const counted = function* () {
        for (const row of rows) {
          records += 1;
          yield row;
        }
      };
      const counts = await this.#detection.takeNext(SOURCE, counted());
      if (isLast) await this.#detection.flush(SOURCE);
      const delivered = [...before, ...(await this.#deliver())];
      return { records, counts, refused: [...this.#refused], delivered };
    });
  }

  /** Goes on with time while no records come, and delivers what was left. */
  tick(): Promise<void> {
    return this.#inTurn(async () => {
      await this.#load();
      await this.#detection.tick(SOURCE);
      await this.#deliver();
    });
  }

  /** Other strategies from now on: alerts that they no longer know are resolved. */
  reload(strategies: readonly Strategy[]): Promise<void> {
    return this.#inTurn(async () => {
      this.#detection = this.#detectionOf(strategies);
      this.#isLoaded = false;
      await this.#load();
      await this.#deliver();
    });
  }

  /** Waits for what is under way, and closes the store. */
  async close(): Promise<void> {
    await this.#turn;
    await this.#ports.world.store.close();
  }

  #detectionOf(strategies: readonly Strategy[]): Detection {
    return new Detection(this.#ports.world, strategies, {
      onRefused: (_source, row) => {
        if (this.#refused.length < NAMED_COUNT_MAX) this.#refused.push(row);
      },
    });
  }

  async #load(): Promise<void> {
    if (this.#isLoaded) return;
    await this.#detection.load();
    await this.#detection.applyEdits(SOURCE);
    this.#isLoaded = true;
  }

  async #deliver(): Promise<Delivered[]> {
    const delivered: Delivered[] = [];
    const { store } = this.#ports.world;
    while (this.undelivered > 0) {
      const page = await store.alerts({ fromSeq: this.#detection.toldCount + 1, limit: DELIVERED_AT_ONCE });
      if (page.length === 0) break;
      const alerts = page.map(({ value }) => JSON.parse(value) as DetectedAlert);
      const deliveries = await this.#ports.deliver(alerts);
      for (const [index, { seq }] of page.entries()) {
        const [detected, delivery] = [alerts[index], deliveries[index]] as [DetectedAlert, Delivery];
        delivered.push({ seq, detected, delivery });
        this.#detection.told(seq);
      }
      await this.#detection.storeTold(SOURCE);
    }
    return delivered;
  }

  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(act);
    this.#turn = done.catch((error: unknown) => this.#afterFault(error));
    return done;
  }

  /** What is in memory may be ahead of the store or behind it: it is loaded again. */
  #afterFault(_error: unknown): void {
    this.#isLoaded = false;
  }
}

function full(name: string, count: number): HttpRefusal {
  const why = `${count} alerts of the stream ${name} wait for the engine. Send these records again in a moment.`;
  return new HttpRefusal(503, "BECALM_BUSY", { why, headers: { "retry-after": "1" } });
}
