/**
 * What one recorded history says of the world: when its alert began and ended, how its attempts came out, what people
 * did, and what was silenced or stopped. Everything else in it is what the rules made of that, and is not taken from
 * it. Pure.
 */
import type { AuditEntry, Birth, History } from "../instance/audit-types.ts";
import type { EventInput } from "../instance/event-input.ts";
import { step } from "../instance/step.ts";
import type { Alert } from "../model/alert.ts";
import { sha256 } from "../model/digest.ts";
import { idNames, instanceName, instanceNameParts } from "../model/ids.ts";
import type {
  EpisodeEnd,
  GroupView,
  InstanceState,
  InstanceTimerName,
  PauseNote,
  SilenceNote,
} from "../model/instance-types.ts";
import { replay } from "./replay.ts";

/** How an attempt ended. `none`: the history ends, or somebody cancelled it, before it did. */
export type RecordedAttempt = {
  readonly attempt: number;
  readonly beganAtMs: number;
  readonly end:
    | { readonly kind: "none" }
    | { readonly kind: "done"; readonly atMs: number; readonly result?: unknown }
    | { readonly kind: "failed"; readonly atMs: number; readonly error: string; readonly result?: unknown };
};

/** What a person or a program sent. `version`: of the instance, when it had taken it. */
export type RecordedEvent = { readonly atMs: number; readonly version: number; readonly event: EventInput };

/** When a timer fired: an engine looks at them twice a second. */
export type RecordedTimer = { readonly timer: InstanceTimerName; readonly arm: number; readonly atMs: number };

export type RecordedEnd = { readonly reason: EpisodeEnd; readonly atMs: number };

/**
 * The end as an instance took it. `isHeld`: a pause held it then, so it may have ended before, and have been found over
 * when the pause was lifted.
 */
export type ToldEnd = RecordedEnd & { readonly isHeld: boolean };

/** A decision that looked whether something stops it. `paused` null: nothing did. */
export type RecordedLook = {
  readonly atMs: number;
  readonly paused: PauseNote | null;
  readonly isResumed: boolean;
};

/** From when on it rested, and whether the end of its alert would have moved it then. */
export type RecordedRest = { readonly atMs: number; readonly isMovable: boolean };

export type RecordedSilence = { readonly note: SilenceNote; readonly atMs: number; readonly endedAtMs: number | null };

/** At a time, or when a silence was over, which somebody may have ended early. */
export type RecordedMiss = { readonly atMs: number } | { readonly silence: SilenceNote };

/**
 * What tells who came before whom within one millisecond. `view`: of its group, as its first decision saw it; null: it
 * saw none. `arrival`: among those that a pause holds. `later`: the next steps; those that wait go on in order.
 */
export type FirstSight = {
  readonly epoch: number | null;
  readonly view: GroupView | null;
  readonly arrival: number;
  readonly later: readonly LaterSight[];
};

/** When a step was, and what it saw of the group, if it looked. */
export type LaterSight = { readonly atMs: number; readonly view: GroupView | null };

/** So many steps tell who of two that saw the same came first, if any do. */
const LATER_COUNT_MAX = 4;

export type RecordedHistory = {
  /** The instance's id without its partition, as policy, alert and start give it. */
  readonly name: string;
  readonly id: string;
  readonly policy: string;
  readonly policyVersion: string;
  readonly group: string | null;
  readonly createdAtMs: number;
  readonly alert: Alert;
  /** When the episode began. */
  readonly startMs: number;
  readonly sight: FirstSight;
  readonly attempts: readonly RecordedAttempt[];
  readonly events: readonly RecordedEvent[];
  readonly ends: readonly ToldEnd[];
  readonly timers: readonly RecordedTimer[];
  readonly looks: readonly RecordedLook[];
  readonly silences: readonly RecordedSilence[];
  /** When it was decided without a silence. */
  readonly heardAtMs: readonly number[];
  /** When somebody first found its alert over; null: nobody looked then. */
  readonly foundOverAtMs: number | null;
  /** Empty: at no time could the end of its alert have moved it. */
  readonly rests: readonly RecordedRest[];
  /** When it would have been decided again if its alert had still been firing; null: never. */
  readonly missed: RecordedMiss | null;
};

/** null: it is a summary or an approval request, which the rules make by themselves. */
export function recordedHistory(recorded: History): RecordedHistory | null {
  // Which process ran an attempt is not of the world that other rules would meet.
  const history = { ...recorded, entries: recorded.entries.filter(({ event }) => !("process" in event)) };
  const { instance: id, birth, entries } = history;
  const { alert, policy } = birth;
  if (birth.kind !== "action" || alert === null) return null;
  const startMs = startOf(id, birth, alert);
  const name = nameOf({ policy, fingerprint: alert.fingerprint, startMs });
  return {
    name,
    id,
    policy,
    policyVersion: birth.policyVersion,
    group: birth.group,
    createdAtMs: birth.createdAtMs,
    alert,
    startMs,
    sight: sightOf(entries),
    attempts: attemptsOf(entries),
    events: entries.flatMap((entry) => eventOf(entry) ?? []),
    ends: entries.flatMap((entry, index) => endOf(entry, entries.slice(0, index)) ?? []),
    timers: entries.flatMap((entry) => timerOf(entry) ?? []),
    looks: entries.flatMap((entry) => lookOf(entry) ?? []),
    silences: silencesOf(entries),
    heardAtMs: entries.flatMap(({ event, atMs }) => ("silence" in event && event.silence === null ? [atMs] : [])),
    foundOverAtMs: entries.find(isFoundOver)?.atMs ?? null,
    rests: restsOf(history),
    missed: missOf(history),
  };
}

/** An instance's id without its partition, which follows the rule. */
export function nameOf(name: Parameters<typeof instanceName>[0]): string {
  return sha256(instanceName(name), "hex").slice(0, 24);
}

export function nameOfId(id: string): string {
  return id.slice(id.indexOf("-") + 1);
}

/**
 * An episode begins when its alert says, or when it was received. A redacted alert gives no id: there its own start
 * counts.
 */
function startOf(id: string, { policy, createdAtMs }: Birth, { startsAtMs, fingerprint }: Alert): number {
  const starts = [startsAtMs, createdAtMs];
  const named = starts.find((startMs) => idNames(id, instanceNameParts({ policy, fingerprint, startMs })));
  return named ?? Math.min(startsAtMs, createdAtMs);
}

function sightOf(entries: readonly AuditEntry[]): FirstSight {
  const index = entries.findIndex(({ event }) => event.type === "start");
  const first = entries[index];
  const start = first?.event.type === "start" ? first.event : null;
  return {
    epoch: first?.epoch ?? null,
    view: start?.group ?? null,
    arrival: start?.arrival ?? 0,
    later: entries.slice(index + 1, index + 1 + LATER_COUNT_MAX).map(({ atMs, event }) => {
      return { atMs, view: "group" in event ? event.group : null };
    }),
  };
}

/** An attempt begins with the step that rests in Processing, and ends with the next one, if that is its result. */
function attemptsOf(entries: readonly AuditEntry[]): RecordedAttempt[] {
  const attempts: RecordedAttempt[] = [];
  let attempt = 0;
  for (const [index, { event, path, atMs: beganAtMs }] of entries.entries()) {
    const isResult = event.type === "effect.done" || event.type === "effect.failed";
    if (isResult || path.at(-1) !== "Processing") continue;
    attempt += 1;
    const next = entries[index + 1]?.event;
    // Nobody made an attempt of a policy that is only watched.
    if (next?.type === "effect.done" && next.observed === true) continue;
    attempts.push({ attempt, beganAtMs, end: attemptEnd(next) });
  }
  return attempts;
}

function attemptEnd(event: AuditEntry["event"] | undefined): RecordedAttempt["end"] {
  if (event?.type !== "effect.done" && event?.type !== "effect.failed") return { kind: "none" };
  const { atMs } = event;
  const result = event.result === undefined ? {} : { result: event.result };
  if (event.type === "effect.done") return { kind: "done", atMs, ...result };
  return { kind: "failed", atMs, error: event.error, ...result };
}

function eventOf({ event, atMs, version }: AuditEntry): RecordedEvent | null {
  const sent = sentEvent(event);
  return sent === null ? null : { atMs, version, event: sent };
}

/** null: the engine made it. */
function sentEvent(event: AuditEntry["event"]): EventInput | null {
  if (!("by" in event)) return null;
  const who = { by: event.by ?? "", why: event.why ?? "" };
  if (event.type === "start") return event.approved === true ? { type: "start", approved: true, ...who } : null;
  if (event.type === "approval.counted") return { type: "approval.granted", ...who };
  // The engine cancels by itself those whose peer was denied.
  if (event.type === "cancel" && event.reason !== undefined) return null;
  return { type: event.type, ...who };
}

function endOf({ event, atMs }: AuditEntry, before: readonly AuditEntry[]): ToldEnd | null {
  if (event.type !== "alert.resolved") return null;
  // A grant that others have to join moves nothing.
  const held = before.findLast((entry) => entry.event.type !== "approval.counted")?.event;
  const isHeld = held !== undefined && "paused" in held && held.paused !== undefined;
  return { reason: event.reason ?? "alert_resolved", atMs, isHeld };
}

/** Whoever looked found it over: it ended at some time before. */
function isFoundOver({ event }: AuditEntry): boolean {
  return (event.type === "effect.done" || event.type === "reconsider") && event.isOpen === false;
}

function timerOf({ event, atMs }: AuditEntry): RecordedTimer | null {
  if (event.type === "timer.elapsed") return { timer: event.timer, arm: event.arm, atMs };
  if (event.type !== "reconsider" || event.arm === undefined) return null;
  return { timer: event.cause === "again" ? "reconsider" : "silence", arm: event.arm, atMs };
}

function lookOf({ event, atMs }: AuditEntry): RecordedLook | null {
  const isResumed = event.type === "reconsider" && event.cause === "resumed";
  const isRetry = event.type === "timer.elapsed" && event.timer === "retry";
  if (event.type !== "start" && event.type !== "reconsider" && event.type !== "peers.settled" && !isRetry) return null;
  if (event.type === "start" && event.approved === true) return null;
  return { atMs, isResumed, paused: "paused" in event ? (event.paused ?? null) : null };
}

/** Each silence that held it, and when it was decided because that one was over before its time. */
function silencesOf(entries: readonly AuditEntry[]): RecordedSilence[] {
  const silences: { note: SilenceNote; atMs: number; endedAtMs: number | null }[] = [];
  for (const { event, atMs } of entries) {
    const last = silences.at(-1);
    if (event.type === "reconsider" && event.cause === "silence_over" && last !== undefined) last.endedAtMs ??= atMs;
    if ("silence" in event && event.silence !== null) silences.push({ note: event.silence, atMs, endedAtMs: null });
  }
  return silences;
}

/** Where the end of its alert can move an instance. One that was never there for a while need not be stepped again. */
const MOVABLE: ReadonlySet<string | undefined> = new Set<InstanceState>([
  "Idle",
  "Processing",
  "Proceeding",
  "Failed",
  "Defense",
  "Waiting",
]);

/**
 * Whether the end of its alert would have moved it is the machine's word; while an attempt that is verified runs, its
 * result asks.
 */
function restsOf(history: History): RecordedRest[] {
  const { entries } = history;
  const wasMovable = entries.some(({ path, atMs }, index) => {
    return MOVABLE.has(path.at(-1)) && atMs !== entries[index + 1]?.atMs;
  });
  if (!wasMovable) return [];
  return replay(history).steps.map(({ entry: { atMs }, snapshot }, index) => {
    const { state, context } = snapshot;
    const isAsked = state === "Processing.running" && context.policy.verifyMs !== null;
    const isMoved = step(snapshot, { type: "alert.resolved", atMs }).accepted;
    const next = entries[index + 1];
    const isFoundOpen = next?.event.type === "effect.done" && !isFoundOver(next);
    return { atMs, isMovable: isMoved || (isAsked && isFoundOpen) };
  });
}

/** What is decided again leaves a line: if there is none, its alert was over by then. */
function missOf({ entries, policy: { afterSilence, again } }: History): RecordedMiss | null {
  const last = entries.at(-1);
  if (last === undefined || last.path.at(-1) !== "Skipped") return null;
  const { event, atMs } = last;
  if ("silence" in event && event.silence !== null) return afterSilence === "skip" ? null : { silence: event.silence };
  const isByRule = event.type === "start" || event.type === "peers.settled" || event.type === "reconsider";
  const isWaitOver = event.type === "timer.elapsed" && event.timer === "wait";
  if (again === undefined || !(isByRule || isWaitOver)) return null;
  const times = entries.filter((entry) => entry.event.type === "reconsider" && entry.event.cause === "again").length;
  return times < again.limit ? { atMs: atMs + again.afterMs } : null;
}
