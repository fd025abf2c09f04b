/**
 * Sends what arrives here (alerts, and results of attempts that ran here) to the processes that own its partitions, and
 * decides what they send.
 *
 * What is sent is not stored and not acknowledged: whoever received an alert answers its sender when the owner has
 * committed it, and whoever ran an attempt holds its effect until then. So a letter may be lost, doubled or late. The
 * owner's answer that does not come in time makes the one who asked decide by itself, and an alert that both have
 * decided is a duplicate; of a result that both have decided, the second changes nothing.
 *
 * F1 at most LETTERS_OUT_MAX letters to one owner are unanswered; what comes meanwhile waits here, counted by the bound
 * on alerts under way, and goes together. F2 nothing that was sent is sent on: who gets it decides it, or declines. F3
 * what is older than its sender waits for is declined. F4 who does not take its letters is not waited for.
 */
import { BecalmError } from "../../model/errors.ts";
import type { CompiledPolicy } from "../../policy/policy-versions.ts";
import { policyKey } from "../../policy/policy-versions.ts";
import type { Processes } from "../../stores/processes.ts";
import type { Envelope, EnvelopeResult } from "../commit/batch.ts";
import { type Filling, type Size, sizeOf, takes } from "../inbox/batch-size.ts";
import { sum } from "../inbox/mailbox.ts";
import type { PoliciesInForce, Runtime } from "../runtime.ts";
import {
  canBeWritten,
  type Letter,
  readAnswer,
  readBatch,
  timesIn,
  type WrittenAnswer,
  type WrittenBatch,
  writtenAnswer,
  writtenBatch,
  writtenError,
} from "./letters.ts";
import { BEAT_EVERY_MS, MEMBER_LEASE_MS } from "./membership.ts";

/** Unanswered, to one owner. */
const LETTERS_OUT_MAX = 8;
/** By then whoever died is no longer a member, and another one owns what it had. */
export const ANSWERED_WITHIN_MS = MEMBER_LEASE_MS + 1_000;
/**
 * Who lives takes its letters at once. One whose letters lie there for so long, and who has missed a beat, is dead or
 * stands still.
 */
const TAKEN_WITHIN_MS = 1_000;
/** Then it is looked at again so often: does it still say that it lives? */
const LOOKED_AT_EVERY_MS = 500;
/** Of the lease of one that has just missed a beat. */
const MISSED_LEFT_MS = MEMBER_LEASE_MS - BEAT_EVERY_MS - 500;
/** How long such a one is sent nothing: by then it is heard of again, or a member no longer. */
const SILENT_MS = 2_000;
/** What an owner had begun to decide when it left is answered within this. */
const LAST_ANSWERS_MS = 100;

export type Submit = (envelopes: readonly Envelope[], size: Size) => Promise<readonly EnvelopeResult[]>;

export type ForwardingOptions = {
  readonly processes: Processes;
  /** Decides here. */
  readonly decide: Submit;
  /** Told what is odd and not an error: it costs time. */
  readonly report: (what: string, error: unknown) => void;
};

/** What was given to be decided elsewhere. */
type Sent = {
  readonly envelopes: readonly Envelope[];
  readonly size: Size;
  readonly sinceMs: number;
  readonly answer: (results: Promise<readonly EnvelopeResult[]>) => void;
};

type Out = { readonly to: string; readonly sent: readonly Sent[]; readonly cancel: () => void };

export class Forwarding {
  readonly #runtime: Runtime;
  readonly #options: ForwardingOptions;
  /** What waits for its letter, by owner. */
  readonly #queues = new Map<string, Sent[]>();
  /** Letters that are not answered, by number. */
  readonly #out = new Map<number, Out>();
  readonly #expected = new Set<string>();
  /** Owners that do not take their letters, and until when they are sent none. */
  readonly #silentUntilMs = new Map<string, number>();
  readonly #onAnswered: (() => void)[] = [];
  #number = 0;
  #inForce: { readonly policies: PoliciesInForce["policies"]; readonly keys: ReadonlySet<string> } = {
    policies: [],
    keys: new Set(),
  };

  constructor(runtime: Runtime, options: ForwardingOptions) {
    this.#runtime = runtime;
    this.#options = options;
  }

  /** Has a batch decided by the owner of its partition; by this process if that does not come about. */
  submit(to: string, envelopes: readonly Envelope[], size: Size): Promise<readonly EnvelopeResult[]> {
    if (this.#isSilent(to) || !canBeWritten(envelopes)) return this.#options.decide(envelopes, size);
    return new Promise((answer) => {
      const queue = this.#queues.get(to) ?? [];
      this.#queues.set(to, queue);
      queue.push({ envelopes, size, sinceMs: this.#runtime.realTime.now(), answer });
      this.#expect(to);
    });
  }

  /** Batches that are with others, or on their way to them, and how long the oldest has been. */
  get waiting(): { readonly batches: number; readonly oldestMs: number } {
    const all = [...this.#queues.values(), ...[...this.#out.values()].map(({ sent }) => sent)].flat();
    const firstMs = all.reduce((first, { sinceMs }) => Math.min(first, sinceMs), Number.POSITIVE_INFINITY);
    return { batches: all.length, oldestMs: all.length === 0 ? 0 : this.#runtime.realTime.now() - firstMs };
  }

  /** Members that own nothing any more: what they do not answer at once is decided here. */
  gone(members: readonly string[]): void {
    for (const member of members) {
      for (const sent of this.#takeQueue(member)) this.#decideHere(sent);
      if ([...this.#out.values()].some(({ to }) => to === member))
        this.#runtime.realTime.schedule(LAST_ANSWERS_MS, () => this.#takeBack(({ to }) => to === member));
    }
  }

  /** Resolves when everything that was sent is answered; after LAST_ANSWERS_MS in any case. */
  async whenAnswered(): Promise<void> {
    if (this.#out.size === 0) return;
    await new Promise<void>((resolve) => {
      const cancel = this.#runtime.realTime.schedule(LAST_ANSWERS_MS, resolve);
      this.#onAnswered.push(() => {
        cancel();
        resolve();
      });
    });
  }

  /** Everything that is not answered is decided here. */
  close(): void {
    for (const member of this.#queues.keys()) for (const sent of this.#takeQueue(member)) this.#decideHere(sent);
    this.#takeBack(() => true);
  }

  /** Takes a letter that concerns alerts. */
  take(letter: Exclude<Letter, { kind: "look" }>): void {
    if (letter.kind === "answer") this.#answered(letter.number, letter.answers);
    else void this.#decideFor(letter);
  }

  /** A turn of the event loop later, so that what arrives together goes together. */
  #expect(to: string): void {
    if (this.#expected.has(to)) return;
    this.#expected.add(to);
    setImmediate(() => {
      this.#expected.delete(to);
      this.#sendLetters(to);
    });
  }

  #sendLetters(to: string): void {
    const queue = this.#queues.get(to) ?? [];
    let out = 0;
    for (const letter of this.#out.values()) if (letter.to === to) out += 1;
    for (; queue.length > 0 && out < LETTERS_OUT_MAX; out += 1) this.#send(to, nextLetter(queue));
  }

  #send(to: string, sent: readonly Sent[]): void {
    this.#number += 1;
    const number = this.#number;
    const { realTime } = this.#runtime;
    let cancelLook = () => {};
    const look = (delayMs: number) => {
      cancelLook = realTime.schedule(delayMs, () => {
        void this.#lookIfTaken(to, number).then(() => {
          if (this.#out.has(number)) look(LOOKED_AT_EVERY_MS);
        });
      });
    };
    look(TAKEN_WITHIN_MS);
    const cancelEnd = realTime.schedule(ANSWERED_WITHIN_MS, () => {
      this.#options.report(`Another process did not answer: what it was sent is decided here`, null);
      this.#takeBack((_, other) => other === number);
    });
    const cancel = () => {
      cancelLook();
      cancelEnd();
    };
    this.#out.set(number, { to, sent, cancel });
    const batches = sent.map(({ envelopes }) => writtenBatch(envelopes));
    const letter: Letter = { kind: "ask", from: this.#runtime.owner, number, batches };
    this.#options.processes.send(to, [JSON.stringify(letter)]).catch((error: unknown) => {
      this.#options.report("Another process could not be reached: what it should decide is decided here", error);
      this.#takeBack((_, other) => other === number);
    });
  }

  /** F4: nothing waits for the lease of an owner that does not even take its letters. */
  async #lookIfTaken(to: string, number: number): Promise<void> {
    const waiting = await this.#options.processes.waiting(to).catch(() => 0);
    if (waiting === 0 || !this.#out.has(number)) return;
    // One that has so much to do that letters come as fast as it takes them still says that it lives.
    const living = await this.#options.processes.living().catch(() => null);
    const leftMs = living?.find(({ id }) => id === to)?.leftMs ?? 0;
    if (living === null || leftMs > MISSED_LEFT_MS || !this.#out.has(number)) return;
    this.#options.report("Another process does not take its letters: what it was sent is decided here", null);
    this.#silentUntilMs.set(to, this.#runtime.realTime.now() + SILENT_MS);
    this.#takeBack((out) => out.to === to);
    for (const sent of this.#takeQueue(to)) this.#decideHere(sent);
  }

  #isSilent(to: string): boolean {
    const untilMs = this.#silentUntilMs.get(to);
    if (untilMs === undefined) return false;
    if (this.#runtime.realTime.now() < untilMs) return true;
    this.#silentUntilMs.delete(to);
    return false;
  }

  #answered(number: number, answers: readonly WrittenAnswer[]): void {
    const out = this.#out.get(number);
    if (out === undefined) return;
    this.#forget(number, out);
    for (const [index, sent] of out.sent.entries()) {
      const answer = answers[index] ?? null;
      if (answer === null) this.#decideHere(sent);
      else sent.answer(new Promise((resolve) => resolve(readAnswer(answer))));
    }
  }

  #takeBack(isMeant: (out: Out, number: number) => boolean): void {
    for (const [number, out] of this.#out) {
      if (!isMeant(out, number)) continue;
      this.#forget(number, out);
      for (const sent of out.sent) this.#decideHere(sent);
    }
  }

  #forget(number: number, { to, cancel }: Out): void {
    this.#out.delete(number);
    cancel();
    this.#expect(to);
    if (this.#out.size === 0) for (const resolve of this.#onAnswered.splice(0)) resolve();
  }

  #takeQueue(member: string): readonly Sent[] {
    return this.#queues.get(member)?.splice(0) ?? [];
  }

  #decideHere({ envelopes, size, answer }: Sent): void {
    answer(this.#options.decide(envelopes, size));
  }

  async #decideFor({ from, number, batches }: Extract<Letter, { kind: "ask" }>): Promise<void> {
    const answers = await Promise.all(batches.map((batch) => this.#decideOne(batch)));
    const letter: Letter = { kind: "answer", number, answers };
    // Who does not hear of it decides by itself, and finds it decided.
    await this.#options.processes.send(from, [JSON.stringify(letter)]).catch(() => {});
  }

  async #decideOne(batch: WrittenBatch): Promise<WrittenAnswer> {
    try {
      const envelopes = readBatch(batch, (key, command) => this.#policyOf(key, command));
      if (envelopes === null || this.#isOld(batch)) return null;
      return writtenAnswer(await this.#options.decide(envelopes, sum(envelopes.map(sizeOf))));
    } catch (error) {
      if (error instanceof BecalmError) return writtenError(error);
      this.#options.report("What another process sent could not be decided: it decides by itself", error);
      return null;
    }
  }

  #isOld(batch: WrittenBatch): boolean {
    const nowMs = this.#runtime.clock.now();
    return timesIn(batch).some((atMs) => nowMs - atMs > ANSWERED_WITHIN_MS);
  }

  /** What may begin an episode is decided by whoever has its policy in force: another one may lack its handlers. */
  #policyOf(key: string, { mayBegin }: { readonly mayBegin: boolean }): CompiledPolicy | undefined {
    const { policies } = this.#runtime.inForce;
    if (this.#inForce.policies !== policies)
      this.#inForce = { policies, keys: new Set(policies.map(({ policy }) => policyKey(policy))) };
    return mayBegin && !this.#inForce.keys.has(key) ? undefined : this.#runtime.versions.get(key);
  }
}

/** As much as one commit takes; the mailbox of the owner may put more together. */
function nextLetter(queue: Sent[]): readonly Sent[] {
  const filled: Filling = { count: 0, bytes: 0 };
  let count = 0;
  while (count < queue.length && takes(filled, (queue[count] as Sent).size)) count += 1;
  return queue.splice(0, count);
}
