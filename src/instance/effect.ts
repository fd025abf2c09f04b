import type { Alert } from "../model/alert.ts";
import type { InstanceKind } from "./checkpoint.ts";

/** What a worker chooses by. Absent in effects that an engine of the version before has emitted. */
export type EffectTopic = {
  readonly kind: InstanceKind;
  readonly policy: string;
  readonly policyVersion: string;
  /**
   * The alert's label `severity`; "": it has none. Absent: the commit that emitted the effect did not have the alert at
   * hand; its birth does.
   */
  readonly severity?: string;
};

/**
 * An effect: one attempt of an action, as the outbox keeps it. What it acts on is read from the instance's birth when
 * it runs.
 */
export type Effect = Partial<EffectTopic> & {
  readonly id: string;
  readonly partition: number;
  readonly instanceId: string;
  readonly groupId: string | null;
  readonly attempt: number;
  /**
   * Rises with every attempt that begins in the group; absent or undefined: no rule governs the instance, or it is a
   * notice.
   */
  readonly token?: number | undefined;
  /** A person granted it while a pause held: it begins all the same. */
  readonly passesPause?: boolean;
  /** Time of the step that emitted it; in a virtual run also the time of its result. */
  readonly atMs: number;
  /** Virtual runs: the ordinal of its line among those of the same time. Live: 0. */
  readonly turn: number;
  /** Order of emission inside the turn, see `compareEffects`. */
  readonly order: EmissionOrder;
};

/**
 * The place of an effect in the order of emission: the position of the command that emitted it (an alert's place in its
 * line, or the order of the effect whose result it was) and its number within that. It depends on nothing that a crash
 * could change.
 */
export type EmissionOrder = readonly number[];

export const CANCELLED_BEFORE_IT_BEGAN = "The attempt was cancelled before it began.";

const SEVERITY_LETTERS_MAX = 64;

/** What is worked on first is said by the label that everybody uses for it. */
export function severityOf(alert: Alert | null): string {
  return (alert?.labels["severity"] ?? "").slice(0, SEVERITY_LETTERS_MAX);
}

/** `alert` undefined: it is not at hand. */
export function topicOf(instance: Omit<EffectTopic, "severity">, alert: Alert | null | undefined): EffectTopic {
  const { kind, policy, policyVersion } = instance;
  const topic = { kind, policy, policyVersion };
  return alert === undefined ? topic : { ...topic, severity: severityOf(alert) };
}

/** A notice asks or informs a person. What an engine of a version before emitted does not say, and counts as an action. */
export function isNotice({ kind = "action" }: Partial<EffectTopic>): boolean {
  return kind !== "action";
}

export function encodeEffect(effect: Effect): string {
  const { instanceId, groupId, attempt, token, atMs, turn, order, passesPause } = effect;
  const { kind, policy, policyVersion, severity } = effect;
  const topic = { kind, policy, policyVersion, severity };
  return JSON.stringify({ instanceId, groupId, attempt, token, atMs, turn, order, ...topic, passesPause });
}

export function decodeEffect(stored: { id: string; partition: number; value: string }): Effect {
  return {
    ...(JSON.parse(stored.value) as Omit<Effect, "id" | "partition">),
    id: stored.id,
    partition: stored.partition,
  };
}

/**
 * Order in which results are applied: by time, line, round (effects emitted by results come after all that were emitted
 * before), position.
 */
export function compareEffects(a: Effect, b: Effect): number {
  if (a.atMs !== b.atMs) return a.atMs - b.atMs;
  if (a.turn !== b.turn) return a.turn - b.turn;
  if (a.order.length !== b.order.length) return a.order.length - b.order.length;
  for (const [index, value] of a.order.entries()) {
    const other = b.order[index] ?? 0;
    if (value !== other) return value - other;
  }
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}
