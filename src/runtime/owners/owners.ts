/**
 * This process among those of its namespace: what arrives for a partition, and results of attempts, are decided by its
 * owner. One that is alone owns everything, and neither sends nor receives. A worker owns nothing.
 *
 * Owns: the letters that come and go. Does not own: who is the owner (membership.ts), what becomes of a batch
 * (forwarding.ts, and the mailboxes).
 */
import { messageOf } from "../../model/errors.ts";
import type { Processes } from "../../stores/processes.ts";
import type { Logger } from "../../system/logger.ts";
import type { Envelope, EnvelopeResult } from "../commit/batch.ts";
import type { Size } from "../inbox/batch-size.ts";
import type { Runtime } from "../runtime.ts";
import type { RepeatedFaults } from "../workers/repeated-faults.ts";
import { Forwarding, type Submit } from "./forwarding.ts";
import { readLetter } from "./letters.ts";
import { BEAT_EVERY_MS, Membership } from "./membership.ts";
import { Upgrade } from "./upgrade.ts";

/** After an inbox could not be read. */
const RECEIVED_AGAIN_AFTER_MS = 500;

export type OwnersOptions = {
  /** Decides here. */
  readonly decide: Submit;
  /** For people. */
  readonly name: string;
  /** It runs attempts and owns nothing. */
  readonly isWorker: boolean;
  /** It raises the namespace as soon as all who live understand that. */
  readonly raises: boolean;
  /** It writes what it removes into bundles first. */
  readonly exports: boolean;
  /** This process must leave the namespace. */
  readonly onOutdated: () => void;
  readonly logger: Logger;
  readonly faults: RepeatedFaults;
  readonly isOff: () => boolean;
  /** Who lives has changed: beat now. */
  readonly onLook: () => void;
  /** This process may own more than before. */
  readonly onOwners: () => void;
};

export type OwnersStatus = {
  /** Processes that share the namespace's partitions, this one included. */
  readonly members: number;
  /** Partitions that this process owns. */
  readonly ownedPartitions: number;
  /** Batches that other processes are to decide, and how long the oldest of them has waited. */
  readonly forwardedBatches: number;
  readonly oldestForwardedMs: number;
  /** The format of the namespace by which this process decides; null: it has not opened it yet. */
  readonly format: number | null;
};

export const OWNS_NOTHING: OwnersStatus = {
  members: 1,
  ownedPartitions: 0,
  forwardedBatches: 0,
  oldestForwardedMs: 0,
  format: null,
};

export class Owners {
  readonly #runtime: Runtime;
  readonly #options: OwnersOptions;
  /** null: there can be no other process. */
  readonly #processes: Processes | null;
  readonly upgrade: Upgrade;
  readonly #shared: { readonly membership: Membership; readonly forwarding: Forwarding } | null;
  #isReceiving = false;

  constructor(runtime: Runtime, options: OwnersOptions) {
    this.#runtime = runtime;
    this.#options = options;
    // What an engine that only observes is sent must not be acted on by others, and the reverse.
    this.#processes = runtime.isObserving ? null : runtime.store.processes;
    // Where there can be no other process, nobody has to be asked.
    const raises = !options.isWorker && (options.raises || runtime.store.processes === null);
    this.#shared = this.#processes === null ? null : this.#sharedWith(this.#processes, raises);
    const { logger, onLook, onOutdated } = options;
    const membership = this.#shared?.membership ?? null;
    this.upgrade = new Upgrade(runtime, { beat: () => this.#beat(), membership, raises, logger, onLook, onOutdated });
  }

  #sharedWith(processes: Processes, raises: boolean): { membership: Membership; forwarding: Forwarding } {
    const { decide, name, isWorker, exports, logger, faults, isOff, onOwners } = this.#options;
    const forwarding = new Forwarding(this.#runtime, {
      processes,
      decide,
      report: (what, error) => faults.report(what, error === null ? what : `${what}: ${messageOf(error)}`, error),
    });
    const membership = new Membership(this.#runtime, {
      processes,
      name,
      isWorker,
      raises,
      exports,
      logger,
      isOff,
      onTaking: () => void this.#receive(processes),
      onChange: (gone) => {
        forwarding.gone(gone);
        onOwners();
      },
      whenAnswered: () => forwarding.whenAnswered(),
    });
    return { membership, forwarding };
  }

  /** Has a batch decided: here, or by the owner of its partition. */
  submit(envelopes: readonly Envelope[], size: Size): Promise<readonly EnvelopeResult[]> {
    const owner = this.#shared?.membership.otherOwner((envelopes[0] as Envelope).address.partition) ?? null;
    if (owner === null || this.#shared === null) return this.#options.decide(envelopes, size);
    return this.#shared.forwarding.submit(owner, envelopes, size);
  }

  isOwn(partition: number): boolean {
    return this.#shared === null || this.#shared.membership.otherOwner(partition) === null;
  }

  get status(): OwnersStatus {
    const { membership, forwarding } = this.#shared ?? { membership: null, forwarding: null };
    const { batches, oldestMs } = forwarding?.waiting ?? { batches: 0, oldestMs: 0 };
    return {
      members: Math.max(membership?.members.length ?? 1, 1),
      ownedPartitions: membership?.ownedCount ?? this.#runtime.partitions,
      forwardedBatches: batches,
      oldestForwardedMs: oldestMs,
      format: this.#runtime.format.acting,
    };
  }

  /** Answers when to call it again, in ms. */
  async #beat(): Promise<number> {
    if (this.#shared === null) return BEAT_EVERY_MS;
    const { membership } = this.#shared;
    return membership.beat().catch((error: unknown) => {
      membership.missed();
      throw error;
    });
  }

  /** Hands its partitions over to the others. What they were asked and have not answered is decided here. */
  async leave(): Promise<void> {
    this.upgrade.stop();
    if (this.#shared === null) return;
    const { membership, forwarding } = this.#shared;
    try {
      await membership.leave();
    } catch (error) {
      const what = `this process could not say that it stops, its partitions are free when its lease has run out: ${messageOf(error)}`;
      this.#options.faults.report("leave", what, error);
    } finally {
      this.#isReceiving = false;
      forwarding.close();
    }
  }

  async #receive(processes: Processes): Promise<void> {
    if (this.#isReceiving) return;
    this.#isReceiving = true;
    while (this.#isReceiving) {
      try {
        for (const letter of await processes.receive(this.#runtime.owner)) this.#take(letter);
      } catch (error) {
        if (!this.#isReceiving) return;
        this.#options.faults.report("receive", `letters of other processes wait: ${messageOf(error)}`, error);
        await this.#runtime.pause(RECEIVED_AGAIN_AFTER_MS);
      }
    }
  }

  /** Whoever sent one that cannot be read decides by itself; those behind it are not its business. */
  #take(text: string): void {
    try {
      const letter = readLetter(text);
      if (letter.kind === "look") this.#options.onLook();
      else this.#shared?.forwarding.take(letter);
    } catch (error) {
      this.#options.faults.report("letter", `a letter could not be read: ${messageOf(error)}`, error);
    }
  }
}
