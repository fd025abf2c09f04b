/**
 * Live time: the pumps that move what is due. Between them and the store nothing is kept that a crash could lose.
 *
 * Owns: when the store is polled, and what is under way in this process. Does not own: decisions (commit/run-batch.ts),
 * retries (the machine), which effects this process has (outbox-pump.ts), which timers fire (timer-pump.ts).
 */
import type { EffectResult, OpenEffectPort } from "../../effects/effect-port.ts";
import type { Decision } from "../../instance/decide.ts";
import type { Effect } from "../../instance/effect.ts";
import { timerChanges } from "../../instance/timer-changes.ts";
import { errorCode, messageOf } from "../../model/errors.ts";
import type { Commit } from "../../stores/store.ts";
import type { Envelope, EnvelopeResult } from "../commit/batch.ts";
import { sizeOf } from "../inbox/batch-size.ts";
import { Mailboxes } from "../inbox/mailboxes.ts";
import { renewNamespace } from "../namespace.ts";
import { Owners } from "../owners/owners.ts";
import type { BatchRuntime, CommitListener, Driver, Runtime } from "../runtime.ts";
import { learnSilences, SilenceService } from "../silences/stored-silences.ts";
import { BrakeDuties } from "../stops/brake-duties.ts";
import { learnLimits } from "../stops/limits-record.ts";
import { readStops } from "../stops/partition-stops.ts";
import { PauseService } from "../stops/pause-service.ts";
import { ChosenEffects, type EffectChoice } from "./chosen-effects.ts";
import { resumeOver } from "./dead-letters.ts";
import { type EffectSource, NO_EFFECTS } from "./effect-source.ts";
import { LongestWaiting } from "./longest-waiting.ts";
import { ATTEMPTS_LOOKED_AT_EVERY_MS, CLAIMS_PROLONGED_EVERY_MS, OutboxPump } from "./outbox-pump.ts";
import { RepeatedFaults } from "./repeated-faults.ts";
import { type RemovedExport, RetentionPump } from "./retention-pump.ts";
import { StoreWatch, type StoreWatchOptions } from "./store-watch.ts";
import { TimerPump } from "./timer-pump.ts";

const TIMERS_POLLED_EVERY_MS = 500;
/** How long a store that has lost its data lacks what its namespace is known by. */
const NAMESPACE_RENEWED_EVERY_MS = 10_000;
const STORE_WATCHED_EVERY_MS = 2_000;
/** After a fault of a pump. */
const PUMP_RETRY_MS = 500;
/** A silence that somebody makes elsewhere is in force here within a second. */
const SILENCES_READ_EVERY_MS = 500;
/** How long another process's pause may go unnoticed by one that only has attempts to begin. */
const STOPS_READ_EVERY_MS = 1_000;
/** What a brake could not count at once, and a pause that it could not begin. */
const BRAKES_TRIED_EVERY_MS = 1_000;
const DEAD_LETTERS_READ_EVERY_MS = 30_000;

export type LiveOptions = {
  readonly effects: OpenEffectPort;
  /** Actions at once, and beside them notices. */
  readonly concurrency: number;
  readonly retentionMs: number;
  /** Writes instances before they are removed. */
  readonly removedExport?: RemovedExport | undefined;
  /** A worker's: it runs what it chooses and nothing else, and fires no timers. */
  readonly choice?: EffectChoice;
  /** All effects are left to workers. */
  readonly leaveEffects?: boolean;
  /** Raises the namespace as soon as all who live understand that. */
  readonly raiseFormat?: boolean;
  /** Hear of each commit after the driver itself. */
  readonly onCommit: readonly CommitListener[];
  readonly watch: StoreWatchOptions;
  /** Of this process, for the people who look after several. */
  readonly processName: string;
  /** Told of what could not be done now and is tried again. */
  readonly onFault: (what: string, error: unknown) => void;
};

export class LiveDriver implements Driver {
  readonly mailboxes: Mailboxes;
  readonly pauses: PauseService;
  readonly brakeDuties: BrakeDuties;
  readonly silences: SilenceService;
  readonly storeWatch: StoreWatch;
  readonly owners: Owners;
  readonly #runtime: BatchRuntime;
  readonly #outbox: OutboxPump;
  readonly #options: LiveOptions;
  /** Pumps that wait for their time, by name. */
  readonly #scheduled = new Map<string, { readonly run: () => void; readonly cancel: () => void }>();
  readonly #underway = new Set<Promise<void>>();
  readonly #faults: RepeatedFaults;
  readonly #timers: TimerPump;
  readonly #retention: RetentionPump;
  readonly #source: EffectSource;
  #timersDueAtMs = Number.POSITIVE_INFINITY;
  #isRunning = false;
  #hasLookedAtSilenced = false;

  constructor(runtime: Runtime, options: LiveOptions) {
    this.#options = options;
    this.#faults = new RepeatedFaults(runtime.clock, options.onFault);
    this.brakeDuties = new BrakeDuties(runtime, (what, error) => this.#faults.report(what, what, error));
    this.#runtime = {
      ...runtime,
      onCommit: [(decision, commit) => this.committed(decision, commit), ...options.onCommit],
      effectClaimMs: () => this.#outbox.claimMs(),
      followBrakes: (decision) => this.brakeDuties.follow(decision),
    };
    this.mailboxes = new Mailboxes(this.#runtime);
    this.pauses = new PauseService(runtime, this, () => runtime.clock.now());
    this.silences = new SilenceService(runtime, this, () => runtime.clock.now());
    this.storeWatch = new StoreWatch(runtime, options.watch);
    this.owners = new Owners(runtime, {
      decide: (envelopes, size) => this.mailboxes.submit(envelopes, size),
      name: options.processName,
      isWorker: options.choice !== undefined,
      raises: options.raiseFormat === true,
      exports: options.removedExport !== undefined,
      logger: options.watch.logger,
      faults: this.#faults,
      isOff: () => this.#isOff,
      onLook: () => this.#pollNow("members"),
      onOutdated: () => void this.stop(0),
      onOwners: () => this.#pollNow("timers"),
    });
    this.#timers = new TimerPump(runtime, {
      submit: (envelope) => this.mailboxes.submit([envelope]),
      isOwn: (partition) => this.owners.isOwn(partition),
      faults: this.#faults,
    });
    const { retentionMs, removedExport, processName } = options;
    const { logger } = options.watch;
    const retention = { retentionMs, removedExport, processName, faults: this.#faults, logger };
    this.#retention = new RetentionPump(runtime, retention);
    this.#source = sourceOf(runtime, options);
    this.#outbox = new OutboxPump(runtime, {
      effects: options.effects,
      concurrency: options.concurrency,
      source: this.#source,
      submit: (envelope) => this.owners.submit([envelope], sizeOf(envelope)),
      isRunning: () => this.#isRunning,
      onRoom: () => this.#pollNow("outbox"),
      faults: this.#faults,
    });
  }

  submit(envelopes: readonly Envelope[]): Promise<readonly EnvelopeResult[]> {
    return this.mailboxes.submitEach(envelopes);
  }

  /** Begins nothing more until `resume`, or goes on. What is under way ends. */
  set isPaused(isPaused: boolean) {
    if (this.#source instanceof ChosenEffects) this.#source.isPaused = isPaused;
    if (!isPaused) this.#pollNow("outbox");
  }

  get outCount(): number {
    return this.#outbox.outCount;
  }

  /** Sweeps that ended early because what they were to remove could not be exported. */
  get failedExports(): number {
    return this.#retention.failedExports;
  }

  /** Says that this process lives, and that it exports what is removed, before it begins. */
  async join(): Promise<void> {
    await this.owners.upgrade.join();
    await this.#retention.announce();
  }

  get isStarted(): boolean {
    return this.#isRunning;
  }

  start(): void {
    this.#isRunning = true;
    this.#repeat("store", STORE_WATCHED_EVERY_MS, () => this.#watchStore());
    this.#repeat("outbox", 0, () => this.#outbox.take());
    this.#repeat("claims", CLAIMS_PROLONGED_EVERY_MS, () => this.#outbox.prolong());
    this.#repeat("attempts", ATTEMPTS_LOOKED_AT_EVERY_MS, () => this.#outbox.endCancelled());
    this.#repeat("stops", STOPS_READ_EVERY_MS, () => this.#readStops());
    this.#repeat("brakes", BRAKES_TRIED_EVERY_MS, () => this.#followBrakes());
    this.#repeat("dead letters", DEAD_LETTERS_READ_EVERY_MS, () => this.#forgetDeadLetters());
    this.#repeat("members", 0, () => this.owners.upgrade.beat());
    if (this.#options.choice !== undefined) return;
    this.#timersDueAtMs = this.#runtime.clock.now();
    this.#repeat("timers", 0, () => this.#fireTimers());
    this.#repeat("silences", SILENCES_READ_EVERY_MS, () => this.#readSilences());
    this.#repeat("namespace", NAMESPACE_RENEWED_EVERY_MS, () => this.#renew());
    this.#repeat("retention", this.#retention.everyMs, () => this.#forget());
  }

  /**
   * Stops polling, begins nothing more and waits until what is under way has been reported; after `drainMs` of real
   * time, by which attempts are measured too, they are aborted. Those, and attempts that had not begun, go back to the
   * outbox, for whoever comes first: they use up no retry.
   */
  async stop(drainMs: number): Promise<void> {
    this.#isRunning = false;
    for (const { cancel } of this.#scheduled.values()) cancel();
    this.#scheduled.clear();
    this.#outbox.close();
    // Before anything is asked of the store, which may be silent for longer than that.
    const cancelAbort = this.#runtime.realTime.schedule(drainMs, () => this.#outbox.interruptAll());
    await this.owners.leave();
    await this.#whenDrained();
    cancelAbort();
    await this.#giveBack();
    await this.brakeDuties.close();
  }

  /** Resolves when nothing is under way; false: nothing was. `attempts`: effects count too. */
  async idle({ attempts }: { readonly attempts: boolean }): Promise<boolean> {
    const outbox = attempts ? this.#outbox : null;
    const isBusy = () => this.#underway.size > 0 || !this.mailboxes.isIdle || outbox?.isPerforming === true;
    if (!isBusy()) return false;
    while (isBusy()) await Promise.all([...this.#underway, this.mailboxes.idle(), outbox?.whenPerformed()]);
    return true;
  }

  /** When the next durable timer is due; null: none is armed. */
  async nextDueAtMs(): Promise<number | null> {
    const { store } = this.#runtime;
    const first = { untilMs: Number.MAX_SAFE_INTEGER, limit: 1 };
    const lanes = (["work", "approval"] as const).map((lane) => store.timers({ lane, ...first }));
    const times = (await Promise.all(lanes)).flat().map(({ dueAtMs }) => dueAtMs);
    return times.length === 0 ? null : Math.min(...times);
  }

  fireTimers(): void {
    this.#pollNow("timers");
  }

  /**
   * Commits the result of an attempt that somebody reports from outside. False: the attempt is over already, so the
   * result changes nothing.
   */
  complete(effect: Effect, result: EffectResult): Promise<boolean> {
    return this.#outbox.complete(effect, result);
  }

  /** Hears of every commit: effects start, a nearer timer is scheduled, cancelled attempts are aborted. */
  committed(decision: Decision, { effectClaimMs }: Commit): void {
    for (const { instance, entry } of decision.entries) {
      if (entry.event.type === "cancel") this.#outbox.cancel(instance);
    }
    if (!this.#isRunning) return;
    this.#outbox.committed(decision, effectClaimMs !== null);
    this.#expectTimers(decision);
  }

  async #giveBack(): Promise<void> {
    const { takenCount } = this.#outbox;
    await this.#outbox
      .giveBack()
      .catch((error: unknown) =>
        this.#options.onFault(`the claims on ${takenCount} effects run out by themselves: ${messageOf(error)}`, error),
      );
  }

  async #whenDrained(): Promise<void> {
    while (this.#isBusy) await Promise.all([this.#outbox.whenPerformed(), ...this.#underway]);
    await this.mailboxes.idle();
    if (this.#isBusy) await this.#whenDrained();
  }

  get #isBusy(): boolean {
    return this.#underway.size > 0 || this.#outbox.isPerforming;
  }

  /** Calls `work` after `delayMs`, and again after what it answers. A fault is told and does not end the pump. */
  #repeat(name: string, delayMs: number, work: () => Promise<number>): void {
    const run = () => {
      this.#scheduled.delete(name);
      const turn = work()
        .catch((error: unknown) => {
          this.#faults.report(`${name} ${errorCode(error)}`, `${name}: ${messageOf(error)}`, error);
          return PUMP_RETRY_MS;
        })
        .then((nextMs) => {
          if (this.#isRunning) this.#schedule(name, nextMs, run);
        });
      this.#track(turn);
    };
    this.#schedule(name, delayMs, run);
  }

  #schedule(name: string, delayMs: number, run: () => void): void {
    this.#scheduled.set(name, { run, cancel: this.#runtime.clock.schedule(delayMs, run) });
  }

  /** Runs a pump now, unless it is at it. */
  #pollNow(name: string): void {
    const scheduled = this.#scheduled.get(name);
    if (scheduled === undefined) return;
    scheduled.cancel();
    scheduled.run();
  }

  #track(promise: Promise<void>): void {
    const tracked = promise.finally(() => this.#underway.delete(tracked));
    this.#underway.add(tracked);
  }

  #expectTimers(decision: Decision): void {
    for (const changed of decision.instances) {
      for (const [, timer] of timerChanges(changed).armed) this.#expectTimer(timer.dueAtMs);
    }
    for (const { timer } of decision.groupTimersArmed) this.#expectTimer(timer.dueAtMs);
  }

  /** A timer that is due before the next poll brings the poll forward. */
  #expectTimer(dueAtMs: number): void {
    if (dueAtMs >= this.#timersDueAtMs) return;
    this.#timersDueAtMs = dueAtMs;
    const scheduled = this.#scheduled.get("timers");
    if (scheduled === undefined) return;
    scheduled.cancel();
    this.#repeat("timers", Math.max(dueAtMs - this.#runtime.clock.now(), 0), () => this.#fireTimers());
  }

  /** By a clock that is off nothing ends, and nothing is removed. */
  get #isOff(): boolean {
    return this.storeWatch.clockWatch.isOff;
  }

  async #watchStore(): Promise<number> {
    await this.storeWatch.look();
    return STORE_WATCHED_EVERY_MS;
  }

  async #fireTimers(): Promise<number> {
    if (this.#isOff) return TIMERS_POLLED_EVERY_MS;
    // What is armed while the timers are looked at was not there to be found.
    this.#timersDueAtMs = Number.POSITIVE_INFINITY;
    const firing = this.#timers.fire();
    this.#track(firing.then(() => undefined));
    // A partition that takes long keeps the others from being polled no longer than this.
    let cancel = () => {};
    const slow = new Promise<boolean>((resolve) => {
      cancel = this.#runtime.clock.schedule(TIMERS_POLLED_EVERY_MS, () => resolve(false));
    });
    const isMore = await Promise.race([firing, slow]);
    cancel();
    const nowMs = this.#runtime.clock.now();
    const expectedMs = Math.max(this.#timersDueAtMs - nowMs, 0);
    const delayMs = isMore ? 0 : Math.min(expectedMs, TIMERS_POLLED_EVERY_MS);
    this.#timersDueAtMs = nowMs + delayMs;
    return delayMs;
  }

  /** Hears of other processes' pauses, and goes on with what a lifted one has left to be done. */
  async #readStops(): Promise<number> {
    if (this.#options.choice === undefined) await this.pauses.goOn();
    else await this.#readRules();
    await this.#outbox.letGo();
    return STOPS_READ_EVERY_MS;
  }

  /** A worker has no policy file: which pauses hold and which brakes count its namespace says. */
  async #readRules(): Promise<void> {
    await readStops(this.#runtime.store, this.#runtime.stops, 0);
    await learnLimits(this.#runtime);
  }

  async #followBrakes(): Promise<number> {
    await this.brakeDuties.fulfil();
    return BRAKES_TRIED_EVERY_MS;
  }

  async #forgetDeadLetters(): Promise<number> {
    await resumeOver(this.#runtime);
    return DEAD_LETTERS_READ_EVERY_MS;
  }

  /**
   * Hears of silences that other processes make or end. Whoever starts looks at all that silences hold: some may have
   * ended meanwhile.
   */
  async #readSilences(): Promise<number> {
    const areOthers = await learnSilences(this.#runtime);
    if (areOthers || !this.#hasLookedAtSilenced) await this.silences.lookAgain();
    this.#hasLookedAtSilenced = true;
    return SILENCES_READ_EVERY_MS;
  }

  async #renew(): Promise<number> {
    await renewNamespace(this.#runtime);
    return NAMESPACE_RENEWED_EVERY_MS;
  }

  async #forget(): Promise<number> {
    if (this.#isOff) return this.#retention.everyMs;
    await this.#retention.sweep();
    return this.#retention.everyMs;
  }
}

function sourceOf(runtime: Runtime, { choice, leaveEffects, concurrency }: LiveOptions): EffectSource {
  if (choice !== undefined) return new ChosenEffects(runtime, choice, concurrency);
  return leaveEffects === true ? NO_EFFECTS : new LongestWaiting(runtime, concurrency);
}
