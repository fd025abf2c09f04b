import { parseTimestamp } from "../../model/timestamp.ts";
import type { Rejection, RejectionReason, TimeFormat } from "./record-types.ts";
import { REJECTION_REASONS } from "./record-types.ts";
import { roundHalfEven } from "./rounding.ts";
import type { Unit } from "./units.ts";
import { toBaseUnit } from "./units.ts";

/** How long a quoted piece of bad input may be in a message. */
const QUOTE_CHARS_MAX = 60;

/** Epoch seconds reach eleven digits in the year 5138; whatever is greater is in milliseconds or finer. */
const SECONDS_MAX = 100_000_000_000;

/** Seconds with a fraction lie after 1973, in ms, us or ns as well: anything less is something else. */
const FRACTION_SECONDS_MIN = 100_000_000;

/** An infinite value: greater than every limit, and a number that JSON can hold. */
const INFINITE = Number.MAX_VALUE;

// Each digit has one place only, so that a long text that is not a number is refused in linear time.
const NUMERIC_TEXT = /^\s*[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?\s*$/;
const INFINITE_TEXT = /^\s*([+-]?)inf(?:inity)?\s*$/i;
const [DIGIT_0, DIGIT_9, DOT] = [48, 57, 46] as const;
const NAN_TEXT = /^\s*[+-]?nan\s*$/i;
const WHOLE_TEXT = /^\s*\+?\d{1,30}\s*$/;

/** RFC 3339 with a zone, a `T` or a blank between date and time, or `2024-02-03 13:20:19 UTC`. */
const DATE_TEXT = /^\s*(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}:\d{2}(?:\.\d+)?)\s?(Z|UTC|[+-]\d{2}:?\d{2})\s*$/i;

const DATE_CHARS_MAX = 64;

/** Texts that say that there is no value, if the query names no others. */
export const NO_VALUE_DEFAULT: readonly string[] = ["", "null", "N/A", "-"];

const UNITS_A_SECOND = { unix_s: 1, unix_ms: 1_000, unix_us: 1_000_000, unix_ns: 1_000_000_000 } as const;

export function reject(reason: RejectionReason, field: string | null, found?: unknown): Rejection {
  const where =
    field === null ? "" : ` (field ${JSON.stringify(field)}${found === undefined ? "" : `: ${quote(found)}`})`;
  return { rejected: true, reason, field, text: `${REJECTION_REASONS[reason]}${where}` };
}

export function isRejection(outcome: object | number | null): outcome is Rejection {
  // A map of values may have a metric called `rejected`, but then it is a number.
  return typeof outcome === "object" && outcome !== null && (outcome as Partial<Rejection>).rejected === true;
}

export type Conversion = {
  readonly field: string;
  readonly unit: Unit | null;
  /** null: values stay as they are. */
  readonly precision: number | null;
  readonly noValue: readonly string[];
};

/**
 * A raw value as a number in its base unit; null if it says that there is none (null, NaN, a text of `noValue`).
 * Numeric text is a number, true and false are 1 and 0, and an infinite value is the greatest number there is.
 */
export function convertValue(raw: unknown, how: Conversion): number | null | Rejection {
  if (typeof raw === "string" && how.noValue.includes(raw.trim())) return null;
  const number = asNumber(raw);
  if (number === null || !Number.isFinite(number)) return convertOdd(raw, number, how);
  const converted = how.unit === null ? number : toBaseUnit(number, how.unit);
  if (!Number.isFinite(converted)) return reject("value_not_finite", how.field, raw);
  return how.precision === null ? converted + 0 : roundHalfEven(converted, how.precision);
}

/** What is no finite number: NaN and infinite values, and what is refused. */
function convertOdd(raw: unknown, number: number | null, { field }: Conversion): number | null | Rejection {
  if (Number.isNaN(number) || (typeof raw === "string" && NAN_TEXT.test(raw))) return null;
  return infiniteOf(raw) ?? reject(number === null ? "value_not_a_number" : "value_not_finite", field, raw);
}

function infiniteOf(raw: unknown): number | null {
  if (typeof raw === "number") return Number.isFinite(raw) ? null : Math.sign(raw) * INFINITE;
  if (typeof raw !== "string" || raw.length > 16) return null;
  const sign = INFINITE_TEXT.exec(raw)?.[1];
  return sign === undefined ? null : sign === "-" ? -INFINITE : INFINITE;
}

/** A value as people read it: `+Inf` for what is greater than every number. */
export function valueText(value: number): string {
  return value === INFINITE ? "+Inf" : value === -INFINITE ? "-Inf" : String(value);
}

/**
 * Whole epoch seconds; a fraction is cut off. Without a declared format: a number of seconds, or a date with its zone.
 * A number that can only be milliseconds or finer is refused, not guessed.
 */
export function convertTime(raw: unknown, field: string, format?: TimeFormat): number | Rejection {
  if (format === "rfc3339") return secondsOfDate(raw, field) ?? reject("time_not_a_date", field, raw);
  if (format !== undefined && format !== "unix_s") return secondsOfUnits(raw, { field, format });
  const seconds = typeof raw === "boolean" ? null : asNumber(raw);
  if (seconds === null || !Number.isFinite(seconds)) {
    const ofDate = format === undefined ? secondsOfDate(raw, field) : null;
    return ofDate ?? reject("time_not_a_number", field, raw);
  }
  if (seconds >= SECONDS_MAX) return reject("time_in_ms", field, raw);
  // A day number of a spreadsheet (45244.93) has a fraction too.
  const isNone = seconds < 0 || (format === undefined && seconds < FRACTION_SECONDS_MIN && !Number.isInteger(seconds));
  return isNone ? reject("time_out_of_range", field, raw) : Math.floor(seconds) + 0;
}

/** null: it is not written like a date with its zone. */
function secondsOfDate(raw: unknown, field: string): number | Rejection | null {
  const date = typeof raw === "string" && raw.length <= DATE_CHARS_MAX ? DATE_TEXT.exec(raw) : null;
  if (date === null) return null;
  const [, day = "", time = "", zone = ""] = date;
  const offset = /^(?:z|utc)$/i.test(zone) ? "Z" : `${zone.slice(0, 3)}:${zone.slice(-2)}`;
  const atMs = parseTimestamp(`${day}T${time}${offset}`);
  if (atMs === null || atMs === undefined) return reject("time_not_a_date", field, raw);
  return atMs < 0 ? reject("time_out_of_range", field, raw) : Math.floor(atMs / 1_000);
}

/** Nanoseconds have more digits than a number holds: whole texts are cut as texts. */
function secondsOfUnits(
  raw: unknown,
  { field, format }: { field: string; format: "unix_ms" | "unix_us" | "unix_ns" },
): number | Rejection {
  if (typeof raw === "string" && WHOLE_TEXT.test(raw)) {
    const digits = String(UNITS_A_SECOND[format]).length - 1;
    return plausible(Number(raw.trim().replace("+", "").slice(0, -digits)), { raw, field });
  }
  const number = typeof raw === "boolean" ? null : asNumber(raw);
  if (number === null || !Number.isFinite(number)) return reject("time_not_a_number", field, raw);
  return plausible(Math.floor(number / UNITS_A_SECOND[format]), { raw, field });
}

/** Seconds that were declared to be milliseconds or finer lie in 1970. */
function plausible(seconds: number, { raw, field }: { raw: unknown; field: string }): number | Rejection {
  const isOut = seconds < FRACTION_SECONDS_MIN || seconds >= SECONDS_MAX;
  return isOut ? reject("time_out_of_range", field, raw) : seconds;
}

function asNumber(raw: unknown): number | null {
  if (typeof raw === "number") return raw;
  if (typeof raw === "string") {
    if (isDecimal(raw) || NUMERIC_TEXT.test(raw)) return Number(raw);
    const word = raw.length <= 16 ? raw.trim().toLowerCase() : "";
    return word === "true" ? 1 : word === "false" ? 0 : null;
  }
  return typeof raw === "boolean" ? Number(raw) : null;
}

/**
 * Digits and at most one dot between them, as nearly every number is written: cheaper to see than by the expression.
 */
function isDecimal(text: string): boolean {
  let hasDot = false;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code >= DIGIT_0 && code <= DIGIT_9) continue;
    if (code !== DOT || hasDot || at === 0 || at === text.length - 1) return false;
    hasDot = true;
  }
  return text !== "";
}

function quote(found: unknown): string {
  if (typeof found === "object" && found !== null) return Array.isArray(found) ? "a list" : "a map";
  const text = typeof found === "string" ? JSON.stringify(found.slice(0, QUOTE_CHARS_MAX + 1)) : String(found);
  return text.length > QUOTE_CHARS_MAX ? `${text.slice(0, QUOTE_CHARS_MAX)}...` : text;
}
