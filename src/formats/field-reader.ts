/**
 * Small readers of located values. Each answers the value, or undefined after it has told the report what is wrong: a
 * file's mistakes are listed all at once, so nothing here throws.
 */
import { formatDuration, parseDuration } from "../model/duration.ts";
import { messageOf } from "../model/errors.ts";
import { POLICY_TEXT_BYTES_MAX } from "../model/limits.ts";
import { exceedsUtf8Bytes } from "../model/utf8.ts";
import type { Located, LocatedEntry, Place } from "./located-value.ts";
import { nearestName } from "./nearest-name.ts";

/**
 * One thing that is wrong in a file. `message` says it all in one line; line and column are 1-based, null for plain
 * objects.
 */
export type PolicyMistake = {
  readonly file: string;
  readonly line: number | null;
  readonly column: number | null;
  /** Where in the tree: `policies[0].converge.window`; empty for the file as a whole. */
  readonly path: string;
  readonly expected: string;
  readonly found: string;
  readonly message: string;
};

/** The mistakes of one file, in the order in which they were met. */
export class MistakeReport {
  readonly file: string;
  readonly mistakes: PolicyMistake[] = [];

  constructor(file: string) {
    this.file = file;
  }

  /** Notes a mistake and answers undefined, so that a reader can end with it. */
  add(at: { path: string; place: Place | null }, expected: string, found: string): undefined {
    const { path, place } = at;
    const position = place === null ? this.file : `${this.file}:${place.line}:${place.column}`;
    this.mistakes.push({
      file: this.file,
      line: place?.line ?? null,
      column: place?.column ?? null,
      path,
      expected,
      found,
      message: `${position}: ${path === "" ? "" : `${path}: `}expected ${expected}, found ${found}`,
    });
    return undefined;
  }
}

/** A value with its path; `value` undefined means that the key is absent, and `place` is then its map's. */
export type Field = { readonly path: string; readonly place: Place | null; readonly value: Located | undefined };

/** The fields of a map, asked by key. */
export type Fields<Key extends string> = { readonly path: string; readonly place: Place | null; get(key: Key): Field };

/** A value as a mistake shows it. */
export function describe(value: Located | undefined): string {
  if (value === undefined) return "nothing";
  if (value.kind === "list") return value.items.length === 0 ? "an empty list" : `a list of ${value.items.length}`;
  if (value.kind === "map")
    return `a map with ${value.entries.size === 0 ? "no keys" : [...value.entries.keys()].slice(0, 3).join(", ")}`;
  if (value.value === null) return "nothing (null)";
  const text = JSON.stringify(value.value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

/** Reads a map whose keys are all known; unknown ones are mistakes, with the name that was probably meant. */
export function readFields<Key extends string>(
  field: Field,
  keys: readonly Key[],
  report: MistakeReport,
): Fields<Key> | undefined {
  const entries = readMap(
    field,
    report,
    keys.length === 0 ? "an empty map {}" : `a map with the keys ${keys.join(", ")}`,
  );
  if (entries === undefined) return undefined;
  for (const [key, { place }] of entries) {
    if ((keys as readonly string[]).includes(key)) continue;
    const nearest = nearestName(key, keys);
    const expected =
      keys.length === 0 ? "no keys" : nearest === null ? `one of the keys ${keys.join(", ")}` : `the key ${nearest}`;
    report.add({ path: childPath(field.path, key), place }, expected, `the unknown key ${JSON.stringify(key)}`);
  }
  return {
    path: field.path,
    place: field.place,
    get: (key) => fieldOf(field, key, entries.get(key)),
  };
}

function fieldOf(parent: Field, key: string, entry: LocatedEntry | undefined): Field {
  const path = childPath(parent.path, key);
  if (entry === undefined) return { path, place: parent.place, value: undefined };
  return { path, place: entry.value.place ?? entry.place, value: entry.value };
}

function childPath(path: string, key: string): string {
  const shown = /^[\w-]+$/.test(key) ? key : JSON.stringify(key);
  return path === "" ? shown : `${path}.${shown}`;
}

/** The entries of a map whose keys are free, such as headers. */
export function readMap(
  field: Field,
  report: MistakeReport,
  expected: string,
): ReadonlyMap<string, LocatedEntry> | undefined {
  return field.value?.kind === "map" ? field.value.entries : report.add(field, expected, describe(field.value));
}

/** The fields of a free map, one per key. */
export function readMapFields(field: Field, report: MistakeReport, expected: string): Map<string, Field> | undefined {
  const entries = readMap(field, report, expected);
  if (entries === undefined) return undefined;
  return new Map([...entries].map(([key, entry]) => [key, fieldOf(field, key, entry)]));
}

/** The items of a list, at most `countMax`. */
export function readList(
  field: Field,
  report: MistakeReport,
  options: { expected: string; countMax: number },
): Field[] | undefined {
  if (field.value?.kind !== "list") return report.add(field, options.expected, describe(field.value));
  const { items } = field.value;
  if (items.length > options.countMax) return report.add(field, `at most ${options.countMax} items`, `${items.length}`);
  return items.map((value, i) => ({ path: `${field.path}[${i}]`, place: value.place ?? field.place, value }));
}

/** A text that is not empty. `expected` says what for. */
export function readText(field: Field, report: MistakeReport, expected: string): string | undefined {
  const { value } = field;
  const text = value?.kind === "scalar" && typeof value.value === "string" ? value.value : undefined;
  if (text === undefined || text === "") return report.add(field, expected, describe(value));
  if (exceedsUtf8Bytes(text, POLICY_TEXT_BYTES_MAX)) {
    return report.add(field, `at most ${POLICY_TEXT_BYTES_MAX} bytes of text`, `${text.length} characters`);
  }
  return text;
}

/** One of a few words, with the nearest one suggested. */
export function readWord<Word extends string>(
  field: Field,
  words: readonly Word[],
  report: MistakeReport,
): Word | undefined {
  const value = field.value?.kind === "scalar" ? field.value.value : undefined;
  const word = words.find((known) => known === value);
  if (word !== undefined) return word;
  const nearest = typeof value === "string" ? nearestName(value, words) : null;
  const expected = `one of ${words.join(", ")}${nearest === null ? "" : ` (did you mean ${nearest}?)`}`;
  return report.add(field, expected, describe(field.value));
}

export type NumberRange = { readonly min: number; readonly max: number; readonly isWhole: boolean };

export function readNumber(field: Field, range: NumberRange, report: MistakeReport): number | undefined {
  const value = field.value?.kind === "scalar" ? field.value.value : undefined;
  const isInRange = typeof value === "number" && value >= range.min && value <= range.max;
  if (isInRange && (!range.isWhole || Number.isInteger(value))) return value;
  return report.add(
    field,
    `a ${range.isWhole ? "whole " : ""}number from ${range.min} to ${range.max}`,
    describe(field.value),
  );
}

export type DurationRange = { readonly minMs: number; readonly maxMs: number };

/** Milliseconds of a duration such as `5m`. A number without a unit is a mistake, except 0. */
export function readDuration(field: Field, range: DurationRange, report: MistakeReport): number | undefined {
  const value = field.value?.kind === "scalar" ? field.value.value : undefined;
  if (typeof value !== "string" && typeof value !== "number") {
    return report.add(field, "a duration such as 30s, 5m or 1h30m", describe(field.value));
  }
  try {
    const durationMs = parseDuration(String(value));
    if (durationMs >= range.minMs && durationMs <= range.maxMs) return durationMs;
  } catch (error) {
    return report.add(field, "a duration such as 30s, 5m or 1h30m", messageOf(error));
  }
  const limits = `from ${formatDuration(range.minMs)} to ${formatDuration(range.maxMs)}`;
  return report.add(field, `a duration ${limits}`, describe(field.value));
}
