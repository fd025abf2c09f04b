import type { Rejection, RejectionReason } from "./record-types.ts";
import { REJECTION_REASONS } from "./record-types.ts";
import { roundHalfEven } from "./rounding.ts";
import type { Unit } from "./units.ts";
import { toBaseUnit } from "./units.ts";

/** How long a quoted piece of bad input may be in a message. */
const QUOTE_CHARS_MAX = 60;

/** Epoch seconds reach eleven digits in the year 5138; whatever is greater is in milliseconds or finer. */
const SECONDS_MAX = 100_000_000_000;

// Each digit has one place only, so that a long text which is no number after all is refused in linear time.
const NUMERIC_TEXT = /^\s*[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?\s*$/;
const INFINITE_TEXT = /^\s*[+-]?(?:nan|inf(?:inity)?)\s*$/i;

export function reject(reason: RejectionReason, field: string | null, found?: unknown): Rejection {
  const where =
    field === null ? "" : ` (field ${JSON.stringify(field)}${found === undefined ? "" : `: ${quote(found)}`})`;
  return { rejected: true, reason, field, text: `${REJECTION_REASONS[reason]}${where}` };
}

export function isRejection(outcome: object | number | null): outcome is Rejection {
  // A map of values may have a metric called `rejected`, but then it is a number.
  return typeof outcome === "object" && outcome !== null && (outcome as Partial<Rejection>).rejected === true;
}

export type Conversion = { readonly field: string; readonly unit: Unit | null; readonly precision: number };

/**
 * A raw value as a rounded number in its base unit. Numeric text is a number, true and false are 1 and 0. `raw` is not
 * null.
 */
export function convertValue(raw: unknown, how: Conversion): number | Rejection {
  const number = asNumber(raw);
  if (number === null) return reject("value_not_a_number", how.field, raw);
  const converted = how.unit === null ? number : toBaseUnit(number, how.unit);
  if (!Number.isFinite(converted)) return reject("value_not_finite", how.field, raw);
  return roundHalfEven(converted, how.precision);
}

/** Whole epoch seconds, from a number or a numeric text. */
export function convertTime(raw: unknown, field: string): number | Rejection {
  const seconds = typeof raw === "boolean" ? null : asNumber(raw);
  if (seconds === null || !Number.isFinite(seconds)) return reject("time_not_a_number", field, raw);
  if (seconds >= SECONDS_MAX) return reject("time_in_ms", field, raw);
  if (seconds < 0 || !Number.isInteger(seconds)) return reject("time_out_of_range", field, raw);
  return seconds + 0;
}

function asNumber(raw: unknown): number | null {
  if (typeof raw === "number") return raw;
  if (typeof raw === "string") {
    if (NUMERIC_TEXT.test(raw)) return Number(raw);
    return INFINITE_TEXT.test(raw) ? Number.NaN : null;
  }
  return typeof raw === "boolean" ? Number(raw) : null;
}

function quote(found: unknown): string {
  if (typeof found === "object" && found !== null) return Array.isArray(found) ? "a list" : "a map";
  const text = typeof found === "string" ? JSON.stringify(found.slice(0, QUOTE_CHARS_MAX + 1)) : String(found);
  return text.length > QUOTE_CHARS_MAX ? `${text.slice(0, QUOTE_CHARS_MAX)}...` : text;
}
