/**
 * Plays a timeline in virtual time: the same receipts, answers, silences and pauses at their times, under rules that
 * may be others.
 *
 * P1 time goes from one thing that happens to the next: an input, a result that is due, a timer. A result comes before
 * a timer of the same time, and what is due at an input's time before that input, but timers, which come after it.
 * P2 an attempt takes as long as the history says, and ends as it says; one that no history knows ends at once, as it
 * is assumed to.
 * P3 nothing outside hears of it: there is no effect port. It writes to the store that it was given, and nowhere else.
 */
import { type Assumptions, assumedResult } from "../effects/simulated-effects.ts";
import type { Instance } from "../instance/checkpoint.ts";
import type { Decision, OutsideEvent } from "../instance/decide.ts";
import { compareEffects, type Effect } from "../instance/effect.ts";
import { LEASE_TIMER } from "../instance/lease-timer.ts";
import { BecalmError, errorCode } from "../model/errors.ts";
import { fingerprintOf } from "../model/fingerprint.ts";
import { partitionOfId } from "../model/ids.ts";
import type { Receipt } from "../model/receipt.ts";
import type { CompiledPolicy } from "../policy/policy-versions.ts";
import type { Envelope, EnvelopeResult } from "../runtime/commit/batch.ts";
import { routeAlerts } from "../runtime/inbox/routed-alerts.ts";
import { isEpisodeOpen } from "../runtime/instance-episode.ts";
import { InstanceService } from "../runtime/instance-service.ts";
import type { BatchRuntime, CompiledSilence, Driver, Runtime } from "../runtime/runtime.ts";
import { brakesOf } from "../runtime/stops/brake-duties.ts";
import { PauseService } from "../runtime/stops/pause-service.ts";
import { compareRows, envelopeOf } from "../runtime/workers/timers.ts";
import type { TimerLane, TimerRow } from "../stores/store.ts";
import { commitByGroup } from "./commit-groups.ts";
import type { Counted } from "./instance-rows.ts";
import { nameOfId, type RecordedAttempt } from "./recorded-history.ts";
import {
  attemptKey,
  type EventInputAt,
  type LineInput,
  type Timeline,
  type TimelineInput,
  type TimelineReceipt,
  timerKey,
} from "./timeline.ts";
import type { PauseInput, TimelineSilence } from "./timeline-stops.ts";

export type TimelineOptions = {
  readonly assumptions: Assumptions;
  /**
   * Every instance is made under the version that made it, and what its policy file silenced and its brakes stopped is
   * so. False: the policies, silences and brakes in force are those that the runtime has.
   */
  readonly isAsRecorded: boolean;
  /** After the timeline, time runs on until only approvals, leases, verify and reconsider timers are pending. */
  readonly runsOn?: boolean;
  /** Instances that are made before are there, and not reported. */
  readonly reportFromMs?: number;
  /** Called between inputs: it may wait, and throws when nobody waits for the rest. */
  readonly between?: () => Promise<void> | void;
};

/** Like the record's own when it is at most this much earlier or later: timers of a live engine fire a little late. */
const SAME_TIME_MS = 2_000;

const TIMER_PAGE_COUNT = 64;

type Due = {
  readonly atMs: number;
  readonly effect: Effect;
  readonly result: ReturnType<typeof assumedResult>;
  readonly instance: Instance;
};

type Firing = { readonly row: TimerRow; readonly atMs: number };

/** `refused`: what people sent that an instance did not take, or that had no such instance. */
export type Played = Counted & { readonly refused: number };

export class TimelineRun implements Driver {
  readonly instances: InstanceService;
  readonly #runtime: BatchRuntime;
  readonly #pauses: PauseService;
  readonly #timeline: Timeline;
  readonly #options: TimelineOptions;
  /** By when they are due. */
  readonly #due: Due[] = [];
  /** Ids by name. */
  readonly #ids = new Map<string, string>();
  readonly #reported = new Set<string>();
  #nowMs = 0;
  #turn = 0;
  #unmatched = 0;
  #refused = 0;

  constructor(runtime: Runtime, timeline: Timeline, options: TimelineOptions) {
    this.#runtime = {
      ...runtime,
      onCommit: [(decision) => this.committed(decision)],
      effectClaimMs: () => null,
      followBrakes: brakesOf(runtime),
    };
    this.#timeline = timeline;
    this.#options = options;
    const now = () => this.#nowMs;
    this.instances = new InstanceService(this.#runtime, this, now);
    this.#pauses = new PauseService(this.#runtime, this, now);
    const silences = timeline.silences.filter(({ isOfFile }) => options.isAsRecorded || !isOfFile).map(compiledSilence);
    const { inForce } = runtime;
    Object.assign(inForce, { stored: silences, silences: [...inForce.fromFile, ...silences] });
  }

  submit(envelopes: readonly Envelope[]): Promise<readonly EnvelopeResult[]> {
    return commitByGroup(this.#runtime, envelopes, this.#turn);
  }

  committed({ effects, instances }: Decision): void {
    if (effects.length === 0) return;
    const changed = new Map(instances.map(({ instance }) => [instance.id, instance]));
    for (const effect of effects) this.#expect(effect, changed.get(effect.instanceId) as Instance);
  }

  /** All of the timeline. */
  async play(): Promise<Played> {
    for (const input of this.#timeline.inputs) {
      await this.#options.between?.();
      // What is tried comes after all that the record has of that moment.
      await this.#until(isTried(input) ? input.atMs + 1 : input.atMs);
      this.#goTo(input.atMs);
      await this.#take(input);
    }
    // A timer that was due at the end may have fired, or not: the record knows of those that have.
    await this.#until(this.#timeline.untilMs + 1);
    if (this.#options.runsOn === true) await this.#runOn();
    return {
      ids: this.#reported,
      alerts: this.#timeline.alerts,
      unmatched: this.#unmatched,
      refused: this.#refused,
      rejected: 0,
      resolved: 0,
      late: 0,
      truncated: 0,
    };
  }

  /** The actual id of the instance that has a name; undefined: there is none. */
  idOf(name: string): string | undefined {
    return this.#ids.get(name);
  }

  #goTo(atMs: number): void {
    this.#turn = atMs > this.#nowMs ? 0 : this.#turn + 1;
    this.#nowMs = Math.max(atMs, this.#nowMs);
  }

  /** Results that are due up to `atMs`, and timers before it, each at its time (P1). */
  async #until(atMs: number): Promise<void> {
    for (;;) {
      const firing = await this.#earliest(atMs - 1);
      const due = this.#due[0];
      if (due !== undefined && due.atMs <= Math.min(atMs, firing?.atMs ?? atMs)) await this.#complete(due.atMs);
      else if (firing !== null) await this.#fire(firing);
      else return;
    }
  }

  async #runOn(): Promise<void> {
    for (;;) {
      const due = this.#due[0];
      const [work] = await this.#runtime.store.timers({ lane: "work", untilMs: Number.MAX_SAFE_INTEGER, limit: 1 });
      if (due === undefined && work === undefined) return;
      if (due !== undefined && due.atMs <= (work?.dueAtMs ?? due.atMs)) await this.#complete(due.atMs);
      else if (work !== undefined) await this.#fire(await this.#firstBefore(work));
    }
  }

  /**
   * A timer of people's lane that is due before one of the work. No lease runs out then: that the record ends says
   * nothing of its alerts.
   */
  async #firstBefore(work: TimerRow): Promise<Firing> {
    const request = { lane: "approval", untilMs: work.dueAtMs, limit: Number.MAX_SAFE_INTEGER } as const;
    const rows = (await this.#runtime.store.timers(request)).filter(({ name }) => name !== LEASE_TIMER);
    const row = rows.reduce((first, other) => (compareRows(other, first) < 0 ? other : first), work);
    return { row, atMs: row.dueAtMs };
  }

  /** The timer that fires next, and when. */
  async #earliest(untilMs: number): Promise<Firing | null> {
    const lanes = await Promise.all((["work", "approval"] as const).map((lane) => this.#earliestOf(lane, untilMs)));
    return lanes.reduce((first, firing) => (isBefore(firing, first) ? firing : first), null);
  }

  async #earliestOf(lane: TimerLane, untilMs: number): Promise<Firing | null> {
    for (let limit = TIMER_PAGE_COUNT; ; limit *= 2) {
      const rows = await this.#runtime.store.timers({ lane, untilMs, limit });
      const firings = rows.map((row) => ({ row, atMs: this.#firesAtMs(row) })).filter(({ atMs }) => atMs <= untilMs);
      const first = firings.reduce<Firing | null>((least, firing) => (isBefore(firing, least) ? firing : least), null);
      // One of those behind the page cannot fire before it is due.
      const isFirst = first !== null && first.atMs <= (rows.at(-1)?.dueAtMs ?? untilMs);
      if (isFirst || rows.length < limit) return first;
    }
  }

  /**
   * When the record says that it fired, if that is about the same timer; one that was still due when a person sent
   * something to its instance, when its alert ended, or when the record ended, had not fired.
   */
  #firesAtMs({ owner, name, arm, dueAtMs }: TimerRow): number {
    const { timers, sentAtMs, summaries, names, untilMs } = this.#timeline;
    const isGroup = partitionOfId(owner) === null;
    const instance = nameOfId(owner);
    const fired = isGroup ? (summaries.get(owner) ?? []) : [timers.get(timerKey(instance, name, arm)) ?? dueAtMs - 1];
    const atMs = fired.find((one) => one >= dueAtMs && one - dueAtMs <= SAME_TIME_MS);
    if (atMs !== undefined) return atMs;
    const isRecorded = isGroup ? name === "summary" : names.has(instance) && !timers.has(timerKey(instance, name, arm));
    if (isRecorded && dueAtMs <= untilMs && dueAtMs > untilMs - SAME_TIME_MS) return untilMs + 1;
    const sent = isRecorded ? sentAtMs.get(instance)?.find((one) => one > dueAtMs) : undefined;
    return sent !== undefined && sent - dueAtMs <= SAME_TIME_MS ? sent : dueAtMs;
  }

  async #fire({ row, atMs }: Firing): Promise<void> {
    this.#goTo(atMs);
    const envelope = await envelopeOf(this.#runtime, row, { atMs: Math.max(atMs, this.#nowMs) });
    if (envelope === null) throw new Error(`nothing in memory is quarantined, but ${row.owner} is`);
    await this.submit([envelope]);
  }

  async #take(input: TimelineInput): Promise<void> {
    switch (input.kind) {
      case "line":
        return this.#line(input);
      case "event":
        return this.#send(input);
      case "answer":
        await this.instances.answer({ group: input.group }, input.event);
        return;
      case "pause":
      case "resume":
        return this.#stop(input);
    }
  }

  async #line({ receipts }: LineInput): Promise<void> {
    if (!this.#options.isAsRecorded) return this.#receive(receipts.map(({ receipt }) => receipt));
    // Only the versions that made something of a receipt may make something of it again.
    for (const { receipts: some, madeUnder } of bySameVersions(receipts)) {
      if (madeUnder.length > 0) this.#runtime.inForce.policies = madeUnder.map((key) => this.#version(key));
      await this.#receive(some);
    }
  }

  async #receive(receipts: readonly Receipt[]): Promise<void> {
    this.#goTo(this.#nowMs);
    const options = { atMs: this.#nowMs, turn: this.#turn };
    const { routed, unmatched, unreadable } = await routeAlerts(this.#runtime, receipts, options);
    for (const error of unreadable.values()) throw error;
    this.#unmatched += unmatched.filter((index) => receipts[index]?.status === "firing").length;
    const results = [...(await this.submit(routed.map(({ envelope }) => envelope)))];
    for (const [index, { fallback }] of routed.entries())
      if (fallback !== null && results[index]?.outcome === "elsewhere")
        results[index] = (await this.submit([fallback]))[0] as EnvelopeResult;
    for (const result of results) {
      const id = result.instance?.id ?? result.id;
      if (id == null) continue;
      this.#ids.set(nameOfId(id), id);
      if (result.outcome === "created" && this.#nowMs >= (this.#options.reportFromMs ?? 0)) this.#reported.add(id);
    }
  }

  #version(key: string): CompiledPolicy {
    const policy = this.#runtime.versions.get(key);
    if (policy !== undefined) return policy;
    throw new BecalmError(
      "BECALM_HISTORY_BROKEN",
      `The policy version ${key} is missing, under which an instance was made. Restore the policies of the namespace, or export it again.`,
      { details: { policy: key } },
    );
  }

  /** What a person sent. Under other rules an instance may not take it; what is tried has to be taken. */
  async #send({ name, event, version }: EventInputAt): Promise<void> {
    const id = this.#ids.get(name);
    const send = async () => {
      if (id === undefined) this.#refused += 1;
      else await this.instances.send(id, event);
    };
    if (version === null) await send();
    else if (await isRefused(send)) this.#refused += 1;
  }

  /** A pause that other rules have begun by themselves, or one that they have not, changes nothing. */
  async #stop(input: PauseInput): Promise<void> {
    const { by, why, scope } = input.note;
    const request = { by, why, ...(scope === null ? {} : { policy: scope }) };
    // A brake's own pauses follow from the rules.
    if (input.kind === "pause" && input.isByBrake && !this.#options.isAsRecorded) return;
    if (input.kind === "pause") await isRefused(() => this.#pauses.pause(request));
    else await isRefused(() => this.#pauses.resume({ ...request, held: input.held }));
  }

  /** When an attempt ends, and how (P2). */
  #expect(effect: Effect, instance: Instance): void {
    const { kind, policy, id } = instance;
    const { attempt } = effect;
    const recorded = kind === "action" ? this.#timeline.attempts.get(attemptKey(nameOfId(id), attempt)) : undefined;
    const ending = recorded === undefined ? null : endingOf(recorded, effect.atMs);
    if (ending === "never") return;
    const result = ending?.result ?? assumedResult({ kind, policy, attempt }, this.#options.assumptions);
    const due: Due = { atMs: ending?.atMs ?? effect.atMs, effect, result, instance };
    const index = this.#due.findIndex((other) => compareDue(due, other) < 0);
    this.#due.splice(index === -1 ? this.#due.length : index, 0, due);
  }

  async #complete(atMs: number): Promise<void> {
    this.#goTo(atMs);
    const count = this.#due.findIndex((due) => due.atMs > atMs);
    const due = this.#due.splice(0, count === -1 ? this.#due.length : count);
    await this.submit(await Promise.all(due.map((one) => this.#resultOf(one))));
  }

  async #resultOf({ effect, result, instance, atMs }: Due): Promise<Envelope> {
    const { id, partition, groupId, instanceId, attempt, order } = effect;
    const about = { attempt, atMs, ...(result.result === undefined ? {} : { result: result.result }) };
    const verifies = instance.snapshot.context.policy.verifyMs !== null;
    const isOpen = result.ok && verifies ? { isOpen: await isEpisodeOpen(this.#runtime, instance, atMs) } : {};
    const event: OutsideEvent = result.ok
      ? { type: "effect.done", ...isOpen, ...about }
      : { type: "effect.failed", error: result.error, ...about };
    return {
      address: { partition, groupId },
      command: { type: "event", id: instanceId, event, order },
      consumes: { kind: "effect", id },
      lastSeen: null,
    };
  }
}

/** As the record has it; of one that begins at another time, as long after its beginning as there. */
function endingOf({ beganAtMs, end }: RecordedAttempt, atMs: number) {
  if (end.kind === "none") return "never";
  const isThere = Math.abs(atMs - beganAtMs) <= SAME_TIME_MS;
  const said = end.result === undefined ? {} : { result: end.result };
  const result =
    end.kind === "done" ? { ok: true as const, ...said } : { ok: false as const, error: end.error, ...said };
  return { atMs: Math.max(isThere ? end.atMs : atMs + end.atMs - beganAtMs, atMs), result };
}

function isBefore(a: Firing | null, b: Firing | null): boolean {
  if (a === null || b === null) return a !== null;
  return a.atMs === b.atMs ? compareRows(a.row, b.row) < 0 : a.atMs < b.atMs;
}

function compareDue(a: Due, b: Due): number {
  return a.atMs - b.atMs || compareEffects(a.effect, b.effect);
}

function compiledSilence({ note, fromMs, toMs, fingerprints }: TimelineSilence): CompiledSilence {
  const { author, comment, id } = note;
  return {
    silence: { match: [], fromMs, toMs, author, comment, ...(id === undefined ? {} : { id }) },
    matches: (labels) => fingerprints.has(fingerprintOf(labels)),
  };
}

type SameVersions = { readonly receipts: Receipt[]; readonly madeUnder: readonly string[] };

/** Neighbours that the same versions made something of. What made nothing goes with the one before it. */
function bySameVersions(receipts: readonly TimelineReceipt[]): SameVersions[] {
  const runs: SameVersions[] = [];
  for (const { receipt, madeUnder } of receipts) {
    const last = runs.at(-1);
    const isSame = last !== undefined && (madeUnder.length === 0 || isEqual(madeUnder, last.madeUnder));
    if (isSame) last.receipts.push(receipt);
    else runs.push({ receipts: [receipt], madeUnder });
  }
  return runs;
}

function isEqual(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((key, index) => key === b[index]);
}

async function isRefused(act: () => Promise<unknown>): Promise<boolean> {
  try {
    await act();
    return false;
  } catch (error) {
    if (errorCode(error) !== "BECALM_EVENT_REFUSED" && errorCode(error) !== "BECALM_NOT_FOUND") throw error;
    return true;
  }
}

function isTried(input: TimelineInput): boolean {
  return input.kind === "answer" || (input.kind === "event" && input.version === null);
}
