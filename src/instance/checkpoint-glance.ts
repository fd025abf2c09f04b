/** What can be told of a stored instance without its policy and without its history: for counting many. */
import { groupIdFrom } from "../model/ids.ts";

export type CheckpointGlance = {
  /** Time of the last step: since then it is in its state. */
  readonly atMs: number;
  readonly groupId: string | null;
};

/** `value`: a checkpoint as it is stored. null: it cannot be read. */
export function glanceAt(value: string): CheckpointGlance | null {
  const { policy, group, createdAtMs, atMs = createdAtMs } = fieldsOf(value);
  if (typeof policy !== "string" || typeof atMs !== "number") return null;
  const policyName = policy.slice(0, Math.max(policy.lastIndexOf("@"), 0));
  return { atMs, groupId: typeof group === "string" ? groupIdFrom(group, policyName) : null };
}

function fieldsOf(value: string): Readonly<Record<string, unknown>> {
  try {
    return (JSON.parse(value.slice(value.indexOf(" ") + 1)) ?? {}) as Record<string, unknown>;
  } catch {
    return {};
  }
}
