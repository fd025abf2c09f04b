/** Commands on their way to their commit. */
import type { Instance } from "../../instance/checkpoint.ts";
import type { CommandResult } from "../../instance/decide.ts";
import type { Incoming } from "../../instance/receive.ts";
import type { BecalmError } from "../../model/errors.ts";
import type { CommitOutcome, TimerKey } from "../../stores/store.ts";

/** Where a command belongs: a group, or (groupId null) the ungrouped instances of a partition. */
export type Address = { readonly partition: number; readonly groupId: string | null };

/** A command with its address, and what the commit that decides it takes out of the store. */
export type Envelope = {
  readonly address: Address;
  readonly command: Incoming;
  /** Done with as soon as the command is committed. */
  readonly consumes: Consumed;
  /**
   * The command's instance as this process has committed it: if nobody has changed it since, it need not be read. null:
   * it must be read.
   */
  readonly lastSeen: Instance | null;
};

export type Consumed =
  | { readonly kind: "nothing" }
  /** The effect whose result this is: it leaves the outbox. */
  | { readonly kind: "effect"; readonly id: string }
  /** The timer that fired. */
  | { readonly kind: "timer"; readonly timer: TimerKey };

export const NOTHING: Consumed = { kind: "nothing" };

/** Commands of one mailbox that are decided and committed together. */
export type Batch = { readonly address: Address; readonly envelopes: readonly Envelope[] };

/**
 * `quarantined`: the instance's checkpoint cannot be read; nothing was written, the command waits. Of a receipt:
 * `late_word` and `nothing_open` change nothing; `elsewhere`: it may begin an episode, but not under this version of
 * its policy. `id`: of the receipt's instance, which may not have been read; `sinceMs`: when its episode began.
 */
export type EnvelopeResult = { readonly id?: string | null; readonly sinceMs?: number | undefined } & (
  | CommandResult
  | { readonly outcome: "late_word" | "nothing_open" | "elsewhere"; readonly instance: null }
  | { readonly outcome: "quarantined"; readonly instance: null; readonly error: BecalmError }
);

/** How a batch came out. Results are in the order of its envelopes; they are true only when it was applied. */
export type BatchResult = {
  /** `stale`: it was decided on a guess that does not hold; deciding it again reads. */
  readonly outcome: CommitOutcome | "stale";
  readonly results: readonly EnvelopeResult[];
};

/** Commands of equal keys are decided in order. */
export function mailboxKey({ groupId, partition }: Address): string {
  return groupId ?? `partition ${partition}`;
}

/** The instance that a command needs; of a receipt the one that it would make. null: the command is about a group. */
export function neededId(command: Incoming): string | null {
  if (command.type === "receipt") return command.ownId;
  return command.type === "summarise" || command.type === "wake" ? null : command.id;
}

/**
 * Does the command at most make an instance? A receipt of an episode that was begun elsewhere makes none: it asks what
 * is there.
 */
export function isCreation(command: Incoming): boolean {
  if (command.type !== "receipt") return command.type === "create";
  return command.receipt.status === "firing" && command.mayBegin;
}
