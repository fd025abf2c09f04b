/**
 * The text form of a history: its birth line, then a line per step, chained by hashes.
 *
 * hash(birth) = sha256(json); hash(step) = sha256(hash before + json), both base64url. The checkpoint keeps the hash of the last line, so a
 * missing tail is found. A line from the third on begins with the hash of the line before it, so that a change can be placed; the
 * first step needs none, for there is only the birth before it. In a storm most instances have one step: they store no hash but the head.
 * Defaults are left out: a line is kept for days, and there is one a step.
 */
import type { Alert } from "./alert.ts";
import type { Birth, EntryBody, StoredEvent } from "./audit-types.ts";
import type { Observation } from "./convergence-types.ts";
import { sha256 } from "./digest.ts";
import { BecalmError } from "./errors.ts";
import type { GroupView, InstanceState } from "./instance.ts";

/** Hash of the line that follows the line with hash `previous` (birth: the empty text). */
export function chainHash(previous: string, json: string): string {
  return sha256(previous + json, "base64url");
}

/** The stored line of a step. `previous` is the hash of the line before; `isFirst`: that line is the birth. */
export function stepLine(json: string, { previous, isFirst }: { previous: string; isFirst: boolean }): string {
  return isFirst ? json : `${previous} ${json}`;
}

export function encodeBirth(birth: Birth): string {
  return JSON.stringify({
    kind: birth.kind === "action" ? undefined : birth.kind,
    policy: birth.policy,
    policyVersion: birth.policyVersion,
    group: birth.group ?? undefined,
    createdAtMs: birth.createdAtMs,
    alert: birth.alert === null ? undefined : storedAlert(birth.alert),
    notice: birth.notice ?? undefined,
  });
}

/** Labels in order of their names: the same episode gives the same bytes whatever brought it. */
function storedAlert(alert: Alert): Record<string, unknown> {
  return {
    labels: alert.labels,
    annotations: isEmpty(alert.annotations) ? undefined : alert.annotations,
    startsAtMs: alert.startsAtMs,
    endsAtMs: alert.endsAtMs ?? undefined,
    generatorURL: alert.generatorURL ?? undefined,
    fingerprint: alert.fingerprint,
  };
}

export function encodeEntry(body: EntryBody): string {
  return JSON.stringify({
    version: body.version,
    atMs: body.atMs,
    event: storedEvent(body.event),
    path: body.path.join(">"),
    verdict: body.verdict ?? undefined,
    reason: body.reason,
    epoch: body.epoch ?? undefined,
    checkpoint: body.checkpoint,
  });
}

function storedEvent(event: StoredEvent): Record<string, unknown> {
  const { atMs: _, ...rest } = event;
  if (!("group" in rest)) return rest;
  return {
    ...rest,
    group: rest.group === null ? undefined : storedView(rest.group),
    silence: "silence" in rest ? (rest.silence ?? undefined) : undefined,
  };
}

function storedView({ observation, count, peers, ruleVersion }: GroupView): Record<string, unknown> {
  const view: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(observation)) if (value !== 0 && value !== false) view[name] = value;
  return { ...view, count, peers: peers.length === 0 ? undefined : peers, ruleVersion };
}

export type Line = { readonly previous: string | null; readonly json: string };

/** Splits a stored line into the hash that it begins with, if any, and its JSON. */
export function splitLine(line: string): Line {
  if (line.startsWith("{")) return { previous: null, json: line };
  const separator = line.indexOf(" ");
  return { previous: line.slice(0, Math.max(separator, 0)), json: line.slice(separator + 1) };
}

/** Throws BECALM_HISTORY_BROKEN when the line is no JSON object. */
export function parseLine(instance: string, lines: readonly string[], index: number): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(splitLine(lines[index] ?? "").json);
    if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  } catch {
    // Said below, with the line's number.
  }
  throw new BecalmError(
    "BECALM_HISTORY_BROKEN",
    `Line ${index + 1} of the history of ${instance} cannot be read. Restore it from a backup.`,
    {
      details: { instance, line: index + 1 },
    },
  );
}

export function decodeBirth(json: Record<string, unknown>): Birth {
  const stored = json as Partial<Omit<Birth, "alert">> &
    Pick<Birth, "policy" | "policyVersion" | "createdAtMs"> & { alert?: Partial<Alert> };
  return {
    kind: stored.kind ?? "action",
    policy: stored.policy,
    policyVersion: stored.policyVersion,
    group: stored.group ?? null,
    createdAtMs: stored.createdAtMs,
    alert:
      stored.alert === undefined
        ? null
        : {
            annotations: {},
            endsAtMs: null,
            generatorURL: null,
            status: "firing",
            ...(stored.alert as Pick<Alert, "labels" | "startsAtMs" | "fingerprint">),
          },
    notice: stored.notice ?? null,
  };
}

export function decodeEntry(json: Record<string, unknown>): EntryBody {
  const stored = json as unknown as Partial<EntryBody> & Pick<EntryBody, "version" | "atMs" | "reason" | "checkpoint">;
  return {
    version: stored.version,
    atMs: stored.atMs,
    event: decodeEvent(json["event"] as Record<string, unknown>, stored.atMs),
    path: String(json["path"]).split(">") as InstanceState[],
    verdict: stored.verdict ?? null,
    reason: stored.reason,
    epoch: stored.epoch ?? null,
    checkpoint: stored.checkpoint,
  };
}

/** Events whose guards look at the group; the defaults that were left out are put back. */
const LOOKING: ReadonlySet<unknown> = new Set(["start", "approval.granted", "peers.settled"]);

function decodeEvent(stored: Record<string, unknown>, atMs: number): StoredEvent {
  if (!LOOKING.has(stored["type"])) return { ...stored, atMs } as unknown as StoredEvent;
  const group = stored["group"] === undefined ? null : decodeView(stored["group"] as Record<string, unknown>);
  const silence = stored["type"] === "peers.settled" ? {} : { silence: stored["silence"] ?? null };
  return { ...stored, ...silence, group, atMs } as unknown as StoredEvent;
}

const NOTHING: Observation = {
  isNew: false,
  executed: 0,
  succeeded: 0,
  failed: 0,
  inProgress: 0,
  settledWithoutFailure: 0,
  parentOpen: false,
};

function decodeView(stored: Record<string, unknown>): GroupView {
  const { count, peers, ruleVersion, ...observed } = stored as Partial<Observation> & {
    count: number;
    peers?: string[];
    ruleVersion?: string;
  };
  return {
    observation: { ...NOTHING, ...observed },
    count,
    peers: peers ?? [],
    ...(ruleVersion === undefined ? {} : { ruleVersion }),
  };
}

function isEmpty(record: object): boolean {
  for (const _ in record) return false;
  return true;
}
