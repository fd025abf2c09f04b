import { compareCodePoints } from "../../model/utf8.ts";
import {
  type BeatRequest,
  type Enrolment,
  LETTER_COUNT_MAX,
  type LiveProcess,
  type Processes,
  supernumerary,
} from "../processes.ts";
import { requireLease } from "../store-rules.ts";

type Inbox = { readonly letters: string[]; onLetter: (() => void)[] };

/** Engines of one process on one store are processes to each other. */
export class MemoryProcesses implements Processes {
  readonly #now: () => number;
  readonly #living = new Map<string, { readonly record: string; readonly untilMs: number }>();
  readonly #inboxes = new Map<string, Inbox>();
  readonly #enrolled = new Map<string, Enrolment>();

  constructor(now: () => number) {
    this.#now = now;
  }

  async beat({ id, record, leaseMs }: BeatRequest): Promise<LiveProcess[]> {
    requireLease(leaseMs, "membership");
    this.#living.set(id, { record, untilMs: this.#now() + leaseMs });
    return this.living();
  }

  async leave(id: string): Promise<void> {
    this.#living.delete(id);
    const inbox = this.#inboxes.get(id);
    this.#inboxes.delete(id);
    for (const wake of inbox?.onLetter ?? []) wake();
  }

  async living(): Promise<LiveProcess[]> {
    const nowMs = this.#now();
    for (const [id, { untilMs }] of this.#living) if (untilMs <= nowMs) this.#living.delete(id);
    const all = [...this.#living].map(([id, { record, untilMs }]) => ({ id, record, leftMs: untilMs - nowMs }));
    return all.sort((left, right) => compareCodePoints(left.id, right.id));
  }

  async send(to: string, letters: readonly string[]): Promise<void> {
    const inbox = this.#inboxOf(to);
    inbox.letters.push(...letters);
    for (const wake of inbox.onLetter.splice(0)) wake();
  }

  async receive(id: string): Promise<string[]> {
    const inbox = this.#inboxOf(id);
    if (inbox.letters.length === 0) await new Promise<void>((resolve) => inbox.onLetter.push(resolve));
    return inbox.letters.splice(0, LETTER_COUNT_MAX);
  }

  async waiting(id: string): Promise<number> {
    return this.#inboxes.get(id)?.letters.length ?? 0;
  }

  async enrol(request: Enrolment): Promise<void> {
    this.#enrolled.set(request.id, request);
    for (const id of supernumerary([...this.#enrolled.values()])) this.#enrolled.delete(id);
  }

  async enrolled(ids: readonly string[]): Promise<ReadonlyMap<string, string>> {
    return new Map(
      ids.flatMap((id) => {
        const found = this.#enrolled.get(id);
        return found === undefined ? [] : [[id, found.record] as const];
      }),
    );
  }

  #inboxOf(id: string): Inbox {
    const inbox = this.#inboxes.get(id) ?? { letters: [], onLetter: [] };
    this.#inboxes.set(id, inbox);
    return inbox;
  }
}
