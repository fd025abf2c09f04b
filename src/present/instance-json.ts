/** Instances, their histories and entries as JSON for other programs: the rows of `ls --json` and of the HTTP API. */
import type { AuditEntry, History } from "../instance/audit-types.ts";
import type { InstanceSnapshot } from "../instance/instance-snapshot.ts";
import type { InstanceState } from "../model/instance-types.ts";
import { counterfactualText } from "./counterfactual-text.ts";
import { decidedByJson } from "./decided-by.ts";
import { dueAtJson } from "./due-time.ts";
import { sentenceOf } from "./sentences.ts";
import { isoTime } from "./time-text.ts";

export type AlertJson = {
  readonly fingerprint: string;
  readonly startsAt: string;
  readonly labels: Readonly<Record<string, string>>;
};

/** Key order is part of the output. */
export type InstanceRow = {
  readonly id: string;
  readonly kind: string;
  readonly policy: string;
  readonly state: InstanceState;
  readonly verdict: string | null;
  readonly reason: string | null;
  readonly group: string | null;
  readonly attempts: number;
  readonly createdAt: string;
  readonly at: string;
  readonly alert: AlertJson | null;
};

/** `history` null: it cannot be read, so the alert is unknown. */
export function instanceRow(instance: InstanceSnapshot, history: Pick<History, "birth"> | null): InstanceRow {
  const alert = history?.birth.alert ?? null;
  return {
    id: instance.id,
    kind: instance.kind,
    policy: instance.policy,
    state: instance.state,
    verdict: instance.verdict,
    reason: instance.reason,
    group: instance.group,
    attempts: instance.attempt,
    createdAt: isoTime(instance.createdAtMs),
    at: isoTime(instance.atMs),
    alert: alert === null ? null : alertJson(alert),
  };
}

/** By id, what processes were called. */
type Names = ReadonlyMap<string, string>;

/** The row with what a person reads first: why it is where it is. `decidedBy`: its last step. */
export function explainedRow(instance: InstanceSnapshot, history: History | null, names: Names): object {
  // That a human was asked says nothing of why: the step before it does.
  const last = history?.entries.findLast(({ event }) => event.type !== "approval.requested");
  const sentence = history === null || last === undefined ? null : sentenceOf(last, history);
  const decidedBy = decidedByJson(history?.entries.at(-1), names);
  return { ...instanceRow(instance, history), version: instance.version, sentence, decidedBy };
}

function alertJson({ fingerprint, startsAtMs, labels }: NonNullable<History["birth"]["alert"]>): AlertJson {
  return { fingerprint, startsAt: isoTime(startsAtMs), labels };
}

/** All about an instance but its entries. */
export function instanceDetail(instance: InstanceSnapshot, history: History, names: Names): object {
  const { birth } = history;
  return {
    ...explainedRow(instance, history, names),
    path: wholePath(history),
    annotations: birth.alert?.annotations ?? {},
    generatorURL: birth.alert?.generatorURL ?? null,
    notice: birth.notice,
    policyVersion: birth.policyVersion,
    timers: Object.entries(instance.timers).map(([name, { dueAtMs }]) => ({ name, dueAt: dueAtJson(dueAtMs) })),
    auditHead: instance.auditHead,
  };
}

/** Top-level states over an instance's whole life: each entry's path goes on where the one before ended. */
export function wholePath({ entries }: Pick<History, "entries">): InstanceState[] {
  const path: InstanceState[] = [];
  for (const entry of entries) {
    const steps = entry.path[0] === path.at(-1) ? entry.path.slice(1) : entry.path;
    path.push(...steps);
  }
  return path;
}

export function entryJson(entry: AuditEntry, history: History, names: Names): object {
  const otherwise = counterfactualText(entry);
  return {
    version: entry.version,
    at: isoTime(entry.atMs),
    event: entry.event,
    path: entry.path,
    verdict: entry.verdict,
    reason: entry.reason,
    sentence: sentenceOf(entry, history),
    observation: entry.observation,
    count: entry.count,
    peers: entry.peers,
    ruleVersion: entry.ruleVersion,
    counterfactual: otherwise === null ? null : { ...entry.counterfactual, sentence: otherwise },
    actor: entry.actor,
    decidedBy: decidedByJson(entry, names),
    checkpoint: entry.checkpoint,
    previousHash: entry.previousHash,
    hash: entry.hash,
  };
}
