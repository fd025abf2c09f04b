/** Where in an instance's history `--at` points: a version, or a time. */
import type { AuditEntry, History } from "../instance/audit-types.ts";
import { isoTime } from "../present/time-text.ts";
import { usedWrongly } from "./exit-codes.ts";

export type Place = { readonly index: number; readonly entry: AuditEntry };

/** The last entry of that version or time. */
export function placeInHistory({ instance, birth, entries }: History, at: string): Place {
  const isVersion = /^\d+$/.test(at);
  const atMs = isVersion ? Number.NaN : Date.parse(at);
  if (!isVersion && Number.isNaN(atMs))
    throw usedWrongly(`--at ${at} is neither a version nor a time. Write it as 3, or as 2026-11-23T06:00:00Z.`);
  const last = entries.at(-1)?.version ?? 0;
  const index = entries.findLastIndex((entry) => (isVersion ? entry.version <= Number(at) : entry.atMs <= atMs));
  const entry = entries[index];
  if (entry !== undefined && (!isVersion || Number(at) <= last)) return { index, entry };
  const there = `${instance} was made at ${isoTime(birth.createdAtMs)} and has versions 1 to ${last}`;
  throw usedWrongly(`--at ${at} is outside of its history: ${there}.`);
}
