/**
 * Dispatches committed effects, and takes their results: each becomes one command. At most `concurrency` actions are out
 * at once, and beside them as many notices.
 *
 * Owns: which effects of this process are out, and their abort signals. Does not own: the outbox (the store), retries
 * (the machine), who runs an attempt (the effect port).
 * E1 an effect is dispatched only from the committed outbox. E2 its result is one command; the machine accepts it only
 * for the current attempt. E3 an attempt whose result comes later takes nobody's turn, and is not dispatched again
 * before its end.
 */
import type { EffectPort, EffectResult, NoticeSubject, OpenEffectPort } from "../../effects/effect-port.ts";
import { birthOf, endsWithNote } from "../../instance/audit.ts";
import type { Birth } from "../../instance/audit-types.ts";
import { CANCELLED_BEFORE_IT_BEGAN, type Effect, isNotice } from "../../instance/effect.ts";
import { BecalmError } from "../../model/errors.ts";
import { isoTime } from "../../model/timestamp.ts";
import type { Action } from "../../policy/policy.ts";
import { policyKey } from "../../policy/policy-versions.ts";
import { RAISED_FORMAT } from "../../stores/store.ts";
import type { Envelope, EnvelopeResult } from "../commit/batch.ts";
import { tryInstance } from "../commit/read-instance.ts";
import { isEpisodeOpen } from "../instance-episode.ts";
import type { Runtime } from "../runtime.ts";
import { Attempt, AttemptRequest, type Earlier, type JustCommitted } from "./attempt.ts";
import { noteEnvelope, resultEnvelope, resultEvent } from "./attempt-envelopes.ts";
import { AttemptSlots } from "./attempt-slots.ts";
import { attemptState } from "./attempt-state.ts";
import type { HeldByKind } from "./effect-source.ts";
import { noticeSubject } from "./notice-subject.ts";
import { PostponedEffects } from "./postponed-effects.ts";

const JUST_COMMITTED_MS = 1_000;
const OVER_BEFORE_IT_BEGAN = "the attempt was over before it began";
const CANCELLED_WHILE_POSTPONED = "The attempt was cancelled while its callback was waited for.";

/**
 * How an effect came out. `left`: its instance cannot be read, or the dispatcher was closed before its turn; `paused`:
 * a pause keeps it from beginning; `interrupted`: this process stops, which `envelope` notes; `postponed`: its result
 * comes later; `failed`: the store could not be read or written. They stay in the outbox.
 */
export type EffectOutcome =
  | { readonly kind: "completed"; readonly envelope: Envelope }
  | { readonly kind: "left" }
  | { readonly kind: "paused" }
  | { readonly kind: "interrupted"; readonly envelope: Envelope }
  | { readonly kind: "postponed" }
  | { readonly kind: "failed"; readonly error: unknown };

export type DispatchOptions = {
  /** Actions at once, and beside them notices. */
  readonly concurrency: number;
  /** Dates the result of an effect that has just ended. */
  readonly dateOf: (effect: Effect) => number;
  /** Told once for each effect that was dispatched here, and for each result that comes without that. */
  readonly onOutcome: (effect: Effect, outcome: EffectOutcome) => void;
  /** Commits that an attempt is begun again, before it is; absent: nobody notes which process ran what. */
  readonly note?: (envelope: Envelope) => Promise<readonly EnvelopeResult[]>;
};

type NotedSend = {
  readonly birth: Birth;
  readonly subject: NoticeSubject | null;
  readonly notes: NonNullable<DispatchOptions["note"]>;
};

export class EffectDispatcher {
  readonly #runtime: Runtime;
  readonly #port: EffectPort;
  readonly #options: DispatchOptions;
  /** Attempts that wait for their turn or are out, by effect. */
  readonly #attempts = new Map<string, Attempt>();
  readonly #actions: AttemptSlots;
  readonly #notices: AttemptSlots;
  /** Those that wait for a callback. `cancel` ends the wait for its end. */
  readonly #postponed = new Map<string, { readonly effect: Effect; readonly cancel: () => void }>();
  readonly #records: PostponedEffects;
  #isClosed = false;
  /** Does any of so many policy versions verify? */
  #verified = { among: 0, isAny: false };

  constructor(runtime: Runtime, openPort: OpenEffectPort, options: DispatchOptions) {
    this.#runtime = runtime;
    this.#options = options;
    this.#actions = new AttemptSlots(options.concurrency, (attempt) => this.#begin(attempt));
    this.#notices = new AttemptSlots(options.concurrency, (attempt) => this.#begin(attempt));
    this.#records = new PostponedEffects(runtime.store, () => runtime.clock.now());
    this.#port = openPort(
      (effect, result) => this.complete(effect, result),
      (effect, untilMs) => void this.#postpone(effect, untilMs),
    );
  }

  /**
   * Dispatches an effect as soon as it is its turn. `committed`: this process has just made its instance. `earlier`: it
   * was begun before.
   */
  dispatch(effect: Effect, committed: JustCommitted | null = null, earlier: Earlier | null = null): void {
    if (this.#isClosed) {
      this.#options.onOutcome(effect, { kind: "left" });
      return;
    }
    const attempt = new Attempt(effect, committed, earlier);
    this.#attempts.set(effect.id, attempt);
    this.#slotsOf(effect).add(attempt);
  }

  /** Takes a result: of an attempt that was dispatched here, or anywhere else. */
  complete(effect: Effect, result: EffectResult): void {
    const attempt = this.#attempts.get(effect.id);
    if (attempt?.isAnswered === true || (!result.ok && attempt?.isInterrupted === true)) {
      this.#leave(attempt);
      return;
    }
    if (this.#endWait(effect.id)) void this.#records.remove(effect).catch(() => {});
    if (result.ok && this.#isAnyVerified) void this.#completeLooking(effect, result);
    else this.#complete(effect, result, null);
  }

  /** The command that a result is, for whoever commits it by itself; `answered` is called when that is done. */
  async resultOf(effect: Effect, result: EffectResult): Promise<Envelope> {
    const isOpen = result.ok && this.#isAnyVerified ? await this.#isAlertOpen(effect).catch(() => true) : null;
    return resultEnvelope(effect, resultEvent(effect, result, { atMs: this.#options.dateOf(effect), isOpen }), null);
  }

  /** The result of an effect was committed elsewhere: it is waited for no longer. True: it was. */
  answered(effect: Effect): boolean {
    const attempt = this.#attempts.get(effect.id);
    if (attempt !== undefined) attempt.isAnswered = true;
    void this.#records.remove(effect).catch(() => {});
    return this.#endWait(effect.id);
  }

  #endWait(id: string): boolean {
    const waiting = this.#postponed.get(id);
    waiting?.cancel();
    return this.#postponed.delete(id);
  }

  /** Frees its turn, and remembers until when its result may come. Who cannot write that down waits all the same. */
  async #postpone(effect: Effect, untilMs: number): Promise<void> {
    if (this.#attempts.get(effect.id)?.isAnswered !== true) await this.#records.add(effect, untilMs).catch(() => {});
    this.#wait(effect, untilMs);
  }

  #wait(effect: Effect, untilMs: number): void {
    const attempt = this.#attempts.get(effect.id);
    if (attempt === undefined) return;
    if (attempt.isAnswered || attempt.isInterrupted) {
      if (attempt.isAnswered) void this.#records.remove(effect).catch(() => {});
      this.#leave(attempt);
      return;
    }
    if (attempt.isCancelled) {
      this.complete(effect, { ok: false, error: CANCELLED_WHILE_POSTPONED });
      return;
    }
    const over = () => this.complete(effect, { ok: false, error: `No callback came until ${isoTime(untilMs)}.` });
    const delayMs = Math.max(untilMs - this.#runtime.clock.now(), 0);
    this.#postponed.set(effect.id, { effect, cancel: this.#runtime.clock.schedule(delayMs, over) });
    this.#end(effect, { kind: "postponed" });
  }

  /**
   * A success that is verified must know whether the alert still fires. Who cannot look takes it that it does: the
   * timer looks again.
   */
  async #completeLooking(effect: Effect, result: EffectResult): Promise<void> {
    const isOpen = await this.#isAlertOpen(effect).catch(() => true);
    this.#complete(effect, result, isOpen);
  }

  #complete(effect: Effect, result: EffectResult, isOpen: boolean | null): void {
    const committed = this.#attempts.get(effect.id)?.committed ?? null;
    const event = resultEvent(effect, result, { atMs: this.#options.dateOf(effect), isOpen });
    this.#end(effect, { kind: "completed", envelope: resultEnvelope(effect, event, committed) });
  }

  get #isAnyVerified(): boolean {
    const { versions } = this.#runtime;
    if (this.#verified.among !== versions.size) {
      const isAny = [...versions.values()].some(({ policy }) => policy.verify !== undefined);
      this.#verified = { among: versions.size, isAny };
    }
    return this.#verified.isAny;
  }

  /** null: its policy does not ask. */
  async #isAlertOpen(effect: Effect): Promise<boolean | null> {
    const { partition, instanceId } = effect;
    const loaded = await this.#runtime.store.load({ partition, groupId: null, instanceIds: [instanceId] });
    const stored = loaded.instances.get(instanceId);
    const instance = stored === undefined ? null : await tryInstance(this.#runtime, stored);
    if (instance === null || instance instanceof BecalmError) return null;
    if (instance.snapshot.context.policy.verifyMs === null) return null;
    return isEpisodeOpen(this.#runtime, instance, this.#options.dateOf(effect));
  }

  /** Aborts the attempt of an instance, if it is out: it was cancelled. */
  cancel(instanceId: string, why: string): void {
    for (const attempt of this.#attempts.values()) if (attempt.effect.instanceId === instanceId) attempt.cancel(why);
    for (const { effect } of this.#postponed.values())
      if (effect.instanceId === instanceId) this.complete(effect, { ok: false, error: CANCELLED_WHILE_POSTPONED });
  }

  /** Aborts one attempt that is out, or waits for a callback: it is over. */
  cancelOne({ id }: Effect, why: string): void {
    this.#attempts.get(id)?.cancel(why);
    const postponed = this.#postponed.get(id);
    if (postponed !== undefined) this.complete(postponed.effect, { ok: false, error: CANCELLED_WHILE_POSTPONED });
  }

  /** Those that are out, and those that wait for a callback. */
  get outstanding(): Effect[] {
    const out = [...this.#attempts.values()].filter(({ isBegun }) => isBegun).map(({ effect }) => effect);
    return [...out, ...[...this.#postponed.values()].map(({ effect }) => effect)];
  }

  get outCount(): number {
    return this.#actions.out + this.#notices.out;
  }

  get held(): HeldByKind {
    return { actions: this.#actions, notices: this.#notices };
  }

  /**
   * Aborts what is out, because this process stops: what does not succeed is left in the outbox and delivered again.
   */
  interruptAll(why: string): void {
    for (const attempt of this.#attempts.values()) {
      attempt.isInterrupted = !attempt.isCancelled;
      attempt.cancel(why);
    }
  }

  /** Dispatches nothing more: what waits for its turn stays in the outbox. */
  close(): void {
    this.#isClosed = true;
    for (const { effect } of this.#postponed.values()) this.#endWait(effect.id);
    for (const effect of this.takeBack(0)) this.#options.onOutcome(effect, { kind: "left" });
  }

  /**
   * Takes back all but the first `keptCount` of each kind that wait for their turn: nobody hears of their outcome here.
   */
  takeBack(keptCount: number): Effect[] {
    const effects = [...this.#notices.takeBack(keptCount), ...this.#actions.takeBack(keptCount)];
    for (const { id } of effects) this.#attempts.delete(id);
    return effects;
  }

  #slotsOf(effect: Effect): AttemptSlots {
    return isNotice(effect) ? this.#notices : this.#actions;
  }

  #begin(attempt: Attempt): void {
    const { effect, committed } = attempt;
    attempt.isBegun = true;
    const birth = isFresh(committed, this.#options.dateOf(effect)) ? committed.birth : null;
    if (birth !== null && birth.notice === null) this.#send(attempt, birth, null);
    else void this.#readAndSend(attempt, birth);
  }

  async #readAndSend(attempt: Attempt, known: Birth | null): Promise<void> {
    const { effect } = attempt;
    try {
      const birth = known ?? (await this.#read(attempt));
      if (birth === "quarantined") this.#end(effect, { kind: "left" });
      else if (birth === "over") this.complete(effect, { ok: false, error: OVER_BEFORE_IT_BEGAN });
      else await this.#sendOrWait(attempt, birth);
    } catch (error) {
      this.#end(effect, { kind: "failed", error });
    }
  }

  /** One that was found in the outbox may have been begun already, and wait for its callback. */
  async #sendOrWait(attempt: Attempt, birth: Birth): Promise<void> {
    const { effect, committed } = attempt;
    const action = this.#actionOf(birth);
    const mayWait = committed === null && action?.kind === "webhook" && action.callback === true;
    const untilMs = mayWait ? await this.#records.untilMs(effect) : null;
    if (untilMs !== null) this.#wait(effect, untilMs);
    else this.#send(attempt, birth, birth.notice === null ? null : await noticeSubject(this.#runtime, birth.notice));
  }

  /** undefined: its policy is unknown to this namespace. */
  #actionOf({ kind, policy: name, policyVersion: version }: Birth): Action | undefined {
    const policy = this.#runtime.versions.get(policyKey({ name, version }))?.policy;
    return kind === "approval-request" ? policy?.approval.notify : policy?.action;
  }

  #send(attempt: Attempt, birth: Birth, subject: NoticeSubject | null): void {
    const { effect } = attempt;
    const action = this.#actionOf(birth);
    if (action === undefined) {
      const what = `policy "${birth.policy}" version ${birth.policyVersion}`;
      this.complete(effect, { ok: false, error: `${what} is unknown to this namespace` });
      return;
    }
    if (attempt.isCancelled) {
      this.complete(effect, { ok: false, error: CANCELLED_BEFORE_IT_BEGAN });
      return;
    }
    // Nothing begins while a pause holds: it goes on when that is lifted. Requests and summaries are not actions.
    const mayBePaused = birth.kind === "action" && effect.passesPause !== true;
    if (mayBePaused && this.#runtime.stops.isPaused(effect.partition, birth.policy)) {
      this.#end(effect, { kind: "paused" });
      return;
    }
    if (attempt.earlier !== null && this.#notes !== null) {
      void this.#noteAndSend(attempt, { birth, subject, notes: this.#notes });
      return;
    }
    attempt.isSent = true;
    this.#port.dispatch(effect, new AttemptRequest(attempt, { birth, subject, action }));
  }

  /** Written before it begins, so that no attempt can have run twice without a trace. */
  async #noteAndSend(attempt: Attempt, { birth, subject, notes }: NotedSend): Promise<void> {
    const { effect, earlier } = attempt;
    const { owner: process } = this.#runtime;
    const heldBy = earlier?.heldBy === undefined ? {} : { heldBy: earlier.heldBy };
    try {
      const note = { type: "effect.begun_again", attempt: effect.attempt, process, ...heldBy } as const;
      const [noted] = await notes(noteEnvelope(effect, { atMs: this.#runtime.clock.now(), note }));
      if (noted?.outcome === "quarantined") this.#end(effect, { kind: "left" });
      else if (noted?.outcome !== "applied") this.complete(effect, { ok: false, error: OVER_BEFORE_IT_BEGAN });
      else {
        attempt.earlier = null;
        this.#send(attempt, birth, subject);
      }
    } catch (error) {
      this.#end(effect, { kind: "failed", error });
    }
  }

  /** An attempt whose result counts no longer, or that did not end here. */
  #leave({ effect, isAnswered, isSent }: Attempt): void {
    if (isAnswered || !isSent || this.#notes === null) {
      this.#end(effect, { kind: "left" });
      return;
    }
    const note = { type: "effect.interrupted", attempt: effect.attempt, process: this.#runtime.owner } as const;
    this.#end(effect, {
      kind: "interrupted",
      envelope: noteEnvelope(effect, { atMs: this.#runtime.clock.now(), note }),
    });
  }

  /** Engines of the version before cannot read notes; while they may be there, none are written. */
  get #notes(): NonNullable<DispatchOptions["note"]> | null {
    return this.#runtime.format.acting >= RAISED_FORMAT ? (this.#options.note ?? null) : null;
  }

  #end(effect: Effect, outcome: EffectOutcome): void {
    const slots = this.#slotsOf(effect);
    if (this.#attempts.delete(effect.id)) slots.end();
    this.#options.onOutcome(effect, outcome);
    slots.fill();
  }

  /** What the effect acts on, from the store. */
  async #read(attempt: Attempt): Promise<Birth | "over" | "quarantined"> {
    const { effect } = attempt;
    const lines = await this.#runtime.store.history(effect.instanceId);
    // One that was found in the outbox may be over: cancelled, or reported by somebody else.
    const state = await attemptState(this.#runtime, effect);
    if (state === "quarantined") return state;
    if (lines === null || state === "over") return "over";
    if (endsWithNote(effect.instanceId, lines)) attempt.earlier ??= {};
    return birthOf(effect.instanceId, lines);
  }
}

function isFresh(committed: JustCommitted | null, nowMs: number): committed is JustCommitted {
  return committed !== null && nowMs - committed.atMs < JUST_COMMITTED_MS;
}
