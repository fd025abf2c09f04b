/**
 * From receipts to commands: what a batch's receipts do to the episodes of their alerts, before anything is decided.
 * Pure.
 *
 * Episodes depend on receipts alone, never on what became of their instances. So receipts are taken first, one after
 * the other, and what they mean for instances are commands like any others: a beginning creates one, an end raises
 * `alert.resolved`, all else changes none.
 */
import {
  type Ending,
  type Episode,
  endEvent,
  type KnownEnd,
  type LeaseGrace,
  leaseEndMs,
  type Reception,
  startOf,
} from "../model/episode.ts";
import {
  endLast,
  lastEpisode,
  leaseEndPosition,
  type Position,
  type ReceiveOptions,
  receiveRecorded,
} from "../model/episode-record.ts";
import { instanceIdOf } from "../model/ids.ts";
import type { EpisodeEnd, SilenceNote } from "../model/instance-types.ts";
import { alertOfReceipt, type Receipt, type ReceiptTimes } from "../model/receipt.ts";
import type { CompiledPolicy } from "../policy/policy-versions.ts";
import { isBirthOf, isSameLabels } from "./alert-labels.ts";
import type { Command } from "./decision.ts";
import type { EmissionOrder } from "./effect.ts";

/** A receipt under one policy. */
export type ReceiptCommand = {
  readonly type: "receipt";
  readonly order?: EmissionOrder;
  /** When it was received. */
  readonly atMs: number;
  readonly receipt: Receipt;
  readonly policy: CompiledPolicy;
  /** Of the record of the alert's episodes under the policy. */
  readonly key: string;
  /** The instance of an episode that begins where the receipt says, as most do. */
  readonly ownId: string;
  readonly silence: SilenceNote | null;
  /** May it begin an episode? Only under policies in force. */
  readonly mayBegin: boolean;
};

/** The lease of an instance's episode may have run out. `sinceMs`: only an end since then can move the instance. */
export type LeaseCommand = {
  readonly type: "lease";
  readonly id: string;
  readonly atMs: number;
  readonly sinceMs: number;
  readonly policy: string;
  readonly fingerprint: string;
  readonly key: string;
};

/** What a batch brings: receipts, leases, and what is decided as it is. */
export type Incoming = Command | ReceiptCommand | LeaseCommand;

export type ReceiveInput = {
  readonly incoming: readonly Incoming[];
  /** Records by key, as they are stored. */
  readonly records: ReadonlyMap<string, string>;
  readonly partition: number;
  /** Virtual time: the line among those of the same time; null: live. */
  readonly turn: number | null;
  readonly grace: LeaseGrace;
  /** Instances that exist: one without a record was made before there were records. */
  readonly instances: { has(id: string): boolean; get(id: string): { readonly atMs: number } | undefined };
  /** Instances that cannot be read: nothing is made of their receipts. */
  readonly quarantined: { has(id: string): boolean };
  /** First history lines of instances; absent: none of them is stored. */
  readonly births?: { get(id: string): string | undefined };
};

/** What became of an incoming command. */
export type Word = {
  readonly kind: Reception["kind"] | "lease_goes_on" | "quarantined" | "taken" | "elsewhere" | "decided";
  /** The instance that it concerns; null: none. */
  readonly id: string | null;
  /** Among the commands, the one whose result this is; null: nothing of it is decided. */
  readonly command: number | null;
  /** When the episode began that goes on; null: none does. */
  readonly sinceMs: number | null;
  /**
   * Until when the lease lasts, if the episode has just begun, or its lease was looked at and is not over; null:
   * neither, or it has none.
   */
  readonly leaseUntilMs: number | null;
};

export type RecordWrite = { readonly key: string; readonly expected: string | null; readonly value: string };

export type Received = {
  /** What is decided, in order. */
  readonly commands: readonly Command[];
  /** One an incoming command. */
  readonly words: readonly Word[];
  readonly records: readonly RecordWrite[];
};

export function receiveAll(input: ReceiveInput): Received {
  const receiver = new Receiver(input);
  const words = input.incoming.map((command) => receiver.take(command));
  return { words, commands: receiver.commands, records: receiver.changed() };
}

/** A record as the receipts so far have left it. */
type Kept = { readonly key: string; readonly expected: string | null; value: string | null };

function word(kind: Word["kind"], id: string | null, command: number | null = null): Word {
  return { kind, id, command, sinceMs: null, leaseUntilMs: null };
}

function resolvedBy({ receipt, atMs }: ReceiptCommand): KnownEnd {
  return { reason: "alert_resolved", atMs: receipt.endsAtMs ?? atMs };
}

class Receiver {
  readonly commands: Command[] = [];
  readonly #input: ReceiveInput;
  readonly #live: ReceiveOptions;
  readonly #records = new Map<string, Kept>();

  constructor(input: ReceiveInput) {
    this.#input = input;
    this.#live = { position: null, grace: input.grace };
  }

  take(command: Incoming): Word {
    if (command.type === "receipt") return this.#receipt(command);
    if (command.type === "lease") return this.#lease(command);
    const id = "id" in command ? command.id : null;
    if (id !== null && this.#input.quarantined.has(id)) return word("quarantined", id);
    const birth = command.type === "create" ? this.#input.births?.get(command.id) : undefined;
    if (birth !== undefined && command.type === "create" && !isBirthOf(birth, command.alert.labels))
      return word("taken", id);
    return word("decided", id, this.commands.push(command) - 1);
  }

  changed(): RecordWrite[] {
    const writes: RecordWrite[] = [];
    for (const kept of this.#records.values())
      if (kept.value !== null && kept.value !== kept.expected) writes.push(kept as RecordWrite);
    return writes;
  }

  #receipt(command: ReceiptCommand): Word {
    const { key, atMs, receipt, mayBegin } = command;
    const { form, status, startsAtMs, endsAtMs } = receipt;
    const times: ReceiptTimes = { form, status, startsAtMs, endsAtMs, receivedAtMs: atMs };
    const kept = this.#kept(key);
    const before = kept.value !== null && this.#isLost(command, kept) ? null : kept.value;
    const options = this.#input.turn === null ? this.#live : this.#atPosition(command);
    const { reception, record } = receiveRecorded(before, times, options);
    if (reception.kind === "nothing_open") return this.#nothingOpen(command, kept);
    const isOwn = reception.episode.startMs === startOf(times);
    const id = isOwn ? command.ownId : this.#idOf(command, reception.episode);
    if (this.#input.quarantined.has(id)) return word("quarantined", id);
    if (this.#isTaken(id, receipt, kept)) return word("taken", id);
    if (reception.kind === "begins" && !mayBegin) {
      // It was made before there were records, under an earlier version of the policy.
      const isThere = kept.value === null && this.#input.instances.has(id);
      return isThere ? word("goes_on", id) : this.#leave(command, kept, reception.ended);
    }
    if (record !== null) kept.value = record;
    if (reception.kind === "begins") return this.#begin(command, id, reception);
    if (reception.kind !== "ends" || record === null) {
      const { startMs } = reception.episode;
      return { kind: reception.kind, id, command: null, sinceMs: startMs, leaseUntilMs: null };
    }
    return word("ends", id, this.#raise(id, command, reception.episode.end ?? resolvedBy(command)));
  }

  #begin(command: ReceiptCommand, id: string, { episode, ended }: Reception & { kind: "begins" }): Word {
    if (ended?.end != null) {
      const endedId = this.#idOf(command, ended);
      if (!this.#input.quarantined.has(endedId) && !this.#wasPassedBy(endedId, ended.end))
        this.#raise(endedId, command, ended.end);
    }
    const { atMs, receipt, policy, silence, order = [] } = command;
    const alert = alertOfReceipt(receipt, episode.startMs);
    const at = this.commands.push({ type: "create", id, atMs, alert, policy, silence, order }) - 1;
    return { kind: "begins", id, command: at, sinceMs: null, leaseUntilMs: episode.leaseUntilMs };
  }

  /**
   * Is the instance that of an alert with other labels, whose fingerprint is the same? The record and the id cannot
   * tell them apart.
   */
  #isTaken(id: string, { labels }: Receipt, kept: Kept): boolean {
    const birth = this.#input.births?.get(id);
    if (birth !== undefined) return !isBirthOf(birth, labels);
    if (kept.value === kept.expected) return false;
    // It begins in this batch.
    const begun = this.commands.find((command) => command.type === "create" && command.id === id);
    return begun?.type === "create" && !isSameLabels(begun.alert.labels, labels);
  }

  /**
   * The receipt begins an episode under another version of the policy, if under any. Here it tells of an end at most.
   */
  #leave(command: ReceiptCommand, kept: Kept, ended: Episode | null): Word {
    if (ended?.end != null && kept.value !== null) {
      kept.value = endLast(kept.value, ended, this.#positionOf(command));
      this.#raise(this.#idOf(command, ended), command, ended.end);
    }
    return word("elsewhere", command.ownId);
  }

  /** Instances that were made before there were records have the id of their receipt's own start, and end with it. */
  #nothingOpen(command: ReceiptCommand, { value }: Kept): Word {
    const { ownId } = command;
    if (this.#input.quarantined.has(ownId)) return word("quarantined", ownId);
    if (value !== null || !this.#input.instances.has(ownId)) return word("nothing_open", ownId);
    return word("ends", ownId, this.#raise(ownId, command, resolvedBy(command)));
  }

  /** A lease ended while the instance ran: what it did since is no business of that end. */
  #wasPassedBy(id: string, { reason, atMs }: { readonly reason: EpisodeEnd; readonly atMs: number }): boolean {
    return reason === "lease_over" && (this.#input.instances.get(id)?.atMs ?? 0) > atMs;
  }

  #lease({ id, key, atMs, sinceMs, policy, fingerprint }: LeaseCommand): Word {
    const { partition, turn, grace, quarantined } = this.#input;
    const nothing = word("nothing_open", id);
    const kept = this.#kept(key);
    if (kept.value === null || quarantined.has(id)) return nothing;
    const episode = lastEpisode(kept.value);
    const untilMs = leaseEndMs(episode, grace);
    if (untilMs === null || instanceIdOf({ policy, fingerprint, startMs: episode.startMs }, partition) !== id)
      return nothing;
    if (untilMs > atMs) return { ...word("lease_goes_on", id), leaseUntilMs: untilMs };
    if (untilMs < sinceMs) return nothing;
    const end: Ending = { reason: "lease_over", atMs: untilMs, receivedAtMs: untilMs };
    kept.value = endLast(kept.value, { ...episode, end }, turn === null ? null : leaseEndPosition(untilMs));
    return word("ends", id, this.#raise(id, { atMs }, end));
  }

  /**
   * The record says that the receipt belongs to an episode whose instance is gone: a store has lost data. The record
   * counts for nothing then, so that the alert is acted upon.
   */
  #isLost({ ownId, receipt, atMs }: ReceiptCommand, { expected, value }: Kept): boolean {
    const { turn, instances, quarantined } = this.#input;
    if (turn !== null || value === null || value !== expected) return false;
    if (instances.has(ownId) || quarantined.has(ownId)) return false;
    const { startMs, end } = lastEpisode(value);
    return end === null && startMs === startOf({ startsAtMs: receipt.startsAtMs, receivedAtMs: atMs });
  }

  /** Every end is told to the instance; whether it moves is the machine's business. */
  #raise(id: string, { atMs, order = [] }: Pick<ReceiptCommand, "atMs" | "order">, end: KnownEnd): number {
    return this.commands.push({ type: "event", id, event: endEvent(end, atMs), order }) - 1;
  }

  #kept(key: string): Kept {
    const known = this.#records.get(key);
    if (known !== undefined) return known;
    const { records } = this.#input;
    const expected = records.size === 0 ? null : (records.get(key) ?? null);
    const kept = { key, expected, value: expected };
    this.#records.set(key, kept);
    return kept;
  }

  #atPosition(command: ReceiptCommand): ReceiveOptions {
    return { position: this.#positionOf(command), grace: this.#input.grace };
  }

  #positionOf({ atMs, order }: ReceiptCommand): Position | null {
    const { turn } = this.#input;
    return turn === null ? null : { atMs, turn, index: order?.[0] ?? 0 };
  }

  #idOf({ policy, receipt }: ReceiptCommand, { startMs }: Episode): string {
    const { fingerprint } = receipt;
    return instanceIdOf({ policy: policy.policy.name, fingerprint, startMs }, this.#input.partition);
  }
}
