/**
 * The bound on alerts under way: they have been given to the engine, and their decisions are not durable yet. Without
 * it a program that does not wait for its answers fills the memory, and a storm that comes faster than its store writes
 * ends the process.
 */
import { BecalmError } from "../../model/errors.ts";
import { UNDERWAY_ALERT_COUNT_DEFAULT, UNDERWAY_BYTES_DEFAULT } from "../../model/limits.ts";
import type { RoutedRequest } from "./ingest.ts";

export type IntakeLimits = {
  readonly maxAlertsUnderWay?: number | undefined;
  readonly maxBytesUnderWay?: number | undefined;
};

/** What one request has taken of the bound. */
export type Intake = { alerts: number; bytes: number };

export class IntakeBound {
  readonly #limits: { readonly alertsMax: number; readonly bytesMax: number };
  readonly #underway = { alerts: 0, bytes: 0 };

  constructor({ maxAlertsUnderWay, maxBytesUnderWay }: IntakeLimits) {
    this.#limits = {
      alertsMax: maxAlertsUnderWay ?? UNDERWAY_ALERT_COUNT_DEFAULT,
      bytesMax: maxBytesUnderWay ?? UNDERWAY_BYTES_DEFAULT,
    };
  }

  get underway(): Readonly<Intake> {
    return this.#underway;
  }

  /**
   * Counts a request of so many alerts in. What is larger than the bound is taken if nothing else is under way.
   * @throws BECALM_BUSY, before anything of the request is looked at
   */
  enter(alerts: number): Intake {
    const { alertsMax } = this.#limits;
    if (this.#underway.alerts > 0 && this.#underway.alerts + alerts > alertsMax)
      throw this.#busy(`${this.#underway.alerts} alerts are being decided, and at most ${alertsMax} may be`);
    this.#underway.alerts += alerts;
    return { alerts, bytes: 0 };
  }

  /**
   * Counts what the request will write, which is known when it is routed.
   * @throws BECALM_BUSY, before anything of the request is decided
   */
  weigh(intake: Intake, { batches }: RoutedRequest): void {
    let bytes = 0;
    for (const { size } of batches) bytes += size.bytes;
    const { bytesMax } = this.#limits;
    if (this.#underway.bytes > 0 && this.#underway.bytes + bytes > bytesMax)
      throw this.#busy(
        `alerts of about ${this.#underway.bytes} bytes are being decided, and at most ${bytesMax} may be`,
      );
    intake.bytes = bytes;
    this.#underway.bytes += bytes;
  }

  leave({ alerts, bytes }: Intake): void {
    this.#underway.alerts -= alerts;
    this.#underway.bytes -= bytes;
  }

  #busy(what: string): BecalmError {
    return new BecalmError("BECALM_BUSY", `${what}. Nothing of these was decided: send them again in a moment.`, {
      details: { ...this.#underway },
    });
  }
}
