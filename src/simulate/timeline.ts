/**
 * Recorded histories as one timeline: receipts, ends of alerts, what people sent, and pauses, by time; silences; and
 * how each attempt ended. Any rules can be tried on it. Pure.
 *
 * A history has no line for a receipt that changed nothing, so a timeline has each episode's first receipt and its end.
 * What happened in one millisecond is put in order by what the decisions saw of their groups.
 */
import { ENGINE_ACTOR } from "../instance/audit-types.ts";
import type { EventInput } from "../instance/event-input.ts";
import type { Alert } from "../model/alert.ts";
import { grouped } from "../model/grouped.ts";
import type { GroupView } from "../model/instance-types.ts";
import type { Receipt } from "../model/receipt.ts";
import { policyKey } from "../policy/policy-versions.ts";
import { inOrderOf } from "./arrival-order.ts";
import { type Episode, earlierEnd, endOf, type KnownOfEnd, leaseEndMs, unnoticedEnd } from "./recorded-episode.ts";
import type { LaterSight, RecordedAttempt, RecordedEnd, RecordedHistory } from "./recorded-history.ts";
import { type PauseInput, RecordedStops, type TimelineSilence } from "./timeline-stops.ts";

/** `madeUnder`: the policy versions, as `name@version`, that made instances of it. */
export type TimelineReceipt = { readonly receipt: Receipt; readonly madeUnder: readonly string[] };

/**
 * Receipts that are decided together. `isHeld`: a brake that engaged in their moment was there before them. `isFirst`:
 * ends of alerts that the lifting of a pause, perhaps in their moment, found over.
 */
export type LineInput = {
  readonly kind: "line";
  readonly atMs: number;
  readonly receipts: readonly TimelineReceipt[];
  readonly isHeld: boolean;
  readonly isFirst: boolean;
};

/**
 * `name`: of the instance. `version`: that it had when it had taken the event, in the history; null: the event is not
 * from a history.
 */
export type EventInputAt = {
  readonly kind: "event";
  readonly atMs: number;
  readonly name: string;
  readonly version: number | null;
  readonly event: EventInput;
};

/** An answer for all that a group holds then. */
export type AnswerInputAt = {
  readonly kind: "answer";
  readonly atMs: number;
  readonly group: string;
  readonly event: EventInput & { type: "approval.granted" | "approval.denied" };
};

export type TimelineInput = LineInput | EventInputAt | AnswerInputAt | PauseInput;

export type Timeline = {
  /** In order. */
  readonly inputs: readonly TimelineInput[];
  /** By `attemptKey`. */
  readonly attempts: ReadonlyMap<string, RecordedAttempt>;
  /** When timers fired, by `timerKey`. */
  readonly timers: ReadonlyMap<string, number>;
  /** When people sent something to instances, or their alerts ended, by name. */
  readonly sentAtMs: ReadonlyMap<string, readonly number[]>;
  /** When groups made their summaries, by group. */
  readonly summaries: ReadonlyMap<string, readonly number[]>;
  /** Names of the instances that are recorded. */
  readonly names: ReadonlySet<string>;
  readonly silences: readonly TimelineSilence[];
  /** How many episodes of alerts begin in it, from the time on that is reported. */
  readonly alerts: number;
  /** Up to which the histories tell. */
  readonly untilMs: number;
};

export function attemptKey(name: string, attempt: number): string {
  return `${name} ${attempt}`;
}

export function timerKey(name: string, timer: string, arm: number): string {
  return `${name} ${timer} ${arm}`;
}

export type UnmatchedEpisode = {
  readonly alert: Alert;
  readonly startMs: number;
  readonly beganAtMs: number;
  readonly end: RecordedEnd | null;
};

/** Takes histories in any order. */
export class TimelineBuilder {
  readonly #episodes = new Map<string, Map<number, Episode>>();
  readonly #attempts = new Map<string, RecordedAttempt>();
  readonly #timers = new Map<string, number>();
  readonly #summaries = new Map<string, number[]>();
  readonly #names = new Set<string>();
  readonly #events: EventInputAt[] = [];
  readonly #stops = new RecordedStops();

  /** `end`: of its episode, where something else than the history knows it. */
  add(history: RecordedHistory, end: RecordedEnd | null = null): void {
    const { name, alert, startMs, events, attempts, timers, ends } = history;
    const episode = this.#episode(alert, startMs);
    episode.births.push(history);
    for (const told of ends) episode.told = earlierEnd(episode.told, told);
    const { foundOverAtMs } = history;
    if (foundOverAtMs !== null && foundOverAtMs < (episode.foundOverAtMs ?? Number.POSITIVE_INFINITY))
      episode.foundOverAtMs = foundOverAtMs;
    episode.recorded ??= end;
    this.#names.add(name);
    for (const { timer, arm, atMs } of timers) this.#timers.set(timerKey(name, timer, arm), atMs);
    for (const attempt of attempts) this.#attempts.set(attemptKey(name, attempt.attempt), attempt);
    for (const { atMs, version, event } of events) this.#events.push({ kind: "event", atMs, name, version, event });
    this.#stops.add(history);
  }

  /** An episode of an alert that no policy matched then. */
  addUnmatched({ alert, startMs, beganAtMs, end }: UnmatchedEpisode): void {
    const episode = this.#episode(alert, startMs);
    episode.unmatchedAtMs.push(beganAtMs);
    episode.recorded ??= end;
  }

  addSummary(group: string, atMs: number): void {
    const times = this.#summaries.get(group);
    if (times === undefined) this.#summaries.set(group, [atMs]);
    else times.push(atMs);
  }

  #episode(alert: Alert, startMs: number): Episode {
    const { fingerprint } = alert;
    let episodes = this.#episodes.get(fingerprint);
    if (episodes === undefined) {
      episodes = new Map();
      this.#episodes.set(fingerprint, episodes);
    }
    let episode = episodes.get(startMs);
    if (episode === undefined) {
      episode = { startMs, alert, births: [], unmatchedAtMs: [], told: null, recorded: null, foundOverAtMs: null };
      episodes.set(startMs, episode);
    }
    return episode;
  }

  /** Of each instance when its alert ended, if that is known. */
  #ends(): { readonly name: string; readonly atMs: number }[] {
    return [...this.#episodes.values()]
      .flatMap((episodes) => [...episodes.values()])
      .flatMap((episode) => {
        const end = endOf(episode);
        return end === null ? [] : episode.births.map(({ name }) => ({ name, atMs: end.atMs }));
      });
  }

  /** What was held, and took the end of its alert later than it was, was found over when a pause was lifted. */
  #addFoundOver(): void {
    for (const episode of [...this.#episodes.values()].flatMap((episodes) => [...episodes.values()])) {
      const end = endOf(episode);
      for (const { policy, ends } of episode.births)
        for (const { isHeld, atMs } of ends)
          if (isHeld && end !== null && end.reason !== "lease_over" && end.atMs < atMs)
            this.#stops.addLook({ policy, atMs, paused: null, isResumed: true });
    }
  }

  /** `untilMs`: up to when the histories tell. `fromMs`: what begins before it only prepares the rest. */
  build({ untilMs, fromMs = 0 }: { untilMs: number; fromMs?: number }): Timeline {
    const silenceEnds = this.#stops.silenceEnds();
    this.#addFoundOver();
    const receipts = [...this.#episodes.values()].flatMap((episodes) => {
      const inTime = [...episodes.values()].sort((a, b) => a.startMs - b.startMs);
      return receiptsOf(inTime, silenceEnds);
    });
    const inputs = [...linesOf(inOrder(receipts)), ...this.#events, ...this.#stops.pauses()];
    return {
      inputs: inputs.sort((a, b) => a.atMs - b.atMs || orderOf(a) - orderOf(b)),
      attempts: this.#attempts,
      timers: this.#timers,
      sentAtMs: sentTimes([...this.#events, ...this.#ends()]),
      summaries: this.#summaries,
      names: this.#names,
      silences: this.#stops.silences(),
      alerts: receipts.filter(({ place, atMs }) => place.startsWith("begin") && atMs >= fromMs).length,
      untilMs,
    };
  }
}

function sentTimes(events: readonly Pick<EventInputAt, "name" | "atMs">[]): Map<string, number[]> {
  const times = new Map<string, number[]>();
  for (const [name, own] of grouped(events, (event) => event.name)) {
    const atMs = own.map((event) => event.atMs);
    times.set(
      name,
      atMs.toSorted((a, b) => a - b),
    );
  }
  return times;
}

/**
 * Within one millisecond. What people stop, or let go on, in it concerns what comes in it; a brake stops what comes
 * behind what made it engage.
 */
const KIND_ORDER: Readonly<Record<TimelineInput["kind"], number>> = {
  pause: 1,
  line: 2,
  event: 5,
  resume: 6,
  answer: 7,
};

export function orderOf(input: TimelineInput): number {
  if (input.kind === "resume" && input.held === "decide") return 0;
  if (input.kind === "pause" && input.isByBrake) return 3;
  if (input.kind === "line" && input.isFirst) return -1;
  return input.kind === "line" && input.isHeld ? 4 : KIND_ORDER[input.kind];
}

type PlacedReceipt = {
  readonly atMs: number;
  readonly receipt: Receipt;
  readonly births: readonly RecordedHistory[];
  /**
   * Ends of this moment come behind what begins in it, but for one that the next episode of its alert needs, and one of
   * an instance that was held.
   */
  readonly place: "end of held" | "end before" | "begin" | "begin held" | "end";
};

/** Of one alert's episodes, oldest first. */
function receiptsOf(episodes: readonly Episode[], silenceEnds: ReadonlyMap<string, number>): PlacedReceipt[] {
  return episodes.flatMap((episode, index) => {
    const next = episodes[index + 1];
    const nextAtMs = next === undefined ? null : Math.min(...timesOf(next).keys());
    return [...beginnings(episode), ...ending(episode, { nextAtMs, silenceEnds })];
  });
}

/** When it came, and the instances that it made then. */
function timesOf({ births, unmatchedAtMs }: Episode): Map<number, RecordedHistory[]> {
  const times = grouped(births, ({ createdAtMs }) => createdAtMs);
  for (const atMs of unmatchedAtMs) if (!times.has(atMs)) times.set(atMs, []);
  return times;
}

/** One for each time at which it made instances: a policy that was new then made its own. */
function beginnings(episode: Episode): PlacedReceipt[] {
  const { startMs } = episode;
  const end = endOf(episode);
  return [...timesOf(episode)].map(([atMs, own]) => {
    const alert = own[0]?.alert ?? episode.alert;
    const isLease = end?.reason === "lease_over" && end.atMs > atMs;
    const receipt: Receipt = {
      ...alert,
      startsAtMs: startMs,
      endsAtMs: isLease ? leaseEndMs(end, episode.told) : null,
      status: "firing",
      form: isLease ? "v2" : "v4",
    };
    const areHeld = own.length > 0 && own.every(isHeldAtBirth);
    return { atMs, receipt, births: own, place: areHeld ? "begin held" : "begin" };
  });
}

/** Did the first decision find a brake that had engaged in the same moment? */
function isHeldAtBirth({ createdAtMs, looks: [first] }: RecordedHistory): boolean {
  return first?.atMs === createdAtMs && first.paused?.by === ENGINE_ACTOR && first.paused.sinceMs === createdAtMs;
}

/** Its end, if it was resolved, or if the alert began again or was found over and nobody knows how it ended. */
function ending(episode: Episode, known: KnownOfEnd): PlacedReceipt[] {
  const { nextAtMs } = known;
  const { alert, startMs, told } = episode;
  const end = endOf(episode);
  if (end?.reason === "lease_over" || (end?.reason === "resolve_lost" && nextAtMs !== null)) return [];
  const atMs = end === null ? unnoticedEnd(episode, known) : Math.min(end.atMs, nextAtMs ?? end.atMs);
  if (atMs === null) return [];
  // Dated as its beginning, so that the next episode, which begins later, is no late word.
  const times = { startsAtMs: startMs, endsAtMs: startMs };
  const receipt: Receipt = { ...alert, ...times, status: "resolved", form: "v4" };
  if (told?.isHeld === true && told.atMs === atMs) return [{ atMs, receipt, births: [], place: "end of held" }];
  return [{ atMs, receipt, births: [], place: atMs === nextAtMs ? "end before" : "end" }];
}

const PLACES: readonly PlacedReceipt["place"][] = ["end of held", "end before", "begin", "begin held", "end"];

/** By time; within one millisecond as each group saw them come. */
function inOrder(receipts: readonly PlacedReceipt[]): PlacedReceipt[] {
  const byTime = receipts.toSorted((a, b) => a.atMs - b.atMs || PLACES.indexOf(a.place) - PLACES.indexOf(b.place));
  return [...grouped(byTime, ({ atMs, place }) => `${atMs} ${place}`).values()].flatMap((some) =>
    some.length === 1 ? some : inOrderOf(some, chainsOf(some)),
  );
}

/** Of each group those that came into it, in order. */
function chainsOf(receipts: readonly PlacedReceipt[]): PlacedReceipt[][][] {
  const births = receipts.flatMap((receipt) => receipt.births.map((birth) => ({ receipt, birth })));
  const groups = grouped(
    births.filter(({ birth }) => birth.group !== null),
    ({ birth }) => birth.group,
  );
  return [...groups.values()].map((members) => {
    const chain: { receipts: PlacedReceipt[]; birth: RecordedHistory }[] = [];
    for (const { receipt, birth } of members.sort((a, b) => compareSights(a.birth, b.birth))) {
      const last = chain.at(-1);
      if (last !== undefined && compareSights(last.birth, birth) === 0) last.receipts.push(receipt);
      else chain.push({ receipts: [receipt], birth });
    }
    return chain.map(({ receipts: some }) => some);
  });
}

/**
 * Who came first into a group: those that found none, its opener, then whoever saw less of it (one that waits for a
 * person is in progress, and not yet executed), and of those that wait whoever went on first, or saw less of it then.
 */
function compareSights({ sight: a }: RecordedHistory, { sight: b }: RecordedHistory): number {
  const rank = ({ view }: typeof a) => (view === null ? 0 : view.observation.isNew ? 1 : 2);
  return (
    (a.epoch ?? 0) - (b.epoch ?? 0) ||
    rank(a) - rank(b) ||
    compareSeen(a.view, b.view) ||
    a.arrival - b.arrival ||
    compareLater(a.later, b.later)
  );
}

function compareSeen(a: GroupView | null, b: GroupView | null): number {
  const seen = (view: typeof a) => (view === null ? 0 : view.observation.executed + settledIn(view));
  return seen(a) - seen(b) || (a?.observation.inProgress ?? 0) - (b?.observation.inProgress ?? 0);
}

function compareLater(a: readonly LaterSight[], b: readonly LaterSight[]): number {
  for (const [index, one] of a.entries()) {
    const other = b[index];
    const order = other === undefined ? -1 : one.atMs - other.atMs || compareSeen(one.view, other.view);
    if (order !== 0) return order;
  }
  return a.length < b.length ? 1 : 0;
}

function settledIn(view: GroupView): number {
  return view.observation.succeeded + view.observation.failed;
}

/** Receipts of one moment are one line, unless results came between them. */
function linesOf(receipts: readonly PlacedReceipt[]): LineInput[] {
  const lines: (LineInput & { receipts: TimelineReceipt[] })[] = [];
  const settled = new Map<string, number>();
  for (const { atMs, receipt, births, place } of receipts) {
    const last = lines.at(-1);
    const isBehindResults = births.map((birth) => sawMore(settled, birth)).includes(true);
    // What ends in the moment of a brake comes with what it holds: lines keep their order.
    const isHeld = place === "begin held" || (place === "end" && last?.atMs === atMs && last.isHeld);
    const isFirst = place === "end of held";
    const isLike = last?.atMs === atMs && last.isHeld === isHeld && last.isFirst === isFirst;
    const isWithLast = isLike && !isBehindResults;
    const line = isWithLast ? last : { kind: "line" as const, atMs, receipts: [], isHeld, isFirst };
    if (!isWithLast) lines.push(line);
    const madeUnder = births.map(({ policy: name, policyVersion: version }) => policyKey({ name, version }));
    line.receipts.push({ receipt, madeUnder });
  }
  return lines;
}

/** Did it see more results than whoever came before it into its group? */
function sawMore(settled: Map<string, number>, { group, sight: { view, epoch } }: RecordedHistory): boolean {
  if (group === null || view === null) return false;
  const key = `${group} ${epoch}`;
  const before = settled.get(key) ?? 0;
  settled.set(key, settledIn(view));
  return settledIn(view) > before;
}
