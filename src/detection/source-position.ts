/** How far a source of records was read, and what came of its rows: durable in the commit of what they led to. */
import { BecalmError } from "../model/errors.ts";

/** Counts over all rows of a source, whichever process read them. An event is a record in one strategy group. */
export type SourceCounts = {
  /** Rows that were refused, in whole or by one of their groups. */
  readonly rejected: number;
  /** Rows that no strategy's filter takes. */
  readonly unmatched: number;
  readonly accepted: number;
  readonly duplicates: number;
  readonly late: number;
  readonly withoutValue: number;
  readonly gaps: number;
  readonly firing: number;
  readonly resolved: number;
  /** Firing ones that were sent again. */
  readonly resent: number;
};

export type SourcePosition = {
  /** Rows consumed, header not counted. */
  readonly rows: number;
  /** Digest of the first row, by which another file of the same name is noticed. */
  readonly first: string;
  readonly counts: SourceCounts;
  /** Refused rows by reason. */
  readonly reasons: Readonly<Record<string, number>>;
  /** The rows of a source that was sorted before it was taken. Missing: it was not. */
  readonly sortedRows?: number;
};

export const NO_COUNTS: SourceCounts = {
  rejected: 0,
  unmatched: 0,
  accepted: 0,
  duplicates: 0,
  late: 0,
  withoutValue: 0,
  gaps: 0,
  firing: 0,
  resolved: 0,
  resent: 0,
};

export const AT_START: SourcePosition = { rows: 0, first: "", counts: NO_COUNTS, reasons: {} };

export function addCounts(left: SourceCounts, right: SourceCounts): SourceCounts {
  const names = Object.keys(NO_COUNTS) as (keyof SourceCounts)[];
  return Object.fromEntries(names.map((name) => [name, (left[name] ?? 0) + (right[name] ?? 0)])) as SourceCounts;
}

export function addReasons(
  left: Readonly<Record<string, number>>,
  right: Readonly<Record<string, number>>,
): Record<string, number> {
  const sum: Record<string, number> = { ...left };
  for (const [reason, count] of Object.entries(right)) sum[reason] = (sum[reason] ?? 0) + count;
  return sum;
}

const PREFIX = "source ";

/** Name of the piece that holds a source's position. */
export function sourcePiece(source: string): string {
  return PREFIX + source;
}

export function sourcePositionsOf(pieces: ReadonlyMap<string, string>): Map<string, SourcePosition> {
  const positions = new Map<string, SourcePosition>();
  for (const [name, text] of pieces) {
    if (name.startsWith(PREFIX)) positions.set(name.slice(PREFIX.length), parsePosition(name, text));
  }
  return positions;
}

function parsePosition(name: string, text: string): SourcePosition {
  try {
    const position = JSON.parse(text) as SourcePosition;
    if (Number.isSafeInteger(position.rows) && typeof position.counts === "object") return position;
  } catch {
    // Told below, with its name.
  }
  throw new BecalmError(
    "BECALM_CHECKPOINT_INVALID",
    `The position of a source cannot be read: ${JSON.stringify(name)} is broken. Restore it, or use another stream to start afresh.`,
    { details: { piece: name } },
  );
}
