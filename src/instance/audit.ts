/**
 * The audit trail of one instance: its birth line, then a line per step, chained by hashes.
 *
 * How lines are written and hashed is in history-lines.ts. What is derived (observation, counterfactual, sentence) is
 * not stored: it is made when an entry is read, from the event that the line holds.
 */

import { evaluateConvergence } from "../convergence/convergence.ts";
import { BecalmError } from "../model/errors.ts";
import type { Policy } from "../policy/policy.ts";
import { type AuditEntry, type Birth, ENGINE_ACTOR, type EntryBody, type History } from "./audit-types.ts";
import { chainHash, decodeBirth, decodeEntry, parseLine, splitLine } from "./history-lines.ts";

/**
 * Reads an instance's history. Throws BECALM_HISTORY_BROKEN when a line cannot be read; hashes are checked by
 * `verifyChain`, not here.
 */
export function decodeHistory(instance: string, lines: readonly string[], policy: Policy): History {
  const birth = birthOf(instance, lines);
  const birthHash = chainHash("", lines[0] ?? "");
  let previousHash = birthHash;
  const entries = lines.slice(1).map((line, index) => {
    const body = decodeEntry(parseLine(instance, lines, index + 1), { id: instance, createdAtMs: birth.createdAtMs });
    const hash = chainHash(previousHash, splitLine(line).json);
    const entry: AuditEntry = { ...body, ...derived(body, birth, policy), instance, previousHash, hash };
    previousHash = hash;
    return entry;
  });
  return { instance, policy, birth, birthHash, entries };
}

/** The steps of a history and nothing that is made of them when they are read: what it takes to step them again. */
export function decodeSteps(instance: string, lines: readonly string[], { createdAtMs }: Birth): EntryBody[] {
  return lines
    .slice(1)
    .map((_, index) => decodeEntry(parseLine(instance, lines, index + 1), { id: instance, createdAtMs }));
}

/** The birth of an instance, from the first line of its history. */
export function birthOf(instance: string, lines: readonly string[]): Birth {
  return decodeBirth(parseLine(instance, lines, 0));
}

/** The process that decided the last step; undefined: it is not recorded. */
export function lastProcess(instance: string, lines: readonly string[]): string | undefined {
  const { process } = parseLine(instance, lines, lines.length - 1);
  return typeof process === "string" ? process : undefined;
}

/** The processes that decided its steps, as far as its lines can be read. */
export function processesOf(lines: readonly string[]): ReadonlySet<string> {
  const ids = new Set<string>();
  for (const index of lines.keys()) {
    const process = tryProcess(lines, index);
    if (typeof process === "string") ids.add(process);
  }
  return ids;
}

function tryProcess(lines: readonly string[], index: number): unknown {
  try {
    return parseLine("", lines, index)["process"];
  } catch (error) {
    if (error instanceof BecalmError) return undefined;
    throw error;
  }
}

/** Says the last line of a history that an attempt which is still under way was interrupted, or begun again? */
export function endsWithNote(instance: string, lines: readonly string[]): boolean {
  const event = parseLine(instance, lines, lines.length - 1)["event"];
  return typeof event === "object" && event !== null && "process" in event;
}

/** What is made of an entry's event when it is read. */
function derived({ event }: EntryBody, birth: Birth, policy: Policy) {
  const view = "group" in event ? event.group : null;
  // A human decided a grant or a "run anyway": no rule could have decided otherwise.
  const isByRule = event.type === "peers.settled" || (event.type === "start" && event.approved !== true);
  const fn = birth.group === null || !isByRule ? undefined : policy.converge?.function;
  return {
    policy: birth.policy,
    observation: view?.observation ?? null,
    count: view?.count ?? null,
    peers: view?.peers ?? [],
    ruleVersion: view?.ruleVersion ?? birth.policyVersion,
    counterfactual:
      view === null || fn === undefined
        ? null
        : evaluateConvergence({ function: fn, count: view.count }, view.observation).counterfactual,
    actor: "by" in event && event.by !== undefined ? event.by : ENGINE_ACTOR,
  };
}

/** `line`: number of the line, from 1, that is not what the trail says it should be. */
export type ChainFault = { readonly line: number; readonly what: string };

/**
 * Checks an instance's chain against the head that its checkpoint keeps.
 * @param birthHash hash of the first line, if that line is shown redacted and does not give it any longer
 * @returns the first fault, or null. A trail that was rewritten from its first line on together with its checkpoint
 * cannot be found (docs/guarantees.md).
 */
export function verifyChain(
  lines: readonly string[],
  head: string,
  birthHash: string | null = null,
): ChainFault | null {
  if (lines.length === 0) return { line: 1, what: "is missing: the instance has no history" };
  let hash = "";
  for (const [index, line] of lines.entries()) {
    if (index === 0 && birthHash !== null) {
      hash = birthHash;
      continue;
    }
    const { previous, json } = splitLine(line);
    const isBound = index >= 2;
    if (isBound && previous !== hash)
      return { line: index, what: "was changed, or a line was removed, added or moved here" };
    if (!isBound && previous !== null)
      return { line: index + 1, what: "is in the place of another line: lines before it were removed" };
    hash = chainHash(hash, json);
  }
  return hash === head
    ? null
    : {
        line: lines.length,
        what: "does not lead to the checkpoint: it was changed, or lines after it are missing or were added",
      };
}
