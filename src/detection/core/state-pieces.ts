/**
 * The state of detection as named texts, so that a commit writes what a batch changed and not the whole state.
 *
 * A piece is the head of a group, a series or a point that waits. Record ids seen are kept apart (ACCESS_DUPLICATE): a store forgets
 * them by time. Those of points that wait come back with the points, so that a store which lost the others still has nothing detected
 * twice.
 */
import { BecalmError } from "../../model/errors.ts";
import type { GroupChanges, GroupHead, GroupState, PendingPoint, SeriesState } from "./group-state.ts";
import { addPending, emptyGroupState } from "./group-state.ts";

/** Rises when the stored form changes; a greater one than this is refused. */
export const STATE_PIECES_FORMAT = 1;

const FORMAT_PIECE = "format";

export type PieceWrites = { readonly put: (readonly [name: string, value: string])[]; readonly removed: string[] };

/** What `changes` write. `state` is the state before them. */
export function pieceWrites(groupKey: string, state: GroupState, changes: GroupChanges): PieceWrites {
  const put: [string, string][] = [[`head ${groupKey}`, JSON.stringify(changes.head)]];
  const removed: string[] = [];
  if (state.head.newestTime === null) put.push([FORMAT_PIECE, String(STATE_PIECES_FORMAT)]);
  const { pendingDetectedBefore } = changes;
  if (pendingDetectedBefore !== null) {
    for (const [time, points] of state.pending)
      if (time < pendingDetectedBefore) for (const { md5 } of points) removed.push(pendingName(groupKey, time, md5));
  }
  for (const point of changes.pendingAdded)
    put.push([pendingName(groupKey, point.time, point.md5), JSON.stringify(point)]);
  for (const [md5, series] of changes.series) {
    if (series !== null) put.push([`series ${groupKey} ${md5}`, JSON.stringify(series)]);
    else if (state.series.has(md5)) removed.push(`series ${groupKey} ${md5}`);
  }
  return { put, removed };
}

function pendingName(groupKey: string, time: number, md5: string): string {
  return `pending ${groupKey} ${time} ${md5}`;
}

/** Groups by their keys, from all pieces; pieces of other names are not looked at. Throws BECALM_CHECKPOINT_NEWER or _INVALID. */
export function groupStatesOf(pieces: ReadonlyMap<string, string>): Map<string, GroupState> {
  const format = Number(pieces.get(FORMAT_PIECE) ?? STATE_PIECES_FORMAT);
  if (format > STATE_PIECES_FORMAT) {
    throw new BecalmError(
      "BECALM_CHECKPOINT_NEWER",
      `The stored detection state has format ${format}, this version reads up to ${STATE_PIECES_FORMAT}; run the newer version of Becalm.`,
    );
  }
  const states = new Map<string, GroupState>();
  const stateOf = (key: string): GroupState => {
    const known = states.get(key) ?? emptyGroupState();
    states.set(key, known);
    return known;
  };
  for (const [name, text] of pieces) {
    const [kind = "", groupKey = "", md5 = ""] = name.split(" ");
    if (kind === "head") stateOf(groupKey).head = parsePiece<GroupHead>(name, text);
    else if (kind === "series") stateOf(groupKey).series.set(md5, parsePiece<SeriesState>(name, text));
    else if (kind === "pending") {
      const point = parsePiece<PendingPoint>(name, text);
      addPending(stateOf(groupKey), point);
      markSeen(stateOf(groupKey), point.time, point.md5);
    }
  }
  return states;
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
