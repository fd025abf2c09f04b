/** All checkers. Each is linear in what was recorded. */
import { acceptedOnce } from "./accepted-once.ts";
import { acknowledged } from "./acknowledged.ts";
import { answeredInTime, enoughHappened, fewLines } from "./answered.ts";
import { auditorFinds } from "./auditor.ts";
import { limitsKept } from "./limits-kept.ts";
import { nothingOutlives } from "./nothing-outlives.ts";
import { nothingStuck } from "./nothing-stuck.ts";
import { pausesHold } from "./pauses-hold.ts";
import type { Recording, Violation } from "./recording.ts";
import { replayed } from "./replayed.ts";
import { summariesSent } from "./summaries-sent.ts";
import { timersInTime } from "./timers-in-time.ts";
import { type Evidence, evidenceOf } from "./trails.ts";
import { waitersReleased } from "./waiters-released.ts";
import { wholeChain } from "./whole-chain.ts";

export const CHECKERS: Readonly<Record<string, (evidence: Evidence) => Violation[]>> = {
  wholeChain,
  replayed,
  acknowledged,
  acceptedOnce,
  timersInTime,
  limitsKept,
  pausesHold,
  waitersReleased,
  summariesSent,
  nothingStuck,
  nothingOutlives,
  answeredInTime,
  fewLines,
  enoughHappened,
  auditorFinds,
};

export function violationsOf(recording: Recording): Violation[] {
  const evidence = evidenceOf(recording);
  return Object.values(CHECKERS).flatMap((checker) => checker(evidence));
}
