/** What a difference comes to, by policy. Pure. */
import { type Change, isNewlyExecuted, isNewlySkipped } from "./diff.ts";

export type PolicyTotals = {
  readonly policy: string;
  readonly wasExecuted: number;
  readonly nowExecuted: number;
  readonly newlyExecuted: number;
  readonly newlySkipped: number;
  readonly changed: number;
};

type Counts = { -readonly [Name in keyof PolicyTotals]: PolicyTotals[Name] };

/** In the order in which policies come up. */
export class TotalsByPolicy {
  readonly #policies = new Map<string, Counts>();

  addWas(policy: string, isExecuted: boolean): void {
    if (isExecuted) this.#of(policy).wasExecuted += 1;
    else this.#of(policy);
  }

  addNow(policy: string, isExecuted: boolean): void {
    if (isExecuted) this.#of(policy).nowExecuted += 1;
    else this.#of(policy);
  }

  addChange(change: Change): void {
    const totals = this.#of(change.policy);
    totals.changed += 1;
    if (isNewlyExecuted(change)) totals.newlyExecuted += 1;
    if (isNewlySkipped(change)) totals.newlySkipped += 1;
  }

  list(): readonly PolicyTotals[] {
    return [...this.#policies.values()];
  }

  #of(policy: string): Counts {
    const known = this.#policies.get(policy);
    if (known !== undefined) return known;
    const fresh = { policy, wasExecuted: 0, nowExecuted: 0, newlyExecuted: 0, newlySkipped: 0, changed: 0 };
    this.#policies.set(policy, fresh);
    return fresh;
  }
}
