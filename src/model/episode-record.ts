/**
 * The stored record of an alert's episodes under one policy, and what a receipt makes of it.
 *
 * Live, the record is the last episode. A virtual namespace keeps all of them, each with the positions of its first
 * receipt and of its end: when a file is run again, every receipt finds the episode that it made or joined the first
 * time, and changes nothing.
 */
import { type Episode, type LeaseGrace, type Reception, receive } from "./episode.ts";
import { decodeEpisode, encodeEpisode, unreadable } from "./episode-codec.ts";
import type { ReceiptTimes } from "./receipt.ts";

/**
 * Where in a virtual run a receipt stands: the time of its line, the line among those of the same time, its place in
 * the line.
 */
export type Position = { readonly atMs: number; readonly turn: number; readonly index: number };

/** After every receipt of a moment: a lease that ends then ends after them. */
const LAST_TURN = Number.MAX_SAFE_INTEGER;

export type Recorded = {
  readonly reception: Reception;
  /** The record that has to be written; null: it stays as it is. */
  readonly record: string | null;
};

/** `position`: in virtual time; null: live. */
export type ReceiveOptions = { readonly position: Position | null; readonly grace: LeaseGrace };

/**
 * What a receipt does to an alert whose record is `record`, null if there is none.
 * @throws BECALM_EPISODE_UNREADABLE
 */
export function receiveRecorded(
  record: string | null,
  receipt: ReceiptTimes,
  { position, grace }: ReceiveOptions,
): Recorded {
  if (position !== null) return receiveAt(decodeSpans(record), receipt, position);
  const reception = receive(record === null ? null : decodeEpisode(record), receipt, grace);
  const changed = changedBy(reception);
  return { reception, record: changed === null ? null : encodeEpisode(changed) };
}

/** The last episode of a record, as it was recorded. */
export function lastEpisode(record: string): Episode {
  const last = record.slice(record.lastIndexOf(" ") + 1);
  const at = last.indexOf("@");
  return decodeEpisode(at < 0 ? last : last.slice(0, at));
}

/** The record whose last episode has become `ended`; `position`: of the end, in a virtual namespace. */
export function endLast(record: string, ended: Episode, position: Position | null): string {
  if (position === null) return encodeEpisode(ended);
  const spans = decodeSpans(record);
  const last = spans.at(-1);
  if (last === undefined) throw unreadable(record);
  return encodeSpans([...spans.slice(0, -1), { ...last, episode: ended, to: position }]);
}

/** The position of a lease's end. */
export function leaseEndPosition(atMs: number): Position {
  return { atMs, turn: LAST_TURN, index: 0 };
}

function changedBy(reception: Reception): Episode | null {
  switch (reception.kind) {
    case "begins":
    case "ends":
      return reception.episode;
    case "goes_on":
      return reception.renewed;
    case "late":
    case "nothing_open":
      return null;
  }
}

/** An episode in virtual time. `to` null: it has not ended. */
type Span = { readonly episode: Episode; readonly from: Position; readonly to: Position | null };

function receiveAt(spans: readonly Span[], receipt: ReceiptTimes, position: Position): Recorded {
  const index = spans.findLastIndex(({ from }) => comparePositions(from, position) <= 0);
  const span = spans[index];
  if (span !== undefined && span.to !== null && comparePositions(position, span.to) <= 0)
    return { reception: repeated(span.episode, receipt), record: null };
  const reception = receive(span?.episode ?? null, receipt);
  const changed = spansAfter(spans.slice(0, index + 1), reception, position);
  return { reception, record: changed === null ? null : encodeSpans([...changed, ...spans.slice(index + 1)]) };
}

/** A receipt of an episode that has ended since: it finds the episode as it was, and changes nothing. */
function repeated(episode: Episode, receipt: ReceiptTimes): Reception {
  const open = { ...episode, leaseUntilMs: null, lastReceiptAtMs: receipt.receivedAtMs, end: null };
  const { kind } = receive(open, receipt);
  return kind === "ends" || kind === "late" ? { kind, episode } : { kind: "goes_on", episode, renewed: null };
}

/** `until`: the spans up to the one that the receipt concerns. */
function spansAfter(until: readonly Span[], reception: Reception, position: Position): readonly Span[] | null {
  const before = until.slice(0, -1);
  const last = until.at(-1);
  switch (reception.kind) {
    case "begins": {
      const { episode, ended } = reception;
      const begun = { episode, from: position, to: null };
      if (last === undefined || ended?.end == null) return [...until, begun];
      const to = ended.end.reason === "lease_over" ? leaseEndPosition(ended.end.atMs) : position;
      return [...before, { ...last, episode: ended, to }, begun];
    }
    case "ends":
      return last === undefined ? null : [...before, { ...last, episode: reception.episode, to: position }];
    case "goes_on":
      if (last === undefined || reception.renewed === null) return null;
      return [...before, { ...last, episode: reception.renewed }];
    case "late":
    case "nothing_open":
      return null;
  }
}

function comparePositions(a: Position, b: Position): number {
  return a.atMs - b.atMs || a.turn - b.turn || a.index - b.index;
}

function encodeSpans(spans: readonly Span[]): string {
  return spans
    .map(({ episode, from, to }) => {
      const begun = `${encodeEpisode(episode)}@${encodePosition(from)}`;
      return to === null ? begun : `${begun}~${encodePosition(to)}`;
    })
    .join(" ");
}

function decodeSpans(record: string | null): Span[] {
  return record === null ? [] : record.split(" ").map((text) => decodeSpan(text));
}

function decodeSpan(text: string): Span {
  const [episode = "", positions = ""] = text.split("@");
  const [from = "", to] = positions.split("~");
  return {
    episode: decodeEpisode(episode),
    from: decodePosition(from, text),
    to: to === undefined ? null : decodePosition(to, text),
  };
}

function encodePosition({ atMs, turn, index }: Position): string {
  return `${atMs.toString(36)}.${turn.toString(36)}.${index.toString(36)}`;
}

function decodePosition(position: string, text: string): Position {
  const [atMs, turn, index] = position.split(".").map((part) => Number.parseInt(part, 36));
  if (!isWhole(atMs) || !isWhole(turn) || !isWhole(index)) throw unreadable(text);
  return { atMs, turn, index };
}

function isWhole(value: number | undefined): value is number {
  return Number.isSafeInteger(value);
}
