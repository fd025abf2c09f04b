/** What was delivered too often without a result, for people; and what of it nobody needs any more. */
import { decodeEffect, type Effect } from "../../instance/effect.ts";
import type { Runtime } from "../runtime.ts";
import { type Expected, requireArgument, validateOptions, wholeNumber } from "../validate-options.ts";
import { overAmong } from "./attempt-state.ts";

const LOOKED_AT_COUNT_MAX = 1_000;

/** As many are listed unless more are asked for. */
export const DEAD_LETTER_COUNT = 100;

/** An attempt that was delivered again and again, and that no process has reported. It waits for a person. */
export type DeadLetter = Pick<Effect, "id" | "attempt" | "partition"> & {
  readonly instance: string;
  readonly kind: string | null;
  readonly policy: string | null;
  readonly deliveries: number;
  /** When the step that asked for it was, and when it was set aside. */
  readonly emittedAtMs: number;
  readonly setAsideAtMs: number;
};

export type DeadLettersRequest = { readonly limit?: number };

const REQUEST = { limit: wholeNumber(1, Number.MAX_SAFE_INTEGER) };
const IDS: Expected = {
  what: "a list of ids",
  holds: (value) => Array.isArray(value) && value.every((id) => typeof id === "string"),
};

/** @throws BECALM_ARGUMENT_INVALID */
export async function resumeDeadLetters({ store }: Pick<Runtime, "store">, ids: readonly string[]): Promise<string[]> {
  requireArgument("engine.resumeDeadLetters", IDS, ids);
  return store.outbox.resume(ids);
}

/** @throws BECALM_ARGUMENT_INVALID */
export async function deadLetters(
  { store }: Pick<Runtime, "store">,
  request: DeadLettersRequest,
): Promise<DeadLetter[]> {
  validateOptions("engine.deadLetters", request, REQUEST);
  const { limit = DEAD_LETTER_COUNT } = request;
  const stored = await store.outbox.deadLetters({ limit });
  return stored.map((row) => {
    const { id, partition, attempt, instanceId, kind, policy, atMs } = decodeEffect(row);
    const { deliveries, setAsideAtMs } = row;
    const topic = { kind: kind ?? null, policy: policy ?? null };
    return { id, partition, attempt, instance: instanceId, ...topic, deliveries, emittedAtMs: atMs, setAsideAtMs };
  });
}

/**
 * What is set aside and over, as after a cancel, is delivered once more: whoever gets it finds that, and takes it out
 * of the outbox.
 */
export async function resumeOver(runtime: Runtime): Promise<void> {
  const stored = await runtime.store.outbox.deadLetters({ limit: LOOKED_AT_COUNT_MAX });
  if (stored.length === 0) return;
  const over = await overAmong(runtime, stored.map(decodeEffect));
  if (over.length > 0) await runtime.store.outbox.resume(over.map(({ id }) => id));
}
