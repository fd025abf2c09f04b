/**
 * The members of a forming group: who counts towards its opening. With a high count there are thousands, and a decision
 * asks for many of them, so the list that was asked last is remembered by what it is asked for. It only grows, or is
 * replaced as a whole.
 */
/** Where an instance stands among its peers. `none`: it is not a peer, for it had no attempt. */
export type Standing = "none" | "inProgress" | "succeeded" | "failed";

/** Never changed: a member that has moved on is another one in its place. */
export type FormingMember = {
  readonly id: string;
  readonly createdAtMs: number;
  readonly standing: Standing;
  readonly hadAttempt: boolean;
  readonly succeededAtMs: number | null;
};

/** Lists up to this are looked through: that is as fast. */
const SHORT_LENGTH = 16;
/** So are lists that are asked so seldom: small batches would make an index for a question or two. */
const FEW_QUESTIONS = 4;

let asked: {
  readonly forming: readonly FormingMember[];
  readonly places: Map<string, number>;
  questions: number;
  oldestMs: number;
  agedCount: number;
} = { forming: [], places: new Map(), questions: 0, oldestMs: Number.POSITIVE_INFINITY, agedCount: 0 };

function remembered(forming: readonly FormingMember[]): typeof asked {
  if (asked.forming !== forming)
    asked = { forming, places: new Map(), questions: 0, oldestMs: Number.POSITIVE_INFINITY, agedCount: 0 };
  return asked;
}

/** Where a member stands; -1: it is none. */
export function placeInForming(forming: readonly FormingMember[], id: string): number {
  const known = remembered(forming);
  known.questions += 1;
  // Most are asked about soon after they came.
  if (forming.length <= SHORT_LENGTH || known.questions <= FEW_QUESTIONS)
    return forming.findLastIndex((member) => member.id === id);
  const { places } = known;
  for (let at = places.size; at < forming.length; at += 1) places.set((forming[at] as FormingMember).id, at);
  return places.get(id) ?? -1;
}

/** When the oldest member was created; Infinity: there is none. */
export function oldestInForming(forming: readonly FormingMember[]): number {
  const known = remembered(forming);
  for (; known.agedCount < forming.length; known.agedCount += 1)
    known.oldestMs = Math.min(known.oldestMs, (forming[known.agedCount] as FormingMember).createdAtMs);
  return known.oldestMs;
}
