/**
 * When this process sweeps, and whether it may: what is exported when it is removed is left to those who export it.
 *
 * Every engine sweeps the whole namespace, so one that exports nothing would remove without a trace what another one is
 * to archive. Where removals are marked as exported (export-mark.ts) it removes nothing, and says so; nor while it hears
 * of an engine that exports and could not make the mark, as on a full store.
 */
import { errorCode, messageOf } from "../../model/errors.ts";
import { isoTime } from "../../model/timestamp.ts";
import type { RecordCondition } from "../../stores/store.ts";
import type { Logger } from "../../system/logger.ts";
import type { Runtime } from "../runtime.ts";
import { livingExporters, markExported, readMark, type StoredMark, unchanged } from "./export-mark.ts";
import type { RepeatedFaults } from "./repeated-faults.ts";
import { type ExportRemoved, sweep } from "./retention.ts";

const SWEPT_EVERY_MS_MIN = 60_000;
const SWEPT_EVERY_MS_MAX = 3_600_000;

/** `to`: the folder, for people. */
export type RemovedExport = { readonly write: ExportRemoved; readonly to: string };

export type RetentionPumpOptions = {
  readonly retentionMs: number;
  readonly removedExport: RemovedExport | undefined;
  /** Of this process, for people. */
  readonly processName: string;
  readonly faults: RepeatedFaults;
  readonly logger: Logger;
};

export class RetentionPump {
  readonly everyMs: number;
  readonly #runtime: Runtime;
  readonly #options: RetentionPumpOptions;
  #failedExports = 0;
  /** Names of engines that export, as they were last heard of. */
  #heardOf: readonly string[] = [];
  /** The log has it that this process removes nothing. */
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

  /**
   * Says in the namespace that removals are exported, or in the log that this process leaves them to others. What fails
   * is tried again with the next sweep.
   */
  async announce(): Promise<void> {
    const { removedExport, processName: by, faults } = this.#options;
    try {
      if (removedExport === undefined) await this.#mayRemove(0);
      else await markExported(this.#runtime, { by, to: removedExport.to });
    } catch (error) {
      faults.report("export mark", `retention: whether removals are exported: ${messageOf(error)}`, error);
    }
  }

  async sweep(): Promise<void> {
    const { retentionMs, removedExport, faults } = this.#options;
    const onUnreadable = (id: string, error: unknown) =>
      faults.report("retention", `retention: ${id} stays, it cannot be read: ${messageOf(error)}`, error);
    // A store that has lost its last writes may have lost the mark.
    if (removedExport !== undefined) await this.announce();
    const how = removedExport === undefined ? { mayRemove: this.#mayRemove } : { exportRemoved: removedExport.write };
    await sweep(this.#runtime, { retentionMs, ...how, onUnreadable }).catch((error: unknown) => this.#keepAll(error));
  }

  readonly #mayRemove = async (partition: number): Promise<RecordCondition | null> => {
    const { store } = this.#runtime;
    const stored = await readMark(store, partition);
    const living = await livingExporters(store);
    if (living.length > 0) this.#heardOf = living;
    // A person has said since that nobody exports any longer.
    else if (stored.mark?.isExported === false) this.#heardOf = [];
    const who = this.#exporterOf(stored);
    if (who === null) this.#goOn();
    else this.#leave(who);
    return who === null ? unchanged(stored) : null;
  };

  /** null: nobody exports. */
  #exporterOf({ mark }: StoredMark): string | null {
    if (mark?.isExported !== true) return this.#heardOf.length === 0 ? null : `${this.#heardOf.join(", ")} exports`;
    const { by, to, sinceMs } = mark;
    return `${by} exports to ${to ?? "an archive"} (since ${isoTime(sinceMs)})`;
  }

  #leave(who: string): void {
    if (this.#isLeft) return;
    this.#isLeft = true;
    const what = `This process removes nothing from now on: it exports nothing, and ${who} what is removed. Start it with an export as well (\`--export-removed\`), or, if none is wanted any longer, stop the engines that export and run \`becalm doctor --allow-unexported-removal\``;
    this.#options.logger.warn({ exporters: this.#heardOf }, what);
  }

  #goOn(): void {
    if (!this.#isLeft) return;
    this.#isLeft = false;
    this.#options.logger.info({}, "This process removes again, without an export: nobody exports any longer");
  }

  /** What could not be exported stays, and the next sweep tries again. */
  #keepAll(error: unknown): void {
    if (errorCode(error) !== "BECALM_OUTPUT_FAILED") throw error;
    this.#failedExports += 1;
    this.#options.faults.report("retention export", `retention: ${messageOf(error)}`, error);
  }
}
