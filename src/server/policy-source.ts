/**
 * The rules in force (policies, and strategies if there are any), and reading them again: all mistakes are reported,
 * and then the old ones stay.
 */
import type { Strategy } from "../detection/core/strategy.ts";
import { BecalmError, messageOf } from "../model/errors.ts";
import type { PolicySet } from "../policy/policy.ts";
import { type CompiledPolicy, compilePolicy } from "../policy/policy-versions.ts";
import type { Logger } from "../system/logger.ts";

export type Rules = {
  readonly policies: PolicySet;
  /** null: the server takes no records. */
  readonly strategies: readonly Strategy[] | null;
  /** The candidate that runs beside them; absent: none does. */
  readonly shadow?: PolicySet;
};

export type PolicySourceOptions<Read extends Rules = Rules> = {
  /** Reads and checks the files. Throws an error that lists every mistake. */
  readonly read: () => Promise<Read>;
  /** Puts rules into force: new instances are made under them, running ones keep their version. */
  readonly apply: (rules: Read) => Promise<void>;
  readonly logger: Logger;
  readonly reloaded: (outcome: "done" | "refused") => void;
};

/** `Read`: what else is read with the rules, and put into force with them. */
export class PolicySource<Read extends Rules = Rules> {
  readonly #options: PolicySourceOptions<Read>;
  #set: PolicySet;
  #compiled: readonly CompiledPolicy[];
  #running: Promise<void> = Promise.resolve();

  constructor(first: PolicySet, options: PolicySourceOptions<Read>) {
    this.#options = options;
    this.#set = first;
    this.#compiled = first.policies.map(compilePolicy);
  }

  get set(): PolicySet {
    return this.#set;
  }

  get compiled(): readonly CompiledPolicy[] {
    return this.#compiled;
  }

  /** One after the other: two readings at once could leave the older file in force. */
  reload(): Promise<void> {
    const reading = this.#running.then(() => this.#reload());
    this.#running = reading.catch(() => {});
    return reading;
  }

  async #reload(): Promise<void> {
    const { read, apply, logger, reloaded } = this.#options;
    try {
      const rules = await read();
      await apply(rules);
      this.#set = rules.policies;
      this.#compiled = rules.policies.policies.map(compilePolicy);
    } catch (error) {
      reloaded("refused");
      logger.error({ reason: messageOf(error) }, "the policies were not reloaded; the old ones stay in force");
      throw error instanceof BecalmError ? error : new BecalmError("BECALM_POLICY_INVALID", messageOf(error));
    }
    reloaded("done");
    logger.info({ policies: this.#set.policies.length }, "the policies were reloaded");
  }
}
