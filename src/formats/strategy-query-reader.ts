/** The query of a strategy: which records are its own, and how they map. */
import type { FieldFilter, StrategyQuery } from "../detection/core/strategy.ts";
import { TIME_FORMATS, type TimeFormat } from "../detection/records/record-types.ts";
import { PRECISION_MAX } from "../detection/records/rounding.ts";
import { DIMENSION_COUNT_MAX } from "../model/limits.ts";
import {
  type Field,
  type MistakeReport,
  readFields,
  readList,
  readMapFields,
  readNumber,
  readText,
  readWord,
} from "./field-reader.ts";
import {
  filterText,
  hasLabelName,
  LABEL_NAME_EXPECTED,
  optional,
  RESERVED_DIMENSIONS,
  readUnit,
} from "./strategy-fields.ts";
import { STRATEGY_FILE_KEYS } from "./strategy-keys.ts";

const NO_VALUE_COUNT_MAX = 100;
const FILTER_COUNT_MAX = 1_000;
/** Decimals of values when the query does not say. */
export const PRECISION_DEFAULT = 2;

export function readQuery(field: Field, report: MistakeReport): StrategyQuery | undefined {
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
  const timeFormat = optional<TimeFormat | null>(fields.get("time_format"), null, (one) =>
    readWord(one, TIME_FORMATS, report),
  );
  const noValue = optional<string[] | null>(fields.get("no_value"), null, (one) => readNoValue(one, report));
  if (filter === undefined || value === undefined || time === undefined || dimensions === undefined) return undefined;
  if (unit === undefined || precision === undefined || timeFormat === undefined || noValue === undefined)
    return undefined;
  return {
    filter,
    value,
    time,
    dimensions,
    unit,
    precision,
    // Only what is given: it is part of the group's key.
    ...(timeFormat === null ? {} : { timeFormat }),
    ...(noValue === null ? {} : { noValue }),
  };
}

function readNoValue(field: Field, report: MistakeReport): string[] | undefined {
  const expected = 'a list of the texts that say that there is no value, such as ["", "N/A"]';
  const items = readList(field, report, { expected, countMax: NO_VALUE_COUNT_MAX });
  const texts = items?.map((item) => filterText(item, report)?.trim());
  return texts?.every((text) => text !== undefined) ? texts : undefined;
}

function readFilter(field: Field, report: MistakeReport): Record<string, FieldFilter> | undefined {
  const entries = readMapFields(field, report, "a map of fields and what each must be");
  if (entries === undefined) return undefined;
  const filter = [...entries].map(([name, one]): [string, FieldFilter] => [name, fieldFilter(one, report) ?? ""]);
  return Object.fromEntries(filter);
}

/** `a`, `[a, b]`, `{ not: a }` or `{ not: [a, b] }`. */
function fieldFilter(field: Field, report: MistakeReport): FieldFilter | undefined {
  if (field.value?.kind === "list") {
    const texts = filterTexts(field, report);
    return texts === undefined ? undefined : { in: texts };
  }
  if (field.value?.kind !== "map") return filterText(field, report);
  const not = readFields(field, STRATEGY_FILE_KEYS.filter, report)?.get("not");
  if (not === undefined) return undefined;
  const texts = not.value?.kind === "list" ? filterTexts(not, report) : [filterText(not, report)];
  return texts?.every((text) => text !== undefined) ? { notIn: texts } : undefined;
}

function filterTexts(field: Field, report: MistakeReport): string[] | undefined {
  const items = readList(field, report, { expected: "a list of texts", countMax: FILTER_COUNT_MAX });
  if (items?.length === 0) return report.add(field, "at least one text", "an empty list");
  const texts = items?.map((item) => filterText(item, report));
  return texts?.every((text) => text !== undefined) ? texts : undefined;
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
