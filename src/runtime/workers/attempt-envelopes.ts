/** What is committed of an attempt: its result, or a note that another process has to run it. */
import type { EffectResult } from "../../effects/effect-port.ts";
import type { AttemptNote } from "../../instance/audit-types.ts";
import type { OutsideEvent } from "../../instance/decide.ts";
import type { Effect } from "../../instance/effect.ts";
import { type Envelope, NOTHING } from "../commit/batch.ts";
import type { JustCommitted } from "./attempt.ts";

/** The effect leaves the outbox with it. */
export function resultEnvelope(effect: Effect, event: OutsideEvent, committed: JustCommitted | null): Envelope {
  const { id, partition, groupId, instanceId, order } = effect;
  return {
    address: { partition, groupId },
    command: { type: "event", id: instanceId, event, order },
    consumes: { kind: "effect", id },
    lastSeen: committed?.instance ?? null,
  };
}

export function resultEvent(
  effect: Effect,
  result: EffectResult,
  { atMs, isOpen }: { atMs: number; isOpen: boolean | null },
): OutsideEvent {
  const { attempt } = effect;
  // Most say nothing, and are not verified.
  if (result.ok && result.result === undefined && isOpen === null) return { type: "effect.done", attempt, atMs };
  const about = { attempt, atMs, ...(result.result === undefined ? {} : { result: result.result }) };
  if (result.ok && isOpen !== null) return { type: "effect.done", isOpen, ...about };
  return result.ok ? { type: "effect.done", ...about } : { type: "effect.failed", error: result.error, ...about };
}

/** The effect stays in the outbox. */
export function noteEnvelope(
  { partition, groupId, instanceId }: Effect,
  { atMs, note }: { atMs: number; note: AttemptNote },
): Envelope {
  const command = { type: "note", id: instanceId, atMs, note } as const;
  return { address: { partition, groupId }, command, consumes: NOTHING, lastSeen: null };
}
