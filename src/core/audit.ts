/**
 * The audit trail of one instance: its birth line, then a line per step, chained by hashes.
 *
 * A line is `<hash> <json>`; hash = sha256(hash of the line before + json), base64url; the birth line has nothing before it. The checkpoint
 * keeps the hash of the last line, so a missing tail is found too. What is derived (observation, counterfactual, sentence) is not
 * stored: it is made when an entry is read, from the event that the line holds.
 */
import type { Alert } from "./alert.ts";
import type { InstanceKind } from "./checkpoint.ts";
import { type Counterfactual, evaluateConvergence, type VerdictKind } from "./convergence.ts";
import type { ConvergenceFunction, Observation } from "./convergence-types.ts";
import { sha256 } from "./digest.ts";
import { BecalmError } from "./errors.ts";
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

/** Hash and text of the line that follows the line with hash `previous` (birth: the empty text). */
export function chain(previous: string, json: string): { hash: string; line: string } {
  const hash = sha256(previous + json, "base64url");
  return { hash, line: `${hash} ${json}` };
}

export function encodeBirth(birth: Birth): string {
  return JSON.stringify({
    kind: birth.kind === "action" ? undefined : birth.kind,
    policy: birth.policy,
    policyVersion: birth.policyVersion,
    group: birth.group ?? undefined,
    createdAtMs: birth.createdAtMs,
    alert: birth.alert ?? undefined,
    notice: birth.notice ?? undefined,
  });
}

export function encodeEntry(body: EntryBody): string {
  const { atMs: _, ...event } = body.event;
  return JSON.stringify({
    version: body.version,
    atMs: body.atMs,
    event,
    path: body.path.join(">"),
    verdict: body.verdict ?? undefined,
    reason: body.reason,
    epoch: body.epoch ?? undefined,
    checkpoint: body.checkpoint,
  });
}

/** Reads an instance's history. Throws BECALM_HISTORY_BROKEN when a line cannot be read; hashes are checked by `verifyChain`, not here. */
export function decodeHistory(instance: string, lines: readonly string[], policy: Policy): History {
  const birthLine = split(instance, lines, 0);
  const birth = decodeBirth(birthLine.json);
  const fn = birth.group === null ? null : (policy.converge?.function ?? null);
  let previousHash = birthLine.hash;
  const entries = lines.slice(1).map((_, index) => {
    const { hash, json } = split(instance, lines, index + 1);
    const entry = readEntry(instance, json, { fn, previousHash, hash, birth });
    previousHash = hash;
    return entry;
  });
  return { instance, policy, birth, birthHash: birthLine.hash, entries };
}

/** The birth of an instance, from the first line of its history. */
export function birthOf(instance: string, lines: readonly string[]): Birth {
  return decodeBirth(split(instance, lines, 0).json);
}

function decodeBirth(json: Record<string, unknown>): Birth {
  const stored = json as Partial<Birth> & Pick<Birth, "policy" | "policyVersion" | "createdAtMs">;
  return {
    kind: stored.kind ?? "action",
    policy: stored.policy,
    policyVersion: stored.policyVersion,
    group: stored.group ?? null,
    createdAtMs: stored.createdAtMs,
    alert: stored.alert ?? null,
    notice: stored.notice ?? null,
  };
}

type Context = { fn: ConvergenceFunction | null; previousHash: string; hash: string; birth: Birth };

function readEntry(instance: string, json: Record<string, unknown>, { fn, previousHash, hash, birth }: Context): AuditEntry {
  const body = json as unknown as Omit<EntryBody, "path" | "event"> & { path: string; event: Record<string, unknown> };
  const event = { ...body.event, atMs: body.atMs } as unknown as StoredEvent;
  const view = "group" in event ? event.group : null;
  return {
    instance,
    version: body.version,
    atMs: body.atMs,
    event,
    path: body.path.split(">") as InstanceState[],
    verdict: body.verdict ?? null,
    reason: body.reason,
    epoch: body.epoch ?? null,
    checkpoint: body.checkpoint,
    observation: view?.observation ?? null,
    count: view?.count ?? null,
    peers: view?.peers ?? [],
    ruleVersion: view?.ruleVersion ?? birth.policyVersion,
    counterfactual: view === null || fn === null ? null : evaluateConvergence({ function: fn, count: view.count }, view.observation).counterfactual,
    actor: "by" in event && event.by !== undefined ? event.by : ENGINE_ACTOR,
    previousHash,
    hash,
  };
}

function split(instance: string, lines: readonly string[], index: number): { hash: string; json: Record<string, unknown> } {
  const line = lines[index] ?? "";
  const separator = line.indexOf(" ");
  try {
    return { hash: line.slice(0, separator), json: JSON.parse(line.slice(separator + 1)) as Record<string, unknown> };
  } catch (cause) {
    throw new BecalmError("BECALM_HISTORY_BROKEN", `Line ${index + 1} of the history of ${instance} cannot be read. Restore it from a backup.`, {
      cause,
      details: { instance, line: index + 1 },
    });
  }
}

export type ChainFault = { readonly line: number; readonly what: string };

/**
 * Checks an instance's chain against the head that its checkpoint keeps.
 * @returns the first fault, or null. A trail that was rewritten from its first line on together with its checkpoint cannot be found (docs/guarantees.md).
 */
export function verifyChain(lines: readonly string[], head: string): ChainFault | null {
  let previous = "";
  for (const [index, line] of lines.entries()) {
    const separator = line.indexOf(" ");
    const hash = line.slice(0, separator);
    if (sha256(previous + line.slice(separator + 1), "base64url") !== hash) {
      return { line: index + 1, what: "was changed, or the line before it was removed, added or moved" };
    }
    previous = hash;
  }
  return previous === head ? null : { line: lines.length, what: "is not the last line that the checkpoint knows: lines after it are missing, or were added" };
}
