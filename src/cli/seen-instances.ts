/** What `audit verify` keeps of the instances whose trails hold, for what only all of them together show. */
import { birthOf } from "../instance/audit.ts";
import type { Birth } from "../instance/audit-types.ts";
import type { Instance } from "../instance/checkpoint.ts";
import { OPEN_STATES } from "../instance/open-index.ts";
import { topLevel } from "../instance/step.ts";
import { BecalmError } from "../model/errors.ts";
import { policyKey } from "../policy/policy-versions.ts";
import type { PolicyRecord } from "../stores/store.ts";
import { SeenGroups } from "./seen-groups.ts";

type Seen = {
  readonly id: string;
  readonly lines: readonly string[];
  /** Absent: its checkpoint cannot be read. */
  readonly instance?: Instance | undefined;
};

export class SeenInstances {
  /** Ids by state, of the states whose instances a list names. */
  readonly inStates: Map<string, string[]> = new Map<string, string[]>(OPEN_STATES.map((state) => [state, []]));
  /** Instances that the list, newest first, has behind an older one. */
  readonly misplaced: { readonly id: string; readonly what: string }[] = [];
  /** How many instances were made under each policy version. */
  readonly #made = new Map<string, number>();
  readonly groups: SeenGroups;
  #last: { readonly id: string; readonly createdAtMs: number } | null = null;

  constructor(partitions: number) {
    this.groups = new SeenGroups(partitions);
  }

  /** In the order of the list. */
  add({ id, lines, instance }: Seen): void {
    if (instance === undefined) this.groups.doubt(id, null, lines[0]);
    else {
      this.inStates.get(topLevel(instance.snapshot.state))?.push(id);
      this.groups.add(instance);
    }
    const birth = tryBirth(id, lines);
    if (birth === null) return;
    const key = policyKey({ name: birth.policy, version: birth.policyVersion });
    this.#made.set(key, (this.#made.get(key) ?? 0) + 1);
    const { createdAtMs } = birth;
    if (this.#last !== null && createdAtMs > this.#last.createdAtMs)
      this.misplaced.push({ id, what: `is listed behind ${this.#last.id}, which is older: one of them was moved` });
    this.#last = { id, createdAtMs };
  }

  /** One whose trail does not hold. */
  doubt({ id, lines, instance }: Seen): void {
    this.groups.doubt(id, instance ?? null, lines[0]);
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
