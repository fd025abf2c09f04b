import { BecalmError } from "./errors.ts";

/** Milliseconds of each unit, largest first: the order in which a composite names them. */
const UNITS = [
  ["y", 31_536_000_000],
  ["w", 604_800_000],
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1_000],
  ["ms", 1],
] as const;

const DURATION = /^(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?$/;

/**
 * Milliseconds of a duration as Prometheus writes it: `5m`, `1h30m`, `250ms`, `0`; units y (365 d), w, d, h, m, s, ms,
 * each at most once and from the largest down. A number without a unit is refused, except 0.
 * Throws BECALM_ARGUMENT_INVALID.
 */
export function parseDuration(text: string): number {
  if (text === "0") return 0;
  const parts = text === "" ? null : DURATION.exec(text);
  if (parts === null) throw invalidDuration(text);
  const durationMs = UNITS.reduce((sumMs, [, unitMs], i) => sumMs + Number(parts[i + 1] ?? 0) * unitMs, 0);
  if (!Number.isSafeInteger(durationMs)) throw invalidDuration(text);
  return durationMs;
}

function invalidDuration(text: string): BecalmError {
  const hint = /^\d+$/.test(text)
    ? `a unit is missing; did you mean ${text}s?`
    : "units are ms, s, m, h, d, w and y, largest first";
  return new BecalmError(
    "BECALM_ARGUMENT_INVALID",
    `${JSON.stringify(text)} is not a duration such as 30s, 5m or 1h30m: ${hint}`,
    { details: { text } },
  );
}

/**
 * The shortest spelling with days, hours, minutes, seconds and milliseconds: 5400000 is `1h30m`. `durationMs` is a
 * whole number >= 0.
 */
export function formatDuration(durationMs: number): string {
  if (!Number.isSafeInteger(durationMs) || durationMs < 0) {
    throw new BecalmError(
      "BECALM_ARGUMENT_INVALID",
      `A duration is a whole number of milliseconds >= 0, got ${durationMs}.`,
    );
  }
  let restMs = durationMs;
  let text = "";
  for (const [unit, unitMs] of UNITS.slice(2)) {
    const amount = Math.floor(restMs / unitMs);
    if (amount > 0) text += `${amount}${unit}`;
    restMs -= amount * unitMs;
  }
  return text === "" ? "0s" : text;
}
