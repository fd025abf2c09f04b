/**
 * The stored record of the emergency stops: the same text in each partition. A commit that runs something, or holds it,
 * is only valid while its partition's record is the one that it was decided under. Pure.
 */
import { BecalmError } from "../model/errors.ts";
import type { PauseNote } from "../model/instance-types.ts";

/** Beside the records of episodes; no alert's key begins so. */
export const STOPS_KEY = "!stops";

/** What is to be done with those that a pause held; somebody has lifted it. */
export type Resumption = {
  /** Of which policy; null: of all. */
  readonly scope: string | null;
  readonly how: "decide" | "deny";
  readonly by: string;
  readonly why: string;
};

export type StopsRecord = {
  /** Rises with every change. Partition 0 has the newest; the others follow. */
  readonly version: number;
  readonly pauses: readonly PauseNote[];
  /** What has not been done to the end. */
  readonly resumptions: readonly Resumption[];
  /** Pauses, by scope and start, for which a human has been asked. */
  readonly asked: readonly string[];
};

export const NO_STOPS: StopsRecord = { version: 0, pauses: [], resumptions: [], asked: [] };

export function encodeStops(record: StopsRecord): string {
  return JSON.stringify(record);
}

/** @throws BECALM_STOPS_UNREADABLE: nothing is run while it is not known whether it may be. */
export function decodeStops(text: string | null): StopsRecord {
  if (text === null) return NO_STOPS;
  try {
    const record = JSON.parse(text) as Partial<StopsRecord> | null;
    const { version, pauses, resumptions = [], asked = [] } = record ?? {};
    if (typeof version === "number" && Array.isArray(pauses)) return { version, pauses, resumptions, asked };
  } catch {
    // Said below.
  }
  throw new BecalmError(
    "BECALM_STOPS_UNREADABLE",
    `The record of the emergency stops cannot be read: ${JSON.stringify(text.slice(0, 200))}. Nothing is decided while nobody knows whether it may run; repair or remove the record.`,
    { details: { record: text.slice(0, 200) } },
  );
}

/** The pause of a scope; a policy's own pause and that of the namespace hold independently. */
export function pauseOf({ pauses }: StopsRecord, scope: string | null): PauseNote | undefined {
  return pauses.find((pause) => pause.scope === scope);
}

export function withPause(record: StopsRecord, pause: PauseNote): StopsRecord {
  return {
    ...record,
    version: record.version + 1,
    pauses: [...record.pauses.filter(({ scope }) => scope !== pause.scope), pause],
  };
}

/** Lifts the pause of a scope. `resumption`: what is to be done with those that it held; null: they stay held. */
export function withoutPause(record: StopsRecord, scope: string | null, resumption: Resumption | null): StopsRecord {
  const lifted = pauseOf(record, scope);
  return {
    ...record,
    version: record.version + 1,
    pauses: record.pauses.filter((pause) => pause !== lifted),
    asked: lifted === undefined ? record.asked : record.asked.filter((key) => key !== pauseKey(lifted)),
    resumptions: resumption === null ? record.resumptions : [...record.resumptions, resumption],
  };
}

export function withoutResumption(record: StopsRecord, done: Resumption): StopsRecord {
  const same = ({ scope, how, by, why }: Resumption) =>
    scope === done.scope && how === done.how && by === done.by && why === done.why;
  return { ...record, version: record.version + 1, resumptions: record.resumptions.filter((one) => !same(one)) };
}

/** Names one pause: the same again after it was lifted is another one. */
export function pauseKey({ scope, sinceMs }: PauseNote): string {
  return `${scope ?? ""}@${sinceMs}`;
}
