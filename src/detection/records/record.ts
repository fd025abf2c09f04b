import { BecalmError } from "../../model/errors.ts";
import { dimensionFault, md5OfHashes, pairMd5, pythonText } from "./record-identity.ts";
import type { QueryMetric, RecordQuery, Rejection, StateEvent } from "./record-types.ts";
import { convertTime, convertValue, isRejection, NO_VALUE_DEFAULT, reject } from "./record-value.ts";
import { PRECISION_MAX } from "./rounding.ts";
import { UNIT_NAMES, type Unit, unitOf } from "./units.ts";

/** Fields of a process-port record that change from one sample to the next. */
const DYNAMIC_PROCESS_FIELDS = new Set(["listen", "nonlisten", "not_accurate_listen", "protocol", "bind_ip"]);
const PROCESS_PORT_METRIC = "bk_monitor.proc_port";

/** Identities that a parser remembers; it starts afresh when it has so many. */
const IDENTITY_MEMORY_MAX = 100_000;

/** Longer ones are hashed each time: what is remembered must stay small whatever the records hold. */
const REMEMBERED_CHARS_MAX = 512;

export type ParseOptions = { readonly accessTimeMs?: number };

export type RecordParser = (raw: unknown, options?: ParseOptions) => StateEvent | Rejection;

/**
 * One raw monitoring record as a state event, or why it is none. Never throws on a record, whatever it is; a query that
 * is wrong in
 * itself (an unknown unit, a precision out of range, no metric) is BECALM_ARGUMENT_INVALID.
 */
export function parseRecord(query: RecordQuery, raw: unknown, options: ParseOptions = {}): StateEvent | Rejection {
  return createRecordParser(query)(raw, options);
}

type RawRecord = Readonly<Record<string, unknown>>;

type Metric = { readonly source: QueryMetric; readonly unit: Unit | null };

/** A field by its name; a name with dots that the record lacks is a path into its maps. */
export type FieldPath = { readonly name: string; readonly path: readonly string[] | null };

type Plan = {
  readonly query: RecordQuery;
  /** The query's dimensions without repetitions; null: it names none. */
  readonly dimensions: readonly FieldPath[] | null;
  /** Their names, if none of them is a dynamic process field: then all of them make the identity of every record. */
  readonly plainDimensions: readonly string[] | null;
  readonly metrics: readonly Metric[];
  readonly time: FieldPath | null;
  readonly value: FieldPath;
  readonly noValue: readonly string[];
  readonly isProcessPort: boolean;
  /** Scalars of the identity, with their names -> its md5. */
  readonly identityMemory: Map<string, string>;
};

/**
 * A parser for many records of one query: the query is checked once, and the md5s of series seen before are
 * remembered.
 */
export function createRecordParser(query: RecordQuery): RecordParser {
  const plan = planOf(query);
  return (raw, options = {}) => parse(plan, raw, options);
}

/** The event under the standard's own field names. */
export function cleanEvent(event: StateEvent) {
  return {
    record_id: event.recordId,
    value: event.value,
    values: event.values,
    dimensions: event.dimensions,
    dimension_fields: [...event.dimensionFields],
    time: event.time,
    access_time: event.accessTime,
  };
}

function planOf(query: RecordQuery): Plan {
  const first = query.metrics[0];
  if (first === undefined) throw wrongQuery("has no metric", "give at least one");
  const { precision } = query;
  if (precision !== null && (!Number.isInteger(precision) || precision < 0 || precision > PRECISION_MAX)) {
    throw wrongQuery(`has the precision ${precision}`, `give a whole number from 0 to ${PRECISION_MAX}`);
  }
  const dimensions = query.dimensions === null ? null : [...new Set(query.dimensions)];
  return {
    query,
    dimensions: dimensions?.map(fieldPath) ?? null,
    plainDimensions: dimensions?.some((field) => DYNAMIC_PROCESS_FIELDS.has(field)) === false ? dimensions : null,
    metrics: query.metrics.map((source) => ({ source, unit: unitNamed(source.unit) })),
    time: query.timeField === undefined ? null : fieldPath(query.timeField),
    value: fieldPath(first.method?.toUpperCase() === "REAL_TIME" ? first.field : "_result_"),
    noValue: query.noValue ?? NO_VALUE_DEFAULT,
    isProcessPort: query.metricIds?.includes(PROCESS_PORT_METRIC) ?? false,
    identityMemory: new Map(),
  };
}

function unitNamed(name: string | undefined): Unit | null {
  if (name === undefined || name === "") return null;
  const unit = unitOf(name);
  if (unit === undefined)
    throw wrongQuery(`names the unit ${JSON.stringify(name)}`, `use one of ${UNIT_NAMES.join(", ")}`);
  return unit;
}

function wrongQuery(what: string, remedy: string): BecalmError {
  return new BecalmError("BECALM_ARGUMENT_INVALID", `The record query ${what}; ${remedy}.`);
}

function parse(plan: Plan, raw: unknown, options: ParseOptions): StateEvent | Rejection {
  if (typeof raw !== "object" || raw === null || Array.isArray(raw)) return reject("record_not_an_object", null);
  const record = raw as RawRecord;
  const time = readTime(plan, record);
  if (typeof time !== "number") return time;
  const value = readValue(plan, record);
  if (isRejection(value)) return value;
  const { values, unreadable } = readValues(plan, record, { time, value });
  const dimensions = readDimensions(plan, record);
  if (dimensions.fault !== null) return dimensions.fault;
  const dimensionsMd5 = identityMd5(plan, dimensions);
  const event = {
    recordId: `${dimensionsMd5}.${time}`,
    dimensionsMd5,
    value,
    values,
    dimensions: dimensions.all,
    dimensionFields: dimensions.identityFields,
    time,
    accessTime: options.accessTimeMs === undefined ? null : options.accessTimeMs / 1000,
  };
  return unreadable === null ? event : { ...event, unreadable };
}

function readTime(plan: Plan, record: RawRecord): number | Rejection {
  if (plan.time !== null) {
    const raw = at(record, plan.time);
    if (raw === null) return reject("time_missing", plan.time.name);
    return convertTime(raw, plan.time.name, plan.query.timeFormat);
  }
  const field = own(record, "_time_") === null ? "time" : "_time_";
  const raw = own(record, field);
  return raw === null ? reject("time_missing", field) : convertTime(raw, field, plan.query.timeFormat);
}

function readValue(plan: Plan, record: RawRecord): number | null | Rejection {
  const { unit } = plan.metrics[0] as Metric;
  const raw = at(record, plan.value);
  if (raw === null) return null;
  return convertValue(raw, {
    field: plan.value.name,
    unit,
    precision: plan.query.precision,
    noValue: plan.noValue,
  });
}

type Values = { readonly values: Record<string, number>; readonly unreadable: readonly Rejection[] | null };

/** A secondary value that cannot be read is left out, and said so: the main value stands on its own. */
function readValues(plan: Plan, record: RawRecord, known: { time: number; value: number | null }): Values {
  const values: Record<string, number> = {};
  let unreadable: Rejection[] | null = null;
  for (const [index, { source, unit }] of plan.metrics.entries()) {
    const aliased = source.alias === undefined || source.alias === "" ? null : own(record, source.alias);
    const field = aliased === null ? source.field : (source.alias as string);
    if (aliased === null && index === 0 && field === plan.value.name) {
      setOwn(values, field, known.value ?? 0);
      continue;
    }
    const raw = aliased ?? at(record, fieldPath(field));
    const number =
      raw === null ? 0 : convertValue(raw, { field, unit, precision: plan.query.precision, noValue: plan.noValue });
    if (isRejection(number)) {
      unreadable ??= [];
      unreadable.push(number);
    } else setOwn(values, field, number ?? 0);
  }
  for (const field of plan.query.timeFields) setOwn(values, field, known.time);
  return { values, unreadable };
}

type Dimensions = {
  readonly all: Record<string, unknown>;
  readonly identityFields: readonly string[];
  /** Of the first one that can be none. */
  readonly fault: Rejection | null;
};

function readDimensions(plan: Plan, record: RawRecord): Dimensions {
  return plan.plainDimensions === null ? readAnyDimensions(plan, record) : readPlainDimensions(plan, record);
}

/** Normally the query names its dimensions, and none of them is special. */
function readPlainDimensions({ dimensions, plainDimensions }: Plan, record: RawRecord): Dimensions {
  const all: Record<string, unknown> = {};
  let fault: Rejection | null = null;
  for (const path of dimensions as readonly FieldPath[]) {
    const value = at(record, path);
    setOwn(all, path.name, value);
    if (typeof value === "string") continue;
    const reason = dimensionFault(value);
    if (reason !== null) fault ??= reject(reason, path.name);
  }
  return { all, identityFields: plainDimensions as readonly string[], fault };
}

function readAnyDimensions(plan: Plan, record: RawRecord): Dimensions {
  const all: Record<string, unknown> = {};
  const identityFields: string[] = [];
  let fault: Rejection | null = null;
  for (const path of plan.dimensions ?? Object.keys(record).filter(isOrdinaryField).map(plainField)) {
    const field = path.name;
    const value = at(record, path);
    const isDynamic = DYNAMIC_PROCESS_FIELDS.has(field);
    if (isDynamic && plan.dimensions !== null && isShortText(value)) continue;
    setOwn(all, field, value);
    if (!(isDynamic && plan.isProcessPort)) identityFields.push(field);
    const reason = dimensionFault(value);
    if (reason !== null) fault ??= reject(reason, field);
  }
  return { all, identityFields, fault };
}

function isOrdinaryField(field: string): boolean {
  return field !== "_time_" && field !== "_result_" && !field.startsWith("bk_task_index_");
}

/** A text of at most two characters (`[]`, `""`) is an empty list that was printed. */
function isShortText(value: unknown): boolean {
  return typeof value === "string" && value.length <= 4 && [...value].length <= 2;
}

/** The same text object for every record of a series: what detection remembers of many records is then one md5. */
function identityMd5({ identityMemory }: Plan, { identityFields, all }: Dimensions): string {
  const text = identityText(identityFields, all);
  const known = text === null ? undefined : identityMemory.get(text);
  if (known !== undefined) return known;
  const md5 = md5OfHashes(identityFields.map((field) => pairMd5(field, all[field])));
  if (text === null || text.length > REMEMBERED_CHARS_MAX) return md5;
  if (identityMemory.size >= IDENTITY_MEMORY_MAX) identityMemory.clear();
  identityMemory.set(text, md5);
  return md5;
}

/**
 * Equal texts mean equal hashes: it holds what is hashed, each part with its length. null: a dimension is not a scalar.
 */
function identityText(fields: readonly string[], all: Readonly<Record<string, unknown>>): string | null {
  let text = "";
  for (const field of fields) {
    const value = all[field];
    if (typeof value === "object" && value !== null) return null;
    const scalar = pythonText(value);
    text += `${field.length}:${field}${scalar.length}:${scalar}`;
  }
  return text;
}

export function fieldPath(name: string): FieldPath {
  return { name, path: name.includes(".") ? name.split(".") : null };
}

function plainField(name: string): FieldPath {
  return { name, path: null };
}

/** The field of that name, or what its dots lead to in nested maps; null for what is missing. */
export function at(record: RawRecord, { name, path }: FieldPath): unknown {
  if (path === null || Object.hasOwn(record, name)) return own(record, name);
  let value: unknown = record;
  for (const part of path) {
    if (typeof value !== "object" || value === null) return null;
    value = own(value as RawRecord, part);
  }
  return value;
}

/** A record's own field, with null for what is missing. Inherited names (`constructor`) are not fields. */
function own(record: RawRecord, field: string): unknown {
  return Object.hasOwn(record, field) ? (record[field] ?? null) : null;
}

/** Assigning to `__proto__` would set the prototype; every name is an ordinary field here. */
function setOwn<T>(target: Record<string, T>, field: string, value: T): void {
  if (field === "__proto__")
    Object.defineProperty(target, field, { value, enumerable: true, configurable: true, writable: true });
  else target[field] = value;
}
