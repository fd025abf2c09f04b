/**
 * The audit trail of one instance: its birth line, then a line per step, chained by hashes.
 *
 * How lines are written and hashed stands in history-lines.ts. What is derived (observation, counterfactual, sentence) is not stored: it is
 * made when an entry is read, from the event that the line holds.
 */
import type { Alert } from "./alert.ts";
import type { InstanceKind } from "./checkpoint.ts";
import { type Counterfactual, evaluateConvergence, type VerdictKind } from "./convergence.ts";
import type { Observation } from "./convergence-types.ts";
import { chainHash, decodeBirth, decodeEntry, parseLine, splitLine } from "./history-lines.ts";
import type { InstanceEvent, InstanceState } from "./instance.ts";
import type { Policy } from "./policy.ts";
import type { ReasonCode } from "./reasons.ts";

/** Who acts when no person and no program does. */
export const ENGINE_ACTOR = "becalm";

/** What an instance was made of. The alert is stored once, here. */
export type Birth = {
  readonly kind: InstanceKind;
  readonly policy: string;
  readonly policyVersion: string;
  readonly group: string | null;
  readonly createdAtMs: number;
  readonly alert: Alert | null;
  /** Only of a summary or an approval request. */
  readonly notice: Notice | null;
};

export type Notice =
  | { readonly kind: "summary"; readonly group: string; readonly opener: string; readonly skipped: number; readonly sample: readonly string[]; readonly openedAtMs: number; readonly endsAtMs: number }
  | { readonly kind: "approval-request"; readonly group: string | null; readonly instance: string; readonly dueAtMs: number };

/** An event as a line stores it: the entry's `atMs` is not written twice. `lock.busy` is the engine's own: the instance stays Idle. */
export type StoredEvent = InstanceEvent | { readonly type: "lock.busy"; readonly atMs: number; readonly dueAtMs: number; readonly arm: number };

export type EntryBody = {
  readonly version: number;
  readonly atMs: number;
  readonly event: StoredEvent;
  readonly path: readonly InstanceState[];
  readonly verdict: VerdictKind | null;
  readonly reason: ReasonCode;
  /** The formation of the group that this step placed the instance into; null: it stayed where it was. */
  readonly epoch: number | null;
  /** sha256 of the checkpoint's body that this step led to, base64url. */
  readonly checkpoint: string;
};

/** An audit entry as it is read. */
export type AuditEntry = EntryBody & {
  readonly instance: string;
  readonly observation: Observation | null;
  /** The threshold that was compared with. */
  readonly count: number | null;
  readonly peers: readonly string[];
  readonly ruleVersion: string;
  readonly counterfactual: Counterfactual | null;
  readonly actor: string;
  readonly previousHash: string;
  readonly hash: string;
};

/** Everything about one instance, self-contained: `policy` is the version that it was made under. */
export type History = {
  readonly instance: string;
  readonly policy: Policy;
  readonly birth: Birth;
  readonly birthHash: string;
  readonly entries: readonly AuditEntry[];
};

/** Reads an instance's history. Throws BECALM_HISTORY_BROKEN when a line cannot be read; hashes are checked by `verifyChain`, not here. */
export function decodeHistory(instance: string, lines: readonly string[], policy: Policy): History {
  const birth = birthOf(instance, lines);
  const birthHash = chainHash("", lines[0] ?? "");
  let previousHash = birthHash;
  const entries = lines.slice(1).map((line, index) => {
    const body = decodeEntry(parseLine(instance, lines, index + 1));
    const hash = chainHash(previousHash, splitLine(line).json);
    const entry: AuditEntry = { ...body, ...derived(body, birth, policy), instance, previousHash, hash };
    previousHash = hash;
    return entry;
  });
  return { instance, policy, birth, birthHash, entries };
}

/** The birth of an instance, from the first line of its history. */
export function birthOf(instance: string, lines: readonly string[]): Birth {
  return decodeBirth(parseLine(instance, lines, 0));
}

/** What is made of an entry's event when it is read. */
function derived({ event }: EntryBody, birth: Birth, policy: Policy) {
  const view = "group" in event ? event.group : null;
  const fn = birth.group === null ? undefined : policy.converge?.function;
  return {
    observation: view?.observation ?? null,
    count: view?.count ?? null,
    peers: view?.peers ?? [],
    ruleVersion: view?.ruleVersion ?? birth.policyVersion,
    counterfactual: view === null || fn === undefined ? null : evaluateConvergence({ function: fn, count: view.count }, view.observation).counterfactual,
    actor: "by" in event && event.by !== undefined ? event.by : ENGINE_ACTOR,
  };
}

/** `line`: number of the line, from 1, that is not what the trail says it should be. */
export type ChainFault = { readonly line: number; readonly what: string };

/**
 * Checks an instance's chain against the head that its checkpoint keeps.
 * @returns the first fault, or null. A trail that was rewritten from its first line on together with its checkpoint cannot be found (docs/guarantees.md).
 */
export function verifyChain(lines: readonly string[], head: string): ChainFault | null {
  if (lines.length === 0) return { line: 1, what: "is missing: the instance has no history" };
  let hash = "";
  for (const [index, line] of lines.entries()) {
    const { previous, json } = splitLine(line);
    const isBound = index >= 2;
    if (isBound && previous !== hash) return { line: index, what: "was changed, or a line was removed, added or moved here" };
    if (!isBound && previous !== null) return { line: index + 1, what: "stands where another line should: lines before it were removed" };
    hash = chainHash(hash, json);
  }
  return hash === head ? null : { line: lines.length, what: "does not lead to the checkpoint: it was changed, or lines after it are missing or were added" };
}
