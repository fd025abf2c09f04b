import type { Condition } from "../detection/core/condition.ts";
import { parseCondition } from "../detection/core/condition.ts";
import { NO_DATA_LABEL } from "../detection/core/detected-alert.ts";
import {
  INTERVAL_SECONDS_MAX,
  NO_DATA_INTERVAL_COUNT_MAX,
  RECOVERY_COUNT_MAX,
  TRIGGER_WINDOW_COUNT_MAX,
} from "../detection/core/detection-limits.ts";
import type { Level, NoData, Strategy, StrategyQuery } from "../detection/core/strategy.ts";
import { PRECISION_MAX } from "../detection/records/rounding.ts";
import { UNIT_NAMES, unitOf } from "../detection/records/units.ts";
import { messageOf } from "../model/errors.ts";
import { ANNOTATION_COUNT_MAX, DIMENSION_COUNT_MAX, LABEL_COUNT_MAX, LABEL_NAME_BYTES_MAX } from "../model/limits.ts";
import { exceedsUtf8Bytes } from "../model/utf8.ts";
import {
  describe,
  type Field,
  type Fields,
  type MistakeReport,
  readDuration,
  readFields,
  readList,
  readMapFields,
  readNumber,
  readText,
} from "./field-reader.ts";
import type { Located } from "./located-value.ts";
import { STRATEGY_FILE_KEYS } from "./strategy-keys.ts";

export const STRATEGY_COUNT_MAX = 1_000;
export const LEVEL_COUNT_MAX = 10;
/** Decimals of values when the query does not say. */
export const PRECISION_DEFAULT = 2;
export const RESEND_SECONDS_DEFAULT = 300;
export const NO_DATA_KEEP_SECONDS_DEFAULT = 86_400;
const NO_DATA_SEVERITY_DEFAULT = "warning";
const KEEP_SECONDS_MAX = 31 * 86_400;

/** Labels that come from the level. */
const LEVEL_LABELS: readonly string[] = ["severity", NO_DATA_LABEL];
/** Labels that no dimension may have: the strategy's would take its place, and series would have the same alert. */
const RESERVED_DIMENSIONS: readonly string[] = ["alertname", ...LEVEL_LABELS];

/** What a name may be: it stands in keys and labels, and people type it. */
const NAME = /^[\p{L}\p{N}][\p{L}\p{N}._-]{0,99}$/u;
const NAME_EXPECTED = "a name of letters, digits, `.`, `_` and `-`, at most 100, the first a letter or digit";

const LABEL_NAME_EXPECTED = `a name of 1 to ${LABEL_NAME_BYTES_MAX} bytes`;

/** Reads a whole file; what the report lists makes the result incomplete. */
export function readStrategies(root: Located, report: MistakeReport): Strategy[] {
  const fields = readFields({ path: "", place: root.place ?? null, value: root }, STRATEGY_FILE_KEYS.file, report);
  if (fields === undefined) return [];
  const field = fields.get("strategies");
  const items = readList(field, report, { expected: "a list of strategies", countMax: STRATEGY_COUNT_MAX }) ?? [];
  if (field.value?.kind === "list" && items.length === 0 && field.value.items.length === 0)
    report.add(field, "at least one strategy", "none");
  const strategies = items.map((item) => readStrategy(item, report)).filter((one) => one !== undefined);
  reportRepetitions(items, { key: "name", expected: "a name that no other strategy has" }, report);
  return strategies;
}

type StrategyFields = Fields<(typeof STRATEGY_FILE_KEYS.strategy)[number]>;

function readStrategy(field: Field, report: MistakeReport): Strategy | undefined {
  const fields = readFields(field, STRATEGY_FILE_KEYS.strategy, report);
  if (fields === undefined) return undefined;
  const name = readName(fields.get("name"), report);
  const query = readQuery(fields.get("query"), report);
  const intervalSeconds = readSeconds(fields.get("interval"), { min: 1, max: INTERVAL_SECONDS_MAX }, report);
  const levels = readLevels(fields, report);
  const noData = readNoData(fields.get("no_data"), intervalSeconds, report);
  const resendSeconds = optional(fields.get("resend"), RESEND_SECONDS_DEFAULT, (one) =>
    readSeconds(one, { min: intervalSeconds ?? 1, max: INTERVAL_SECONDS_MAX }, report),
  );
  const labels = readLabels(fields.get("labels"), query?.dimensions ?? [], report);
  const annotations = readAnnotations(fields.get("annotations"), { query, labels }, report);
  if (levels?.length === 0 && noData === null)
    report.add(field, "levels or no_data", "neither: the strategy would never alert");
  if (name === undefined || query === undefined || intervalSeconds === undefined || levels === undefined)
    return undefined;
  if (noData === undefined || resendSeconds === undefined || labels === undefined || annotations === undefined)
    return undefined;
  return {
    name,
    query,
    intervalSeconds,
    levels,
    noData,
    resendSeconds: Math.max(resendSeconds, intervalSeconds),
    labels,
    annotations,
  };
}

function optional<Value>(field: Field, absent: Value, read: (field: Field) => Value | undefined): Value | undefined {
  return field.value === undefined ? absent : read(field);
}

function readName(field: Field, report: MistakeReport): string | undefined {
  const name = readText(field, report, NAME_EXPECTED);
  return name === undefined || NAME.test(name) ? name : report.add(field, NAME_EXPECTED, describe(field.value));
}

/** Whole seconds: data times have no fraction. */
function readSeconds(field: Field, range: { min: number; max: number }, report: MistakeReport): number | undefined {
  const durationMs = readDuration(field, { minMs: range.min * 1000, maxMs: range.max * 1000 }, report);
  if (durationMs === undefined || durationMs % 1000 === 0)
    return durationMs === undefined ? undefined : durationMs / 1000;
  return report.add(field, "whole seconds", describe(field.value));
}

function readQuery(field: Field, report: MistakeReport): StrategyQuery | undefined {
  const fields = readFields(field, STRATEGY_FILE_KEYS.query, report);
  if (fields === undefined) return undefined;
  const filter = optional(fields.get("filter"), {}, (one) => readFilter(one, report));
  const value = readText(fields.get("value"), report, "the name of the value's field");
  const time = readText(fields.get("time"), report, "the name of the time's field");
  const dimensions = readDimensions(fields.get("dimensions"), report);
  const unit = optional<string | null>(fields.get("unit"), null, (one) => readUnit(one, report));
  const precision = optional(fields.get("precision"), PRECISION_DEFAULT, (one) =>
    readNumber(one, { min: 0, max: PRECISION_MAX, isWhole: true }, report),
  );
  if (filter === undefined || value === undefined || time === undefined || dimensions === undefined) return undefined;
  return unit === undefined || precision === undefined
    ? undefined
    : { filter, value, time, dimensions, unit, precision };
}

function readFilter(field: Field, report: MistakeReport): Record<string, string> | undefined {
  const entries = readMapFields(field, report, "a map of fields and the text that each must have");
  if (entries === undefined) return undefined;
  const filter = [...entries].map(([name, one]): [string, string] => [name, filterText(one, report) ?? ""]);
  return Object.fromEntries(filter);
}

function filterText(field: Field, report: MistakeReport): string | undefined {
  const value = field.value?.kind === "scalar" ? field.value.value : null;
  return value === null ? report.add(field, "a text, a number, true or false", describe(field.value)) : String(value);
}

function readDimensions(field: Field, report: MistakeReport): string[] | undefined {
  const expected = "a list of the fields that make a series ([]: all records are one series)";
  const items = readList(field, report, { expected, countMax: DIMENSION_COUNT_MAX });
  const names = items?.map((item) => readDimension(item, report));
  if (names === undefined || !names.every((name) => name !== undefined)) return undefined;
  const repeated = names.find((name, index) => names.indexOf(name) !== index);
  return repeated === undefined ? names : report.add(field, "each field once", `${JSON.stringify(repeated)} twice`);
}

function readDimension(field: Field, report: MistakeReport): string | undefined {
  const name = readText(field, report, "the name of a field");
  if (name === undefined) return undefined;
  if (RESERVED_DIMENSIONS.includes(name))
    return report.add(field, "no dimension that is named like a label of every alert", JSON.stringify(name));
  return hasLabelName(name) ? name : report.add(field, LABEL_NAME_EXPECTED, `${name.length} characters`);
}

function readUnit(field: Field, report: MistakeReport): string | undefined {
  const name = readText(field, report, "a unit");
  if (name === undefined || unitOf(name) !== undefined) return name;
  return report.add(
    field,
    `a unit: one of ${UNIT_NAMES.join(", ")}, or of those of bytes and bits with /s`,
    describe(field.value),
  );
}

function readLevels(fields: StrategyFields, report: MistakeReport): Level[] | undefined {
  const defaults = {
    trigger: optional(fields.get("trigger"), { count: 1, window: 1 }, (one) => readTrigger(one, report)),
    recovery: optional(fields.get("recovery"), { count: 1 }, (one) => readRecovery(one, report)),
  };
  const field = fields.get("levels");
  if (field.value === undefined) return [];
  const items = readList(field, report, { expected: "a list of levels, the highest first", countMax: LEVEL_COUNT_MAX });
  const levels = items?.map((item) => readLevel(item, defaults, report));
  reportRepetitions(
    items ?? [],
    { key: "severity", expected: "a severity that no other level of the strategy has" },
    report,
  );
  return levels?.every((level) => level !== undefined) ? levels : undefined;
}

type LevelDefaults = {
  readonly trigger: Level["trigger"] | undefined;
  readonly recovery: Level["recovery"] | undefined;
};

function readLevel(field: Field, defaults: LevelDefaults, report: MistakeReport): Level | undefined {
  const fields = readFields(field, STRATEGY_FILE_KEYS.level, report);
  if (fields === undefined) return undefined;
  const severity = readName(fields.get("severity"), report);
  const when = readCondition(fields.get("when"), report);
  const trigger = optional(fields.get("trigger"), defaults.trigger, (one) => readTrigger(one, report));
  const recovery = optional(fields.get("recovery"), defaults.recovery, (one) => readRecovery(one, report));
  if (severity === undefined || when === undefined || trigger === undefined || recovery === undefined) return undefined;
  return { severity, when, trigger, recovery };
}

function readCondition(field: Field, report: MistakeReport): Condition | undefined {
  const expected = `a condition such as "> 90" or ">= 10 and < 20 or == 0"`;
  const text = readText(field, report, expected);
  if (text === undefined) return undefined;
  try {
    return parseCondition(text);
  } catch (error) {
    return report.add(field, expected, messageOf(error));
  }
}

function readTrigger(field: Field, report: MistakeReport): Level["trigger"] | undefined {
  const fields = readFields(field, STRATEGY_FILE_KEYS.trigger, report);
  if (fields === undefined) return undefined;
  const count = readNumber(fields.get("count"), { min: 1, max: TRIGGER_WINDOW_COUNT_MAX, isWhole: true }, report);
  if (count === undefined) return undefined;
  const window = optional(fields.get("window"), count, (one) =>
    readNumber(one, { min: count, max: TRIGGER_WINDOW_COUNT_MAX, isWhole: true }, report),
  );
  return window === undefined ? undefined : { count, window };
}

function readRecovery(field: Field, report: MistakeReport): Level["recovery"] | undefined {
  const fields = readFields(field, STRATEGY_FILE_KEYS.recovery, report);
  const count = fields && readNumber(fields.get("count"), { min: 1, max: RECOVERY_COUNT_MAX, isWhole: true }, report);
  return count === undefined ? undefined : { count };
}

function readNoData(
  field: Field,
  intervalSeconds: number | undefined,
  report: MistakeReport,
): NoData | null | undefined {
  if (field.value === undefined) return null;
  const fields = readFields(field, STRATEGY_FILE_KEYS.no_data, report);
  if (fields === undefined) return undefined;
  const intervals = readNumber(
    fields.get("intervals"),
    { min: 1, max: NO_DATA_INTERVAL_COUNT_MAX, isWhole: true },
    report,
  );
  const severity = optional(fields.get("severity"), NO_DATA_SEVERITY_DEFAULT, (one) => readName(one, report));
  const silentSeconds = (intervals ?? 1) * (intervalSeconds ?? 1);
  const keepSeconds = optional(fields.get("keep"), Math.max(NO_DATA_KEEP_SECONDS_DEFAULT, 2 * silentSeconds), (one) =>
    readSeconds(one, { min: Math.min(silentSeconds, KEEP_SECONDS_MAX), max: KEEP_SECONDS_MAX }, report),
  );
  if (intervals === undefined || severity === undefined || keepSeconds === undefined) return undefined;
  return { intervals, severity, keepSeconds };
}

function readLabels(
  field: Field,
  dimensions: readonly string[],
  report: MistakeReport,
): Record<string, string> | undefined {
  const entries = readTexts(field, { expected: "a map of labels", countMax: LABEL_COUNT_MAX }, report);
  if (entries === undefined) return undefined;
  for (const name of LEVEL_LABELS) {
    if (Object.hasOwn(entries, name))
      return report.add(field, `no label ${name}: it comes from the level`, JSON.stringify(name));
  }
  const repeated = dimensions.find((name) => Object.hasOwn(entries, name));
  if (repeated !== undefined)
    return report.add(field, "no label that is a dimension too: series would share it", JSON.stringify(repeated));
  const count = new Set([...RESERVED_DIMENSIONS, ...dimensions, ...Object.keys(entries)]).size;
  if (count <= LABEL_COUNT_MAX) return entries;
  const expected = `at most ${LABEL_COUNT_MAX}, with the dimensions, ${RESERVED_DIMENSIONS.join(", ")}`;
  return report.add(field, expected, `${count}`);
}

type AnnotationSource = {
  readonly query: StrategyQuery | undefined;
  readonly labels: Readonly<Record<string, string>> | undefined;
};

function readAnnotations(
  field: Field,
  source: AnnotationSource,
  report: MistakeReport,
): Record<string, string> | undefined {
  const annotations = readTexts(field, { expected: "a map of annotations", countMax: ANNOTATION_COUNT_MAX }, report);
  if (annotations === undefined) return undefined;
  const count = new Set(["summary", ...Object.keys(annotations)]).size;
  if (count > ANNOTATION_COUNT_MAX)
    return report.add(field, `at most ${ANNOTATION_COUNT_MAX}, with the summary`, `${count}`);
  if (source.query === undefined || source.labels === undefined) return annotations;
  const known = ["value", "alertname", "severity", ...source.query.dimensions, ...Object.keys(source.labels)];
  for (const text of Object.values(annotations)) {
    for (const [, name = ""] of text.matchAll(/\{\{\s*(.*?)\s*\}\}/g)) {
      if (!known.includes(name)) report.add(field, `only {{ name }} with one of ${known.join(", ")}`, `{{ ${name} }}`);
    }
  }
  return annotations;
}

function readTexts(
  field: Field,
  what: { expected: string; countMax: number },
  report: MistakeReport,
): Record<string, string> | undefined {
  if (field.value === undefined) return {};
  const entries = readMapFields(field, report, what.expected);
  if (entries === undefined) return undefined;
  if (entries.size > what.countMax) return report.add(field, `at most ${what.countMax} entries`, `${entries.size}`);
  for (const [name, one] of entries)
    if (!hasLabelName(name)) report.add(one, LABEL_NAME_EXPECTED, `${name.length} characters`);
  return Object.fromEntries([...entries].map(([name, one]) => [name, readText(one, report, "a text") ?? ""]));
}

/** Whether an alert may have a label or an annotation of that name. */
function hasLabelName(name: string): boolean {
  return name !== "" && !exceedsUtf8Bytes(name, LABEL_NAME_BYTES_MAX);
}

/** Compared before anything else is right, so that two bad entries of one name are told too. */
function reportRepetitions(
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
