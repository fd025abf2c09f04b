/**
 * When this process sweeps, and whether it may: who exports what it removes is left to remove it.
 *
 * Every engine sweeps the whole namespace, so one that exports nothing would remove without a trace what another one is
 * to archive. Once it has heard of such an engine it removes nothing for as long as it runs, so that nothing goes while
 * that engine is being restarted.
 */
import { errorCode, messageOf } from "../../model/errors.ts";
import type { Logger } from "../../system/logger.ts";
import { readMembers } from "../owners/membership.ts";
import type { Runtime } from "../runtime.ts";
import type { RepeatedFaults } from "./repeated-faults.ts";
import { type ExportRemoved, sweep } from "./retention.ts";

const SWEPT_EVERY_MS_MIN = 60_000;
const SWEPT_EVERY_MS_MAX = 3_600_000;

export type RetentionPumpOptions = {
  readonly retentionMs: number;
  readonly exportRemoved: ExportRemoved | undefined;
  readonly faults: RepeatedFaults;
  readonly logger: Logger;
};

export class RetentionPump {
  readonly everyMs: number;
  readonly #runtime: Runtime;
  readonly #options: RetentionPumpOptions;
  #failedExports = 0;
  #isLeft = false;

  constructor(runtime: Runtime, options: RetentionPumpOptions) {
    this.#runtime = runtime;
    this.#options = options;
    this.everyMs = Math.min(Math.max(options.retentionMs / 16, SWEPT_EVERY_MS_MIN), SWEPT_EVERY_MS_MAX);
  }

  /** Sweeps that ended early because what they were to remove could not be exported. */
  get failedExports(): number {
    return this.#failedExports;
  }

  async sweep(): Promise<void> {
    const { retentionMs, exportRemoved, faults } = this.#options;
    const onUnreadable = (id: string, error: unknown) =>
      faults.report("retention", `retention: ${id} stays, it cannot be read: ${messageOf(error)}`, error);
    const isLeft = exportRemoved === undefined ? () => this.#isLeftToOthers() : undefined;
    await sweep(this.#runtime, { retentionMs, exportRemoved, isLeft, onUnreadable }).catch((error: unknown) =>
      this.#keepAll(error),
    );
  }

  async #isLeftToOthers(): Promise<boolean> {
    if (this.#isLeft) return true;
    const living = (await this.#runtime.store.processes?.living()) ?? [];
    const names = readMembers(living).flatMap(({ record }) => (record.exports === true ? record.name : []));
    if (names.length === 0) return false;
    this.#isLeft = true;
    const what = `This process removes nothing from now on: it exports nothing, and ${names.join(", ")} exports what is removed. Start it with the same export, or again when none is wanted any longer`;
    this.#options.logger.warn({ exporters: names }, what);
    return true;
  }

  /** What could not be exported stays, and the next sweep tries again. */
  #keepAll(error: unknown): void {
    if (errorCode(error) !== "BECALM_OUTPUT_FAILED") throw error;
    this.#failedExports += 1;
    this.#options.faults.report("retention export", `retention: ${messageOf(error)}`, error);
  }
}
