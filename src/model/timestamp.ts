const DAY_MS = 86_400_000;
const DAYS_BEFORE_MONTH = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
const DAYS_IN_MONTH = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

const ZERO_TIME = /^0001-01-01(?:[Tt ]00:00(?::00(?:[.,]0+)?)?(?:[Zz]|[+-]00:?00)?)?$/;

/** Is this Go's zero time, which Prometheus and Alertmanager write for "none"? */
export function isZeroTime(text: string): boolean {
  return text.startsWith("0001-") && ZERO_TIME.test(text);
}

/** A time as programs read it: ISO, in UTC. */
export function isoTime(atMs: number): string {
  return new Date(atMs).toISOString();
}

/**
 * Epoch milliseconds of an RFC 3339 time (`2026-11-23T06:49:54.757Z`, any number of fraction digits, any offset), or
 * null when the text names no instant: it is malformed, a date that does not exist, or Go's zero time. Digits below the
 * millisecond are dropped. Written by hand because every alert brings two of them and Date.parse takes other formats
 * too.
 */
export function parseTimestamp(text: string): number | null {
  if (text.length < 20 || !hasDateTimeMarks(text)) return null;
  const dayMs = dateMs(digits(text, 0, 4), digits(text, 5, 2), digits(text, 8, 2));
  const hour = digits(text, 11, 2);
  const minute = digits(text, 14, 2);
  const second = digits(text, 17, 2);
  if (dayMs === null || !(hour < 24 && minute < 60 && second < 60)) return null;
  const fractionEnd = endOfFraction(text);
  const offsetMs = fractionEnd === -1 ? null : offset(text, fractionEnd);
  if (offsetMs === null || isZeroTime(text)) return null;
  return dayMs + hour * 3_600_000 + minute * 60_000 + second * 1_000 + fractionMs(text, fractionEnd) - offsetMs;
}

const OTHER_FORMS = /^(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d)(:\d\d(?:[.,]\d+)?)?([Zz]|[+-]\d\d:?\d\d)?)?$/;

/**
 * The same for every form of time that Alertmanager takes: beside RFC 3339 without a zone (UTC), without seconds, with
 * a space for the T, with an offset without a colon, with a decimal comma, and a date alone.
 */
export function parseAlertTime(text: string): number | null {
  const atMs = parseTimestamp(text);
  if (atMs !== null || isZeroTime(text)) return atMs;
  const [, date, minute = "00:00", second = ":00", zone = "Z"] = OTHER_FORMS.exec(text) ?? [];
  if (date === undefined) return null;
  const offset = zone.length === 5 ? `${zone.slice(0, 3)}:${zone.slice(3)}` : zone;
  return parseTimestamp(`${date}T${minute}${second.replace(",", ".")}${offset}`);
}

function hasDateTimeMarks(text: string): boolean {
  const t = text.charCodeAt(10);
  return (
    text.charCodeAt(4) === 0x2d &&
    text.charCodeAt(7) === 0x2d &&
    (t === 0x54 || t === 0x74) &&
    text.charCodeAt(13) === 0x3a &&
    text.charCodeAt(16) === 0x3a
  );
}

/** The number in `count` digits, or NaN: every comparison with NaN is false, so range checks refuse it. */
function digits(text: string, start: number, count: number): number {
  let value = 0;
  for (let i = start; i < start + count; i += 1) {
    const digit = text.charCodeAt(i) - 0x30;
    if (!(digit >= 0 && digit <= 9)) return Number.NaN;
    value = value * 10 + digit;
  }
  return value;
}

/** Epoch milliseconds of midnight UTC in the proleptic Gregorian calendar, or null when there is no such day. */
function dateMs(year: number, month: number, day: number): number | null {
  if (!(year >= 0 && month >= 1 && month <= 12 && day >= 1)) return null;
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  const monthDays = (DAYS_IN_MONTH[month - 1] as number) + (month === 2 && isLeap ? 1 : 0);
  if (day > monthDays) return null;
  const before = year - 1;
  const leapDays = Math.floor(before / 4) - Math.floor(before / 100) + Math.floor(before / 400);
  const dayOfYear = (DAYS_BEFORE_MONTH[month - 1] as number) + (month > 2 && isLeap ? 1 : 0) + day - 1;
  // 719162 days lie between 0001-01-01 and 1970-01-01.
  return (before * 365 + leapDays + dayOfYear - 719_162) * DAY_MS;
}

/** Where the optional fraction that may start at 19 ends (19 if there is none), or -1 when it has no digits. */
function endOfFraction(text: string): number {
  if (text.charCodeAt(19) !== 0x2e) return 19;
  let end = 20;
  while (text.charCodeAt(end) >= 0x30 && text.charCodeAt(end) <= 0x39) end += 1;
  return end === 20 ? -1 : end;
}

function fractionMs(text: string, end: number): number {
  let ms = 0;
  for (let i = 20; i < 23; i += 1) ms = ms * 10 + (i < end ? text.charCodeAt(i) - 0x30 : 0);
  return ms;
}

/** Milliseconds east of UTC that `Z` or `+hh:mm` at `start` says, or null unless it ends the text. */
function offset(text: string, start: number): number | null {
  const mark = text.charCodeAt(start);
  if ((mark === 0x5a || mark === 0x7a) && text.length === start + 1) return 0;
  const isSigned = mark === 0x2b || mark === 0x2d;
  if (!isSigned || text.length !== start + 6 || text.charCodeAt(start + 3) !== 0x3a) return null;
  const hours = digits(text, start + 1, 2);
  const minutes = digits(text, start + 4, 2);
  if (!(hours < 24 && minutes < 60)) return null;
  return (mark === 0x2d ? -1 : 1) * (hours * 3_600_000 + minutes * 60_000);
}
