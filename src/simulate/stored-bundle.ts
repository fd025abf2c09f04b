/** What a bundle takes from a store beside the histories: how alerts ended, and the texts of policy versions. */
import { birthOf } from "../instance/audit.ts";
import type { Birth } from "../instance/audit-types.ts";
import { policyKey } from "../policy/policy-versions.ts";
import type { InstanceReader } from "../runtime/instance-reader.ts";
import type { Store } from "../stores/store.ts";
import type { BundledInstance, BundledPolicy } from "./bundle.ts";
import { endsOf } from "./stored-recording.ts";

/** An instance as it is stored, and how its alert's episode ended. */
export type StoredHistory = Omit<BundledInstance, "birthHash">;

/** How their alerts ended is not in their histories, where nothing followed from it. */
export async function withEnds(
  instances: InstanceReader,
  read: readonly StoredHistory[],
  nowMs: number,
): Promise<StoredHistory[]> {
  const born = read.map(({ id, lines }) => ({ id, birth: birthOf(id, lines) }));
  const ends = await endsOf(instances, born, nowMs);
  return read.map((one, index) => {
    const ended = ends[index] ?? null;
    return ended === null ? one : { ...one, ended };
  });
}

/**
 * Each version's text once, before the first instance that was made under it. A namespace may learn versions while it
 * is read.
 */
export class UnwrittenPolicies {
  readonly #store: Pick<Store, "policies">;
  readonly #texts = new Map<string, string>();
  readonly #written = new Set<string>();

  constructor(store: Pick<Store, "policies">) {
    this.#store = store;
  }

  /** null: it was given before, or the store does not have it. */
  async of({ policy, policyVersion }: Birth): Promise<BundledPolicy | null> {
    const key = policyKey({ name: policy, version: policyVersion });
    if (this.#written.has(key)) return null;
    this.#written.add(key);
    if (!this.#texts.has(key))
      for (const record of await this.#store.policies()) this.#texts.set(record.key, record.value);
    const value = this.#texts.get(key);
    return value === undefined ? null : { policy: key, value };
  }
}
