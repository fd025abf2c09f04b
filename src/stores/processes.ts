import { compareCodePoints } from "../model/utf8.ts";

/**
 * The processes that share a namespace: who of them lives, and letters from one to another. Nothing here is ever needed
 * to be right: whatever is lost, late or doubled costs time, and the compare-and-set of the commits is what keeps
 * everything safe.
 *
 * Leases run by the store's clock. Letters are kept for LETTERS_KEPT_MS, are taken by whoever receives them first, and
 * may be lost on the way.
 */
export interface Processes {
  /** Says that this process lives, for `leaseMs`; gives all that live, itself included, ordered by id. */
  beat(request: BeatRequest): Promise<LiveProcess[]>;

  /** Says that it lives no longer. What is in its inbox is gone, and whoever receives there gets nothing more. */
  leave(id: string): Promise<void>;

  /** All that live, ordered by id. */
  living(): Promise<LiveProcess[]>;

  /** Puts letters into the inbox of a process, in their order. */
  send(to: string, letters: readonly string[]): Promise<void>;

  /**
   * Takes what is in the inbox of a process, oldest first. Waits until there is something; nothing: try again, or it
   * has left.
   */
  receive(id: string): Promise<string[]>;

  /** How many letters wait in the inbox of a process. */
  waiting(id: string): Promise<number>;

  /**
   * Keeps what a process that decides something is called, also when it lives no longer: of the last ENROLLED_COUNT_MAX
   * that began.
   */
  enrol(request: Enrolment): Promise<void>;

  /** Records of those among them that are kept, by id. */
  enrolled(ids: readonly string[]): Promise<ReadonlyMap<string, string>>;
}

/** `record`: in the words of whoever reads it. `sinceMs`: when the process began. */
export type Enrolment = { readonly id: string; readonly record: string; readonly sinceMs: number };

export const ENROLLED_COUNT_MAX = 10_000;

/** `record`: what the others should know of it, in the words of whoever reads it. `leaseMs`: at least 1. */
export type BeatRequest = { readonly id: string; readonly record: string; readonly leaseMs: number };

/** `leftMs`: of its lease. */
export type LiveProcess = { readonly id: string; readonly record: string; readonly leftMs: number };

export const LETTERS_KEPT_MS = 60_000;

/** Letters that are received at once. */
export const LETTER_COUNT_MAX = 64;

/** Ids of those that are one too many, the oldest first. */
export function supernumerary(all: readonly Enrolment[]): readonly string[] {
  if (all.length <= ENROLLED_COUNT_MAX) return [];
  const sorted = [...all].sort((left, right) => left.sinceMs - right.sinceMs || compareCodePoints(left.id, right.id));
  return sorted.slice(0, all.length - ENROLLED_COUNT_MAX).map(({ id }) => id);
}
