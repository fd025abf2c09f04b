/** What `audit verify` keeps of the instances whose trails hold, for what only all of them together show. */
import { birthOf } from "../instance/audit.ts";
import type { Birth } from "../instance/audit-types.ts";
import { OPEN_STATES } from "../instance/open-index.ts";
import { BecalmError } from "../model/errors.ts";
import { policyKey } from "../policy/policy-versions.ts";
import type { PolicyRecord } from "../stores/store.ts";

type Seen = { readonly id: string; readonly lines: readonly string[]; readonly state: string | undefined };

export class SeenInstances {
  /** Ids by state, of the states whose instances a list names. */
  readonly inStates = new Map<string, string[]>(OPEN_STATES.map((state) => [state, []]));
  /** Instances that the list, newest first, has behind an older one. */
  readonly misplaced: { readonly id: string; readonly what: string }[] = [];
  /** How many instances were made under each policy version. */
  readonly #made = new Map<string, number>();
  #last: { readonly id: string; readonly createdAtMs: number } | null = null;

  /** In the order of the list. */
  add({ id, lines, state }: Seen): void {
    this.inStates.get(state ?? "")?.push(id);
    const birth = tryBirth(id, lines);
    if (birth === null) return;
    const key = policyKey({ name: birth.policy, version: birth.policyVersion });
    this.#made.set(key, (this.#made.get(key) ?? 0) + 1);
    const { createdAtMs } = birth;
    if (this.#last !== null && createdAtMs > this.#last.createdAtMs)
      this.misplaced.push({ id, what: `is listed behind ${this.#last.id}, which is older: one of them was moved` });
    this.#last = { id, createdAtMs };
  }

  missingPolicies(records: readonly PolicyRecord[]): { readonly policy: string; readonly what: string }[] {
    const known = new Set(records.map(({ key }) => key));
    return [...this.#made].flatMap(([policy, count]) =>
      known.has(policy)
        ? []
        : [{ policy, what: `is gone: ${count} of the instances were made under it, and cannot be explained without` }],
    );
  }
}

/** One that cannot be read is reported as that. */
function tryBirth(id: string, lines: readonly string[]): Birth | null {
  try {
    return birthOf(id, lines);
  } catch (error) {
    if (error instanceof BecalmError) return null;
    throw error;
  }
}
