/**
 * The text form of an episode: `<state><start>.<sent>.<a>.<b>`, numbers in base 36 and but for the start relative to
 * it, zero left out.
 *
 * Open (`o`): a is the last receipt, b the lease's end (`-`: none). Ended (`a`, `l` or `x`, by its reason): a is the
 * end, b its receipt. An ended episode keeps no lease: nothing asks for it any longer. There is one such text an alert,
 * so it is kept short.
 */
import type { Ending, Episode } from "./episode.ts";
import { BecalmError } from "./errors.ts";
import type { EpisodeEnd } from "./instance-types.ts";

const OPEN = "o";
const NO_LEASE = "-";
const ENDED: Readonly<Record<EpisodeEnd, string>> = { alert_resolved: "a", lease_over: "l", resolve_lost: "x" };
const REASONS: Readonly<Record<string, EpisodeEnd>> = { a: "alert_resolved", l: "lease_over", x: "resolve_lost" };
const NUMBER = /^-?[0-9a-z]{0,11}$/;

export function encodeEpisode(episode: Episode): string {
  if (episode.end !== null) return encodeEnded(episode, episode.end);
  if (!isSameOpen(episode, last.episode)) last = { episode, text: encodeOpen(episode) };
  return last.text;
}

function encodeOpen({ startMs, sentStartMs, leaseUntilMs, lastReceiptAtMs }: Episode): string {
  const lease = leaseUntilMs === null ? NO_LEASE : offset(leaseUntilMs, startMs);
  return `${OPEN}${startMs.toString(36)}.${offset(sentStartMs, startMs)}.${offset(lastReceiptAtMs, startMs)}.${lease}`;
}

function encodeEnded({ startMs, sentStartMs }: Episode, { reason, atMs, receivedAtMs }: Ending): string {
  const sent = offset(sentStartMs, startMs);
  return `${ENDED[reason]}${startMs.toString(36)}.${sent}.${offset(atMs, startMs)}.${offset(receivedAtMs, startMs)}`;
}

const NEVER: Episode = { startMs: 0, sentStartMs: 0, leaseUntilMs: null, lastReceiptAtMs: 0, end: null };

/** Alerts that one evaluation of a rule brought, in one request, have equal episodes: they share one text. */
let last = { episode: NEVER, text: encodeOpen(NEVER) };

function isSameOpen(a: Episode, b: Episode): boolean {
  return (
    a.startMs === b.startMs &&
    a.sentStartMs === b.sentStartMs &&
    a.leaseUntilMs === b.leaseUntilMs &&
    a.lastReceiptAtMs === b.lastReceiptAtMs
  );
}

function offset(atMs: number, startMs: number): string {
  return atMs === startMs ? "" : (atMs - startMs).toString(36);
}

/** @throws BECALM_EPISODE_UNREADABLE */
export function decodeEpisode(text: string): Episode {
  const parts = text.slice(1).split(".");
  const [start = "", sent = "", a = "", b = ""] = parts;
  if (parts.length !== 4 || start === "") throw unreadable(text);
  const startMs = numberIn(text, start);
  const at = (part: string) => startMs + numberIn(text, part);
  const sentStartMs = at(sent);
  if (text.startsWith(OPEN)) {
    const leaseUntilMs = b === NO_LEASE ? null : at(b);
    return { startMs, sentStartMs, leaseUntilMs, lastReceiptAtMs: at(a), end: null };
  }
  const reason = REASONS[text.slice(0, 1)];
  if (reason === undefined) throw unreadable(text);
  const end = { reason, atMs: at(a), receivedAtMs: at(b) };
  return { startMs, sentStartMs, leaseUntilMs: null, lastReceiptAtMs: end.receivedAtMs, end };
}

function numberIn(text: string, part: string): number {
  const value = part === "" ? 0 : Number.parseInt(part, 36);
  if (!NUMBER.test(part) || !Number.isSafeInteger(value)) throw unreadable(text);
  return value;
}

export function unreadable(text: string): BecalmError {
  return new BecalmError(
    "BECALM_EPISODE_UNREADABLE",
    `The record of an alert's episode cannot be read: ${JSON.stringify(text.slice(0, 200))}. Its alert is refused and nothing is written; repair the record or remove it.`,
    { details: { record: text.slice(0, 200) } },
  );
}
