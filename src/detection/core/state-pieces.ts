/**
 * The state of detection as named texts, so that a commit writes what a batch changed and not the whole state.
 *
 * A piece is the head of a group, a series with its waiting points, or a checkpoint that was set ahead. Record ids seen
 * are kept apart (ACCESS_DUPLICATE): a store forgets them by time. A point that waits is known by itself, so that a
 * store that lost the others still has nothing detected twice.
 */
import { BecalmError } from "../../model/errors.ts";
import type { GroupChanges, GroupHead, GroupState, SeriesState } from "./group-state.ts";
import { emptyGroupState } from "./group-state.ts";
import { pointsOf } from "./point-list.ts";
import { type FirstSeriesState, seriesOfFirstFormat, type WaitingPoint } from "./state-format-1.ts";

/** Rises when the stored form changes; a greater one than this is refused, smaller ones are converted. */
export const STATE_PIECES_FORMAT = 2;

const FORMAT_PIECE = "format";

export type PieceWrites = { readonly put: (readonly [name: string, value: string])[]; readonly removed: string[] };

/** What `changes` write. `state` is the state before them. */
export function pieceWrites(groupKey: string, state: GroupState, changes: GroupChanges): PieceWrites {
  const put: [string, string][] = [[`head ${groupKey}`, JSON.stringify(changes.head)]];
  const removed: string[] = [];
  if (state.head.newestTime === null) put.push([FORMAT_PIECE, String(STATE_PIECES_FORMAT)]);
  for (const [md5, series] of changes.series) {
    if (series !== null) put.push([seriesPiece(groupKey, md5), JSON.stringify(series)]);
    else if (state.series.has(md5)) removed.push(seriesPiece(groupKey, md5));
  }
  return { put, removed };
}

export function seriesPiece(groupKey: string, md5: string): string {
  return `series ${groupKey} ${md5}`;
}

/** What a store writes beside LAST_CHECKPOINTS when somebody sets a checkpoint: detection goes on behind it. */
export function checkpointPiece(of: { strategyId: string; dimensionsMd5: string; level: string }): string {
  return `checkpoint ${of.strategyId} ${of.dimensionsMd5} ${of.level}`;
}

export type StoredGroups = {
  readonly states: ReadonlyMap<string, GroupState>;
  /** Checkpoints that were set ahead, by levelName. */
  readonly skipUntil: ReadonlyMap<string, number>;
  /** What has to be written to bring an earlier format up to this one; empty: nothing. */
  readonly upgrade: PieceWrites;
};

/**
 * Groups by their keys, from all pieces; pieces of other names are not looked at. Throws BECALM_CHECKPOINT_NEWER or
 * _INVALID.
 */
export function groupStatesOf(pieces: ReadonlyMap<string, string>): StoredGroups {
  const format = Number(pieces.get(FORMAT_PIECE) ?? STATE_PIECES_FORMAT);
  if (format > STATE_PIECES_FORMAT) {
    throw new BecalmError(
      "BECALM_CHECKPOINT_NEWER",
      `The stored detection state has format ${format}, this version reads up to ${STATE_PIECES_FORMAT}; run the newer version of Becalm.`,
    );
  }
  if (format < STATE_PIECES_FORMAT) return upgraded(pieces);
  const states = new Map<string, GroupState>();
  const stateOf = stateIn(states);
  const skipUntil = new Map<string, number>();
  for (const [name, text] of pieces) {
    const [kind = "", groupKey = "", md5 = ""] = name.split(" ");
    if (kind === "head") stateOf(groupKey).head = headOf(parsePiece(name, text));
    else if (kind === "series") addSeries(stateOf(groupKey), md5, parsePiece<SeriesState>(name, text));
    else if (kind === "checkpoint") skipUntil.set(name.slice(kind.length + 1), Number(text));
  }
  return { states, skipUntil, upgrade: { put: [], removed: [] } };
}

/** Earlier versions remembered no record without a value: what a head does not say is as at the start. */
function headOf(stored: GroupHead): GroupHead {
  return { ...emptyGroupState().head, ...stored };
}

function stateIn(states: Map<string, GroupState>): (key: string) => GroupState {
  return (key) => {
    const known = states.get(key) ?? emptyGroupState();
    states.set(key, known);
    return known;
  };
}

function addSeries(state: GroupState, md5: string, series: SeriesState): void {
  state.series.set(md5, series);
  for (const { time } of pointsOf(series.pending)) {
    state.pendingCount += 1;
    markSeen(state, time, md5);
  }
}

/** Format 1 kept one watermark a group, and each waiting point as a piece of its own. */
function upgraded(pieces: ReadonlyMap<string, string>): StoredGroups {
  const states = new Map<string, GroupState>();
  const stateOf = stateIn(states);
  const waiting = new Map<string, WaitingPoint[]>();
  const series = new Map<string, FirstSeriesState | null>();
  const removed: string[] = [];
  for (const [name, text] of pieces) {
    const [kind = "", groupKey = "", third = "", fourth = ""] = name.split(" ");
    if (kind === "head") {
      const { newestTime, counters } = parsePiece<GroupHead>(name, text);
      stateOf(groupKey).head = { ...emptyGroupState().head, newestTime, clockTime: newestTime, counters };
    } else if (kind === "series") series.set(`${groupKey} ${third}`, parsePiece<FirstSeriesState>(name, text));
    else if (kind === "pending") {
      const key = `${groupKey} ${fourth}`;
      waiting.set(key, [...(waiting.get(key) ?? []), parsePiece<WaitingPoint>(name, text)]);
      if (!series.has(key)) series.set(key, null);
      removed.push(name);
    }
  }
  const put: [string, string][] = [[FORMAT_PIECE, String(STATE_PIECES_FORMAT)]];
  for (const [key, stored] of series) {
    const [groupKey = "", md5 = ""] = key.split(" ");
    const converted = seriesOfFirstFormat(stored, waiting.get(key) ?? []);
    addSeries(stateOf(groupKey), md5, converted);
    put.push([seriesPiece(groupKey, md5), JSON.stringify(converted)]);
  }
  for (const [key, { head }] of states) put.push([`head ${key}`, JSON.stringify(head)]);
  return { states, skipUntil: new Map(), upgrade: { put, removed } };
}

/** Adds record ids (`<md5>.<time>`) to what the state has seen. */
export function addSeenRecords(
  state: GroupState,
  records: readonly (readonly [time: number, recordId: string])[],
): void {
  for (const [time, recordId] of records) markSeen(state, time, recordId.slice(0, 32));
}

function markSeen(state: GroupState, time: number, md5: string): void {
  const atTime = state.seen.get(time) ?? new Set<string>();
  if (atTime.has(md5)) return;
  state.seen.set(time, atTime.add(md5));
  state.seenCount += 1;
}

function parsePiece<Piece>(name: string, text: string): Piece {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value as Piece;
  } catch {
    // Told below, with its name.
  }
  // Starting afresh on its own would send alerts again.
  throw new BecalmError(
    "BECALM_CHECKPOINT_INVALID",
    `The stored detection state cannot be read: the piece ${JSON.stringify(name)} is broken. Restore it, or use another stream to start afresh.`,
    { details: { piece: name } },
  );
}
