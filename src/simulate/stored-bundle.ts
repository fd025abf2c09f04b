/**
 * What a bundle takes from a store beside the histories: how alerts ended, the texts of policy versions, and what the
 * processes were called that decided.
 */
import { birthOf, processesOf } from "../instance/audit.ts";
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

/**
 * Each process's name once, with the first instance of which it decided a step. Only their ids are in the histories; in
 * a bundle that is redacted they are all that there is, for names tell of hosts.
 */
export class UnwrittenNames {
  readonly #reader: InstanceReader;
  readonly #asked = new Set<string>();

  constructor(reader: InstanceReader) {
    this.#reader = reader;
  }

  async with(one: StoredHistory): Promise<StoredHistory> {
    const ids = [...processesOf(one.lines)].filter((id) => !this.#asked.has(id));
    if (ids.length === 0) return one;
    for (const id of ids) this.#asked.add(id);
    const names = await this.#reader.processNames(ids.map((process) => ({ process })));
    const kept = ids.flatMap((id) => {
      const name = names.get(id);
      return name === undefined ? [] : [[id, name] as const];
    });
    return kept.length === 0 ? one : { ...one, processes: Object.fromEntries(kept) };
  }
}
