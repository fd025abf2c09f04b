/**
 * Looks after the store beside the work: its clock, whether it takes writes, what it promises, and commits that it has
 * lost. What there is to say goes to the log.
 *
 * W1: whether it takes writes is tried, not inferred from commits. Nobody sends alerts to a server that says it takes
 * none, so no commit would ever show that it does again.
 */
import { BecalmError, messageOf } from "../../model/errors.ts";
import type { DurabilityProfile, LostCommit } from "../../stores/store.ts";
import type { Logger } from "../../system/logger.ts";
import type { Runtime } from "../runtime.ts";
import { ClockWatch } from "./clock-watch.ts";
import { RepeatedFaults } from "./repeated-faults.ts";

export type StoreWatchOptions = {
  /** See ClockWatch. */
  readonly maxClockSkewMs: number | null;
  readonly logger: Logger;
};

export type StoreStatus = {
  /**
   * How far the clock of this process is ahead of the store's (below 0: behind it); null: not known, or not compared.
   */
  readonly clockSkewMs: number | null;
  /** null: not known yet. */
  readonly durability: DurabilityProfile | null;
  /** Commits that were acknowledged and that the store has lost since this engine began. */
  readonly lostCommits: number;
};

/** Before it was asked. */
export const UNKNOWN_STORE: StoreStatus = { clockSkewMs: null, durability: null, lostCommits: 0 };

/** Ids of one log line. */
const LINE_ID_COUNT_MAX = 500;

export class StoreWatch {
  readonly clockWatch: ClockWatch;
  readonly #runtime: Runtime;
  readonly #logger: Logger;
  #durability: DurabilityProfile | null = null;
  #refusal: BecalmError | null = null;
  #lostCommits = 0;

  constructor(runtime: Runtime, { maxClockSkewMs, logger }: StoreWatchOptions) {
    this.#runtime = runtime;
    this.#logger = logger;
    const log = (level: "warn" | "error") => (what: string) =>
      logger[level]({ clockSkewMs: this.clockWatch.skewMs }, what);
    // Equal lines are only counted for a while: skew does not end by itself.
    const told = {
      warn: new RepeatedFaults(runtime.clock, log("warn")),
      error: new RepeatedFaults(runtime.clock, log("error")),
    };
    this.clockWatch = new ClockWatch({
      clock: runtime.clock,
      maxSkewMs: maxClockSkewMs,
      report: (level, what) => told[level].report("clock", what, null),
    });
  }

  get status(): StoreStatus {
    return { clockSkewMs: this.clockWatch.skewMs, durability: this.#durability, lostCommits: this.#lostCommits };
  }

  /** Why the store takes no writes, or no alert may be decided by its clock; null: alerts are taken. */
  get refusal(): BecalmError | null {
    return this.#refusal ?? this.clockWatch.refusal;
  }

  /** Before alerts are taken. */
  async introduce(): Promise<void> {
    await this.tryWrite();
    void this.#tellDurability();
  }

  async look(): Promise<void> {
    const [read] = await Promise.allSettled([this.#read(), this.tryWrite()]);
    if (read.status === "rejected") throw read.reason;
  }

  /** Never rejects: that nothing can be written is in `refusal`, and in the log when it begins and ends. */
  async tryWrite(): Promise<void> {
    try {
      await this.#runtime.store.tryWrite();
      if (this.#refusal !== null) this.#logger.info({}, "The store takes writes again");
      this.#refusal = null;
    } catch (error) {
      const refusal = error instanceof BecalmError ? error : new BecalmError("BECALM_STORE_FAILED", messageOf(error));
      if (this.#refusal?.code !== refusal.code)
        this.#logger.error({ err: error }, `The store takes no writes, so alerts are refused: ${refusal.message}`);
      this.#refusal = refusal;
    }
  }

  async #read(): Promise<void> {
    const sentAtMs = this.#runtime.clock.now();
    const { clocks, lost } = await this.#runtime.store.pulse();
    this.clockWatch.learn(clocks, sentAtMs);
    if (lost.length > 0) this.#tellLost(lost);
  }

  /** What the store promises is named when it begins to matter. */
  async #tellDurability(): Promise<void> {
    try {
      const { durability, findings } = await this.#runtime.store.describe();
      this.#durability = durability;
      const is = findings.find(({ what }) => what === "durability")?.is ?? durability;
      this.#logger.info({ durability, findings }, `The store's durability is ${is}`);
    } catch (error) {
      this.#logger.warn({ err: error }, `The store's durability could not be found out: ${messageOf(error)}`);
    }
  }

  /** Names every instance that a lost commit had written. */
  #tellLost(lost: readonly LostCommit[]): void {
    this.#lostCommits += lost.length;
    const ids = [...new Set(lost.flatMap(({ instanceIds }) => instanceIds))];
    const what = `The store has lost ${lost.length} commits that it had acknowledged, of ${ids.length} instances: it came back, or another server took over, without them. Alerts that still fire are decided again when they are sent again`;
    const times = lost.map(({ atMs }) => atMs);
    const about = { lostCommits: lost.length, fromMs: Math.min(...times), toMs: Math.max(...times) };
    for (let from = 0; from === 0 || from < ids.length; from += LINE_ID_COUNT_MAX)
      this.#logger.error({ ...about, instances: ids.slice(from, from + LINE_ID_COUNT_MAX) }, what);
  }
}
