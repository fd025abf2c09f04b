import { BecalmError } from "../../model/errors.ts";
import { dimensionFault, md5OfHashes, pairMd5, pythonText } from "./record-identity.ts";
import type { QueryMetric, RecordQuery, Rejection, StateEvent } from "./record-types.ts";
import { convertTime, convertValue, isRejection, reject } from "./record-value.ts";
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

type Metric = { readonly source: QueryMetric; readonly unit: Unit | null };

type Plan = {
  readonly query: RecordQuery;
  /** The query's dimensions without repetitions; null: it names none. */
  readonly dimensions: readonly string[] | null;
  readonly metrics: readonly Metric[];
  readonly isRealTime: boolean;
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
    dimension_fields: event.dimensionFields,
    time: event.time,
    access_time: event.accessTime,
  };
}

function planOf(query: RecordQuery): Plan {
  const first = query.metrics[0];
  if (first === undefined) throw wrongQuery("has no metric", "give at least one");
  if (!Number.isInteger(query.precision) || query.precision < 0 || query.precision > PRECISION_MAX) {
    throw wrongQuery(`has the precision ${query.precision}`, `give a whole number from 0 to ${PRECISION_MAX}`);
  }
  return {
    query,
    dimensions: query.dimensions === null ? null : [...new Set(query.dimensions)],
    metrics: query.metrics.map((source) => ({ source, unit: unitNamed(source.unit) })),
    isRealTime: first.method?.toUpperCase() === "REAL_TIME",
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
  const record = raw as Readonly<Record<string, unknown>>;
  const time = readTime(plan, record);
  if (typeof time !== "number") return time;
  const value = readValue(plan, record);
  if (isRejection(value)) return value;
  const values = readValues(plan, record, time);
  if (isRejection(values)) return values;
  const dimensions = readDimensions(plan, record);
  if (dimensions.fault !== null) return dimensions.fault;
  const dimensionsMd5 = identityMd5(plan, dimensions);
  return {
    recordId: `${dimensionsMd5}.${time}`,
    dimensionsMd5,
    value,
    values,
    dimensions: dimensions.all,
    dimensionFields: dimensions.identityFields,
    time,
    accessTime: options.accessTimeMs === undefined ? null : options.accessTimeMs / 1000,
  };
}

function readTime(plan: Plan, record: Readonly<Record<string, unknown>>): number | Rejection {
  const named = plan.query.timeField;
  const field = named ?? (own(record, "_time_") === null ? "time" : "_time_");
  const raw = own(record, field);
  return raw === null ? reject("time_missing", field) : convertTime(raw, field);
}

function readValue(plan: Plan, record: Readonly<Record<string, unknown>>): number | null | Rejection {
  const metric = plan.metrics[0] as Metric;
  const field = plan.isRealTime ? metric.source.field : "_result_";
  const raw = own(record, field);
  return raw === null ? null : convertValue(raw, { field, unit: metric.unit, precision: plan.query.precision });
}

function readValues(
  plan: Plan,
  record: Readonly<Record<string, unknown>>,
  time: number,
): Record<string, number> | Rejection {
  const values: Record<string, number> = {};
  for (const { source, unit } of plan.metrics) {
    const aliased = source.alias === undefined || source.alias === "" ? null : own(record, source.alias);
    const field = aliased === null ? source.field : (source.alias as string);
    const raw = aliased ?? own(record, field);
    const number = raw === null ? 0 : convertValue(raw, { field, unit, precision: plan.query.precision });
    if (typeof number !== "number") return number;
    setOwn(values, field, number);
  }
  for (const field of plan.query.timeFields) setOwn(values, field, time);
  return values;
}

type Dimensions = {
  readonly all: Record<string, unknown>;
  readonly identityFields: string[];
  /** Of the first one that can be none. */
  readonly fault: Rejection | null;
};

function readDimensions(plan: Plan, record: Readonly<Record<string, unknown>>): Dimensions {
  const all: Record<string, unknown> = {};
  const identityFields: string[] = [];
  let fault: Rejection | null = null;
  for (const field of plan.dimensions ?? Object.keys(record).filter(isOrdinaryField)) {
    const value = own(record, field);
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

/** Equal texts mean equal hashes: it holds what is hashed, each part with its length. null: a dimension is no scalar. */
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

/** A record's own field, with null for what is missing. Inherited names (`constructor`) are not fields. */
function own(record: Readonly<Record<string, unknown>>, field: string): unknown {
  return Object.hasOwn(record, field) ? (record[field] ?? null) : null;
}

/** Assigning to `__proto__` would set the prototype; every name is an ordinary field here. */
function setOwn<T>(target: Record<string, T>, field: string, value: T): void {
  if (field === "__proto__")
    Object.defineProperty(target, field, { value, enumerable: true, configurable: true, writable: true });
  else target[field] = value;
}
