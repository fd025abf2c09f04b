/**
 * The text form of a history: its birth line, then a line per step, chained by hashes.
 *
 * hash(birth) = sha256(json); hash(step) = sha256(hash before + json), both base64url. The checkpoint keeps the hash of
 * the last line, so a missing tail is found. A line from the third on begins with the hash of the line before it, so
 * that a change can be placed; the first step needs none, for there is only the birth before it. In a storm most
 * instances have one step: they store no hash but the head. Defaults are left out: a line is kept for days, and there
 * is one a step.
 */

import type { Alert } from "../model/alert.ts";
import type { Observation } from "../model/convergence-rule.ts";
import { sha256 } from "../model/digest.ts";
import { BecalmError } from "../model/errors.ts";
import { fingerprintOf } from "../model/fingerprint.ts";
import { groupIdFrom, storedGroup } from "../model/ids.ts";
import type { GroupView, InstanceState } from "../model/instance-types.ts";
import { isEmpty } from "../model/is-empty.ts";
import { policyKey } from "../policy/policy-versions.ts";
import type { Birth, EntryBody, StoredEvent } from "./audit-types.ts";
import { usualVerdict } from "./checkpoint.ts";

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
    policy: policyKey({ name: birth.policy, version: birth.policyVersion }),
    group: birth.group === null ? undefined : storedGroup(birth.group, birth.policy),
    createdAtMs: birth.createdAtMs,
    alert: birth.alert === null ? undefined : storedAlert(birth.alert),
    notice: birth.notice ?? undefined,
    observed: birth.observed,
  });
}

/** The labels in the order in which they came first. The fingerprint follows from them. */
function storedAlert(alert: Alert): Record<string, unknown> {
  return {
    labels: alert.labels,
    annotations: isEmpty(alert.annotations) ? undefined : alert.annotations,
    startsAtMs: alert.startsAtMs,
    endsAtMs: alert.endsAtMs ?? undefined,
    generatorURL: alert.generatorURL ?? undefined,
  };
}

/** Whose entry it is: its first version and the time of its birth are defaults, and its peers' ids begin as its own. */
export type EntryOwner = { readonly id: string; readonly createdAtMs: number };

export function encodeEntry(body: EntryBody, owner: EntryOwner): string {
  return JSON.stringify({
    version: body.version === 1 ? undefined : body.version,
    atMs: body.atMs === owner.createdAtMs ? undefined : body.atMs,
    event: storedEvent(body.event, owner),
    path: body.path.join(">"),
    verdict: body.verdict === usualVerdict(body.path.at(-1)) ? undefined : body.verdict,
    reason: body.reason,
    epoch: body.epoch ?? undefined,
    process: body.process,
    checkpoint: body.checkpoint,
  });
}

function storedEvent(event: StoredEvent, owner: EntryOwner): Record<string, unknown> {
  const { atMs: _, ...rest } = event;
  if (!("group" in rest)) return rest;
  return {
    ...rest,
    type: rest.type === "start" ? undefined : rest.type,
    group: rest.group === null ? undefined : storedView(rest.group, owner),
    silence: "silence" in rest ? (rest.silence ?? undefined) : undefined,
  };
}

function storedView({ observation, count, peers, ruleVersion }: GroupView, owner: EntryOwner): Record<string, unknown> {
  const { isNew, executed, succeeded, failed, inProgress, settledWithoutFailure, parentOpen } = observation;
  const partition = owner.id.slice(0, 3);
  return {
    isNew: isNew || undefined,
    executed: executed || undefined,
    succeeded: succeeded || undefined,
    failed: failed || undefined,
    inProgress: inProgress || undefined,
    settledWithoutFailure: settledWithoutFailure || undefined,
    parentOpen: parentOpen || undefined,
    count,
    peers: peers.length === 0 ? undefined : peers.map((peer) => (peer.startsWith(partition) ? peer.slice(2) : peer)),
    ruleVersion,
  };
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
    Pick<Birth, "policy" | "createdAtMs"> & { alert?: Pick<Alert, "labels" | "startsAtMs"> & Partial<Alert> };
  const versionAt = stored.policy.lastIndexOf("@");
  const policy = stored.policy.slice(0, versionAt);
  return {
    kind: stored.kind ?? "action",
    policy,
    policyVersion: stored.policy.slice(versionAt + 1),
    group: stored.group === undefined || stored.group === null ? null : groupIdFrom(stored.group, policy),
    createdAtMs: stored.createdAtMs,
    alert:
      stored.alert === undefined
        ? null
        : {
            annotations: {},
            endsAtMs: null,
            generatorURL: null,
            status: "firing",
            ...stored.alert,
            fingerprint: fingerprintOf(stored.alert.labels),
          },
    notice: stored.notice ?? null,
    ...(stored.observed === true ? { observed: true } : {}),
  };
}

export function decodeEntry(json: Record<string, unknown>, owner: EntryOwner): EntryBody {
  const stored = json as unknown as Partial<EntryBody> & Pick<EntryBody, "reason" | "checkpoint">;
  const atMs = stored.atMs ?? owner.createdAtMs;
  const path = String(json["path"]).split(">") as InstanceState[];
  return {
    version: stored.version ?? 1,
    atMs,
    event: decodeEvent(json["event"] as Record<string, unknown>, { atMs, owner }),
    path,
    verdict: stored.verdict === undefined ? usualVerdict(path.at(-1)) : stored.verdict,
    reason: stored.reason,
    epoch: stored.epoch ?? null,
    checkpoint: stored.checkpoint,
    ...(stored.process === undefined ? {} : { process: stored.process }),
  };
}

/** Events whose guards look at the group; the defaults that were left out are put back. */
const LOOKING: ReadonlySet<unknown> = new Set(["start", "approval.granted", "peers.settled", "reconsider"]);

function decodeEvent(
  stored: Record<string, unknown>,
  { atMs, owner }: { atMs: number; owner: EntryOwner },
): StoredEvent {
  const type = stored["type"] ?? "start";
  if (LOOKING.has(type)) {
    // `stored` was read a moment ago and nobody else has it: filling it in takes half the time of a copy.
    if (type !== "peers.settled") stored["silence"] ??= null;
    stored["type"] = type;
    stored["group"] = stored["group"] === undefined ? null : decodeView(stored["group"] as StoredView, owner);
  }
  stored["atMs"] = atMs;
  return stored as unknown as StoredEvent;
}

type StoredView = Partial<Observation> & {
  readonly count: number;
  readonly peers?: readonly string[];
  readonly ruleVersion?: string;
};

function decodeView(stored: StoredView, { id }: EntryOwner): GroupView {
  const { count, peers = NO_PEERS, ruleVersion } = stored;
  return {
    observation: {
      isNew: stored.isNew ?? false,
      executed: stored.executed ?? 0,
      succeeded: stored.succeeded ?? 0,
      failed: stored.failed ?? 0,
      inProgress: stored.inProgress ?? 0,
      settledWithoutFailure: stored.settledWithoutFailure ?? 0,
      parentOpen: stored.parentOpen ?? false,
    },
    count,
    peers: peers.map((peer) => (peer.startsWith("-") ? id.slice(0, 2) + peer : peer)),
    ...(ruleVersion === undefined ? {} : { ruleVersion }),
  };
}

const NO_PEERS: readonly string[] = [];
