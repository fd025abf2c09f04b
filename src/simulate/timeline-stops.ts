/** Pauses and silences of recorded histories: from when to when each must have held, by what it left in them. Pure. */
import { ENGINE_ACTOR } from "../instance/audit-types.ts";
import type { PauseNote, SilenceNote } from "../model/instance-types.ts";
import type { RecordedHistory, RecordedLook } from "./recorded-history.ts";

/** A pause that somebody made, or (`isByBrake`) a brake. */
export type PauseInput =
  | { readonly kind: "pause"; readonly atMs: number; readonly note: PauseNote; readonly isByBrake: boolean }
  | { readonly kind: "resume"; readonly atMs: number; readonly note: PauseNote; readonly held: "keep" | "decide" };

/**
 * `isOfFile`: it stood in a policy file, so other files have it or not. `fingerprints`: of the alerts that it is known
 * to have silenced.
 */
export type TimelineSilence = {
  readonly note: SilenceNote;
  readonly fromMs: number;
  readonly toMs: number;
  readonly fingerprints: ReadonlySet<string>;
  readonly isOfFile: boolean;
};

type Look = RecordedLook & { readonly policy: string };

/** Collects what histories say of pauses and silences. */
export class RecordedStops {
  readonly #looks: Look[] = [];
  readonly #silences = new Map<string, TimelineSilence & { fingerprints: Set<string>; noted: [string, number][] }>();
  /** When alerts were decided without a silence, by fingerprint. */
  readonly #heard = new Map<string, number[]>();

  add({ policy, looks, silences, heardAtMs, alert }: RecordedHistory): void {
    for (const look of looks) this.#looks.push({ ...look, policy });
    this.#heard.set(alert.fingerprint, [...(this.#heard.get(alert.fingerprint) ?? []), ...heardAtMs]);
    for (const { note, atMs, endedAtMs } of silences) this.#addSilence(note, { atMs, endedAtMs, alert });
  }

  addLook(look: Look): void {
    this.#looks.push(look);
  }

  #addSilence(
    note: SilenceNote,
    { atMs, endedAtMs, alert }: { atMs: number; endedAtMs: number | null; alert: { fingerprint: string } },
  ): void {
    const key = silenceKey(note);
    const before = this.#silences.get(key);
    const fingerprints = before?.fingerprints ?? new Set<string>();
    fingerprints.add(alert.fingerprint);
    const noted = before?.noted ?? [];
    noted.push([alert.fingerprint, atMs]);
    const endMs = Math.min(note.toMs, endedAtMs ?? note.toMs);
    this.#silences.set(key, {
      note,
      fromMs: Math.min(before?.fromMs ?? atMs, atMs),
      // Somebody may have made it longer meanwhile; one that was ended early says so in what it held.
      toMs: before === undefined ? endMs : endedAtMs === null ? before.toMs : Math.min(before.toMs, endMs),
      fingerprints,
      noted,
      isOfFile: note.id === undefined || ID_OF_FILE.test(note.id),
    });
  }

  /**
   * One that was ended early and held nothing then is over when an alert that it had silenced is decided without it.
   */
  silences(): readonly TimelineSilence[] {
    return [...this.#silences.values()].map(({ noted, ...silence }) => {
      const lastMs = new Map<string, number>();
      for (const [fingerprint, atMs] of noted) lastMs.set(fingerprint, Math.max(lastMs.get(fingerprint) ?? 0, atMs));
      const heard = [...lastMs].flatMap(([fingerprint, fromMs]) =>
        (this.#heard.get(fingerprint) ?? []).filter((atMs) => atMs > fromMs),
      );
      return { ...silence, toMs: heard.reduce((least, atMs) => Math.min(least, atMs), silence.toMs) };
    });
  }

  /** When each was over, by `silenceKey`. */
  silenceEnds(): ReadonlyMap<string, number> {
    return new Map(this.silences().map(({ note, toMs }) => [silenceKey(note), toMs]));
  }

  /** In order of time. */
  pauses(): PauseInput[] {
    const looks = this.#looks.toSorted((a, b) => a.atMs - b.atMs);
    const notes = new Map<string, PauseNote>();
    for (const { paused } of looks) if (paused !== null) notes.set(`${paused.sinceMs} ${paused.scope}`, paused);
    const inputs = [...notes.values()].flatMap((note): PauseInput[] => {
      const isByBrake = note.by === ENGINE_ACTOR;
      return [{ kind: "pause", atMs: note.sinceMs, note, isByBrake }, ...resumed(note, looks)];
    });
    return inputs.sort((a, b) => a.atMs - b.atMs);
  }
}

export function silenceKey({ id, author, comment, toMs }: SilenceNote): string {
  return id ?? JSON.stringify([author, comment, toMs]);
}

/** Silences of a policy file are known by what they say (stored-silences.ts), others by a random id. */
const ID_OF_FILE = /^[0-9a-f]{16}$/;

/**
 * A pause was lifted before the first decision in its scope that nothing stopped; and what it held was decided when the
 * histories say so.
 */
function resumed(note: PauseNote, looks: readonly Look[]): PauseInput[] {
  const { scope, sinceMs } = note;
  const own = looks.filter(({ policy, atMs }) => (scope === null || scope === policy) && atMs >= sinceMs);
  const lastIndex = own.findLastIndex(({ paused }) => paused?.sinceMs === sinceMs && paused.scope === scope);
  // A later one of the same scope: this one was lifted, and a brake engaged at once.
  const after = own
    .slice(lastIndex + 1)
    .filter(({ paused }) => paused === null || (paused.scope === scope && paused.sinceMs > sinceMs));
  const next = after[0];
  const decidedMs = after.find(({ isResumed }) => isResumed)?.atMs;
  if (next === undefined) return [];
  const goesOnMs = next.atMs;
  if (decidedMs === goesOnMs) return [{ kind: "resume", atMs: goesOnMs, note, held: "decide" }];
  // Before the next decision, and before the next pause, which otherwise would begin while this one holds, and be lifted with it.
  const overMs = Math.min(goesOnMs, next.paused?.sinceMs ?? goesOnMs);
  const atMs = Math.max(overMs - 1, own[lastIndex]?.atMs ?? 0);
  const lifted: PauseInput = { kind: "resume", atMs, note, held: "keep" };
  return decidedMs === undefined ? [lifted] : [lifted, { ...lifted, atMs: decidedMs, held: "decide" }];
}
