/** What one step makes of an instance, before it is written: next state, audit entry, and both as text. */

import { sha256 } from "../model/digest.ts";
import type { InstanceEvent, ReconsiderEvent } from "../model/instance-types.ts";
import type { ReasonCode } from "../model/reasons.ts";
import type { EngineNote, EntryBody, StoredEvent } from "./audit-types.ts";
import { encodeBody, type Instance } from "./checkpoint.ts";
import { type Explanation, explain } from "./explain.ts";
import { encodeEntry } from "./history-lines.ts";
import { type Step, type StepEffect, step, topLevel } from "./step.ts";

export type Outcome = {
  /** `id` and `head` are those of the instance that was stepped first; whoever writes it puts the right ones. */
  readonly next: Instance;
  /** The checkpoint's body. It names neither the id nor the head, so equal decisions have equal bodies. */
  readonly body: string;
  readonly entry: EntryBody;
  /** The entry as text. */
  readonly json: string;
  readonly effects: readonly StepEffect[];
  /** Skipped by its convergence function: what a summary counts. */
  readonly isConverged: boolean;
};

/**
 * `version`: of the commit; all its steps of an instance lead to the same. `epoch`: the step places it into this
 * formation of the group. `process`: who decides it (EntryBody).
 */
export type StepPlace = {
  readonly epoch: number | null;
  readonly version: number;
  readonly process?: string | undefined;
};

/** Steps an instance. null: its state has no edge for the event. */
export type Outcomes = (instance: Instance, event: InstanceEvent, place: StepPlace) => Outcome | null;

/** Every outcome is computed anew. The same bytes as `rememberedOutcomes`, which is quicker. */
export const plainOutcomes: Outcomes = (instance, event, place) => outcomeOf(instance, event, { ...place, take: step });

/** Steps an instance through the machine, as `take` does it. */
export function outcomeOf(
  instance: Instance,
  event: InstanceEvent,
  place: StepPlace & { readonly take: typeof step },
): Outcome | null {
  const stepped = steppedInstance(instance, event, place);
  return stepped === null ? null : written(stepped, event, place.process);
}

/** The same without the texts that only a commit needs. */
export function steppedInstance(
  instance: Instance,
  event: InstanceEvent,
  { epoch, version, take }: StepPlace & { readonly take: typeof step },
): Stepped | null {
  const taken = take(instance.snapshot, event);
  if (!taken.accepted) return null;
  const explanation = explain(instance, event, taken);
  const isAnew = event.type === "reconsider" && taken.path.includes("Idle");
  const place = isAnew ? placedAnew(event, epoch) : placed(instance, event, epoch);
  const next: Instance = {
    ...instance,
    epoch: place.epoch,
    isOpener: place.isOpener,
    decidedAtMs: place.decidedAtMs,
    version,
    atMs: event.atMs,
    snapshot: taken.snapshot,
    verdict: explanation.verdict ?? instance.verdict,
    reason: explanation.lasting ? explanation.reason : instance.reason,
    parked: null,
    succeededAtMs: succeededAtMs(instance, event, taken),
  };
  return { next, path: taken.path, explanation, epoch, effects: taken.effects };
}

type Place = Pick<Instance, "epoch" | "isOpener" | "decidedAtMs">;

/** Where a step leaves an instance among its peers. */
function placed(
  { epoch: before, isOpener, decidedAtMs, parked }: Instance,
  event: InstanceEvent,
  epoch: number | null,
): Place {
  const isStart = event.type === "start";
  return {
    epoch: epoch ?? before,
    isOpener: isOpener || (isStart && event.group?.observation.isNew === true),
    decidedAtMs: parked !== null && isStart ? event.atMs : decidedAtMs,
  };
}

/** It has left the group that it was decided in, and counts as if it came now. */
function placedAnew({ group, atMs }: ReconsiderEvent, epoch: number | null): Place {
  return { epoch, isOpener: group?.observation.isNew === true, decidedAtMs: atMs };
}

/** When the last attempt turned out to be a success: at once, or once the alert had resolved. */
function succeededAtMs(instance: Instance, event: InstanceEvent, { snapshot, effects }: Step & { accepted: true }) {
  if (effects.includes("run")) return null;
  const isOwn = event.type === "effect.done" || event.type === "alert.resolved";
  return isOwn && snapshot.state === "Success" ? event.atMs : instance.succeededAtMs;
}

/** What a note makes of an instance: it stays where it is. */
export function notedOutcome(
  instance: Instance,
  note: EngineNote,
  { version, process }: Omit<StepPlace, "epoch">,
): Outcome {
  const reason = NOTE_REASONS[note.type];
  const next = noted(instance, note, version);
  const explanation: Explanation = { verdict: null, reason, lasting: note.type === "lock.busy", isConverged: false };
  const path = [topLevel(next.snapshot.state)];
  return written({ next, path, explanation, epoch: null, effects: [] }, note, process);
}

const NOTE_REASONS = {
  "lock.busy": "lock_busy",
  "effect.interrupted": "interrupted",
  "effect.begun_again": "begun_again",
} as const satisfies Record<EngineNote["type"], ReasonCode>;

/** While others decide for its dimension it stays undecided, until its timer fires. */
function noted(instance: Instance, note: EngineNote, version: number): Instance {
  const { atMs } = note;
  if (note.type !== "lock.busy") return { ...instance, version, atMs };
  return { ...instance, version, atMs, parked: { dueAtMs: note.dueAtMs, arm: note.arm }, reason: "lock_busy" };
}

export type Stepped = Pick<EntryBody, "path" | "epoch"> &
  Pick<Outcome, "next" | "effects"> & { readonly explanation: Explanation };

function written(
  { next, path, explanation, epoch, effects }: Stepped,
  event: StoredEvent,
  process: string | undefined,
): Outcome {
  const body = encodeBody(next);
  const entry: EntryBody = {
    version: next.version,
    atMs: event.atMs,
    event,
    path,
    verdict: explanation.verdict,
    reason: explanation.reason,
    epoch,
    checkpoint: sha256(body, "base64url"),
    ...(process === undefined ? {} : { process }),
  };
  const { isConverged } = explanation;
  return { next, body, entry, json: encodeEntry(entry, next), effects, isConverged };
}
