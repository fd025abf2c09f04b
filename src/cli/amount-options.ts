/**
 * Sizes and durations of options. Each has bounds within which it does what somebody can want; what lies outside, or
 * lacks its unit, is refused with what was most likely meant.
 */
import { InvalidArgumentError } from "commander";
import { formatDuration, parseDuration } from "../model/duration.ts";

const UNIT_BYTES: Readonly<Record<string, number>> = { "": 1, KiB: 1_024, MiB: 1_048_576, GiB: 1_073_741_824 };

export type SizeBounds = { readonly minBytes: number; readonly maxBytes: number };

/** `32MiB`; a number alone is bytes. */
export function byteSize(given: string, { minBytes, maxBytes }: SizeBounds): number {
  const [, digits, unit] = /^(\d{1,12}) ?([a-z]*)$/i.exec(given) ?? [];
  const unitBytes = unit === undefined ? undefined : UNIT_BYTES[unit];
  const bytes = Number(digits) * (unitBytes ?? Number.NaN);
  if (bytes >= minBytes && bytes <= maxBytes) return bytes;
  const is = bytes < minBytes ? `${bytes} bytes are fewer than any use has. ` : "";
  const meant = digits === undefined ? [] : [unit === "" ? `${digits}MiB` : `${digits}${fullUnit(unit ?? "")}`];
  const hint = meant.some((text) => text !== given && isWithin(text, { minBytes, maxBytes }))
    ? ` Did you mean ${meant[0]}?`
    : "";
  throw new InvalidArgumentError(
    `${is}Give a size from ${sizeText(minBytes)} to ${sizeText(maxBytes)}, such as 32MiB.${hint}`,
  );
}

/** `32M`, `32mb` and `32MB` as it is written here. */
function fullUnit(unit: string): string {
  const first = unit.charAt(0).toUpperCase();
  return /^[kmg](?:i?b)?$/i.test(unit) ? `${first}iB` : "MiB";
}

function isWithin(text: string, bounds: SizeBounds): boolean {
  try {
    return byteSize(text, bounds) > 0;
  } catch {
    return false;
  }
}

function sizeText(bytes: number): string {
  const [unit, unitBytes] = Object.entries(UNIT_BYTES)
    .reverse()
    .find(([, each]) => bytes % each === 0) as [string, number];
  return `${bytes / unitBytes}${unit}`;
}

export type DurationBounds = { readonly minMs: number; readonly maxMs?: number };

/** `30s`, `1m30s`; `0` needs no unit. */
export function durationMs(given: string, { minMs, maxMs = Number.POSITIVE_INFINITY }: DurationBounds): number {
  const ms = parsedOrNaN(given);
  if (ms >= minMs && ms <= maxMs) return ms;
  const unit = parsedOrNaN(`${given}s`) >= minMs && parsedOrNaN(`${given}s`) <= maxMs ? "s" : "d";
  const hint = /^\d+$/.test(given) && given !== "0" ? ` ${given} has no unit: did you mean ${given}${unit}?` : "";
  const upTo = maxMs === Number.POSITIVE_INFINITY ? " on" : ` to ${formatDuration(maxMs)}`;
  throw new InvalidArgumentError(`Give a duration from ${formatDuration(minMs)}${upTo}.${hint}`);
}

function parsedOrNaN(given: string): number {
  try {
    return parseDuration(given);
  } catch {
    return Number.NaN;
  }
}
