/** Readers of what several parts of a strategy share: names, seconds, texts of a filter. */
import { NO_DATA_LABEL } from "../detection/core/detected-alert.ts";
import { UNIT_NAMES, unitOf } from "../detection/records/units.ts";
import { LABEL_NAME_BYTES_MAX } from "../model/limits.ts";
import { exceedsUtf8Bytes } from "../model/utf8.ts";
import { describe, type Field, type MistakeReport, readDuration, readText } from "./field-reader.ts";

/** Labels that come from the level. */
export const LEVEL_LABELS: readonly string[] = ["severity", NO_DATA_LABEL];
/** Labels that no dimension may have: the strategy's would take its place, and series would have the same alert. */
export const RESERVED_DIMENSIONS: readonly string[] = ["alertname", ...LEVEL_LABELS];

/** What a name may be: it is part of keys and labels, and people type it. */
const NAME = /^[\p{L}\p{N}][\p{L}\p{N}._-]{0,99}$/u;
const NAME_EXPECTED = "a name of letters, digits, `.`, `_` and `-`, at most 100, the first a letter or digit";

export const LABEL_NAME_EXPECTED = `a name of 1 to ${LABEL_NAME_BYTES_MAX} bytes`;

export function optional<Value>(
  field: Field,
  absent: Value | undefined,
  read: (field: Field) => Value | undefined,
): Value | undefined {
  return field.value === undefined ? absent : read(field);
}

export function readName(field: Field, report: MistakeReport): string | undefined {
  const name = readText(field, report, NAME_EXPECTED);
  return name === undefined || NAME.test(name) ? name : report.add(field, NAME_EXPECTED, describe(field.value));
}

/** Whole seconds: data times have no fraction. */
export function readSeconds(
  field: Field,
  range: { min: number; max: number },
  report: MistakeReport,
): number | undefined {
  const durationMs = readDuration(field, { minMs: range.min * 1000, maxMs: range.max * 1000 }, report);
  if (durationMs === undefined || durationMs % 1000 === 0)
    return durationMs === undefined ? undefined : durationMs / 1000;
  return report.add(field, "whole seconds", describe(field.value));
}

export function filterText(field: Field, report: MistakeReport): string | undefined {
  const value = field.value?.kind === "scalar" ? field.value.value : null;
  return value === null ? report.add(field, "a text, a number, true or false", describe(field.value)) : String(value);
}

export function readUnit(field: Field, report: MistakeReport): string | undefined {
  const name = readText(field, report, "a unit");
  if (name === undefined || unitOf(name) !== undefined) return name;
  return report.add(
    field,
    `a unit: one of ${UNIT_NAMES.join(", ")}, or of those of bytes and bits with /s`,
    describe(field.value),
  );
}

/** Whether an alert may have a label or an annotation of that name. */
export function hasLabelName(name: string): boolean {
  return name !== "" && !exceedsUtf8Bytes(name, LABEL_NAME_BYTES_MAX);
}

/** Compared before anything else is right, so that two bad entries of one name are told too. */
export function reportRepetitions(
  items: readonly Field[],
  what: { key: string; expected: string },
  report: MistakeReport,
): void {
  const firstPaths = new Map<string, string>();
  for (const { path: itemPath, value: item } of items) {
    const value = item?.kind === "map" ? item.entries.get(what.key)?.value : undefined;
    if (value?.kind !== "scalar" || typeof value.value !== "string") continue;
    const path = `${itemPath}.${what.key}`;
    const firstPath = firstPaths.get(value.value);
    if (firstPath === undefined) firstPaths.set(value.value, path);
    else report.add({ path, place: value.place }, what.expected, `${JSON.stringify(value.value)}, as ${firstPath}`);
  }
}
