/** Which pauses are in force, and what brakes have counted. A scope is a policy's name, or "" for everything. */
import type { LifeLimits, LifePolicy } from "./slow-life-types.ts";

type Counted = { readonly scope: string; readonly what: "began" | "failed"; readonly atMs: number };

export class SlowLifePauses {
  readonly #scopes = new Set<string>();
  readonly #limits: LifeLimits | null;
  #counted: Counted[] = [];

  constructor(limits: LifeLimits | null) {
    this.#limits = limits;
  }

  get isAny(): boolean {
    return this.#scopes.size > 0;
  }

  begin(scope: string): boolean {
    if (this.#scopes.has(scope)) return false;
    this.#scopes.add(scope);
    return true;
  }

  /** False: no such pause was in force. */
  lift(scope: string): boolean {
    // A person goes on: what a brake has counted so far is past.
    this.#counted = this.#counted.filter((one) => one.scope !== scope);
    return this.#scopes.delete(scope);
  }

  holds({ name }: LifePolicy): boolean {
    return this.#scopes.has("") || this.#scopes.has(name);
  }

  /** "The attempt that would be number 51 within `per` is held and the pause begins." */
  holdsNext(policy: LifePolicy, nowMs: number): boolean {
    if (this.holds(policy)) return true;
    const full = this.#brakesOf(policy).find(([scope, limits]) => {
      return this.#lately({ scope, what: "began", atMs: nowMs }, limits) >= limits.actions;
    });
    if (full !== undefined) this.begin(full[0]);
    return full !== undefined;
  }

  /** "Likewise at the 6th failed attempt within `per`." */
  count(policy: LifePolicy, what: Counted["what"], atMs: number): void {
    for (const [scope, limits] of this.#brakesOf(policy)) {
      this.#counted.push({ scope, what, atMs });
      if (what === "failed" && this.#lately({ scope, what, atMs }, limits) > limits.failures) this.begin(scope);
    }
  }

  #brakesOf({ name, limits }: LifePolicy): [string, LifeLimits][] {
    const brakes: [string, LifeLimits | null][] = [
      ["", this.#limits],
      [name, limits],
    ];
    return brakes.filter((brake): brake is [string, LifeLimits] => brake[1] !== null);
  }

  #lately({ scope, what, atMs }: Counted, { perMs }: LifeLimits): number {
    return this.#counted.filter((one) => one.scope === scope && one.what === what && one.atMs > atMs - perMs).length;
  }
}
