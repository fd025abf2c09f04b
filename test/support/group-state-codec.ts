import type { GroupHead, GroupState, SeriesState } from "../../src/detection/core/group-state.ts";
import { emptyGroupState } from "../../src/detection/core/group-state.ts";
import { pointsOf } from "../../src/detection/core/point-list.ts";
import { BecalmError } from "../../src/model/errors.ts";

/** Rises when the stored form changes; a greater one than this is refused. */
export const GROUP_STATE_FORMAT = 1;

/** A group's state as plain JSON data. */
export type StoredGroupState = {
  readonly format: number;
  readonly head: GroupHead;
  readonly seen: readonly (readonly [time: number, md5s: readonly string[]])[];
  readonly series: readonly (readonly [md5: string, series: SeriesState])[];
};

/** The state as plain data, sorted, so that equal states have equal texts. */
export function encodeGroupState(state: GroupState): StoredGroupState {
  return {
    format: GROUP_STATE_FORMAT,
    head: state.head,
    seen: [...state.seen].sort(([a], [b]) => a - b).map(([time, md5s]) => [time, [...md5s].sort()]),
    series: [...state.series].sort(([a], [b]) => (a < b ? -1 : 1)),
  };
}

/**
 * The state from what `encodeGroupState` gave. Throws BECALM_CHECKPOINT_NEWER for a greater format and
 * BECALM_CHECKPOINT_INVALID for anything that is not such a state: detection must not start afresh on its own, it would
 * send alerts again.
 */
export function decodeGroupState(stored: unknown): GroupState {
  const { format, head, seen, series } = asStored(stored);
  if (format > GROUP_STATE_FORMAT) {
    throw new BecalmError(
      "BECALM_CHECKPOINT_NEWER",
      `The stored detection state has format ${format}, this version reads up to ${GROUP_STATE_FORMAT}; run the newer version of Becalm.`,
    );
  }
  const state = emptyGroupState();
  state.head = head;
  for (const [time, md5s] of seen) {
    state.seen.set(time, new Set(md5s));
    state.seenCount += md5s.length;
  }
  for (const [md5, one] of series) {
    state.series.set(md5, one);
    state.pendingCount += pointsOf(one.pending).length;
  }
  return state;
}

function asStored(stored: unknown): StoredGroupState {
  const candidate = stored as Partial<StoredGroupState> | null;
  const isWhole =
    typeof candidate === "object" &&
    candidate !== null &&
    typeof candidate.format === "number" &&
    typeof candidate.head === "object" &&
    candidate.head !== null &&
    [candidate.seen, candidate.series].every(Array.isArray);
  if (isWhole) return candidate as StoredGroupState;
  throw new BecalmError(
    "BECALM_CHECKPOINT_INVALID",
    "The stored detection state cannot be read: format, head, seen or series is missing; remove it to start afresh (open alerts are then sent again).",
  );
}
