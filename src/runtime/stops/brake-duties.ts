/**
 * What brakes are owed after a commit: failed attempts to be counted, and pauses to begin. Failures of batches that run
 * beside each other are counted in one write, so a process competes with other processes only, never with itself.
 *
 * What cannot be done now stays owed, and nothing of the commit is undone: an engine tries again every second and says
 * so in its log; a command, or a run, ends with the error.
 */
import type { Decision } from "../../instance/decision.ts";
import { messageOf } from "../../model/errors.ts";
import type { PauseNote } from "../../model/instance-types.ts";
import { untilWritten } from "../commit/back-off.ts";
import type { Runtime } from "../runtime.ts";
import { countFailures, type FailedAttempt, failuresIn } from "./brakes.ts";
import { PauseService } from "./pause-service.ts";

type OnFault = (what: string, error: unknown) => void;

export class BrakeDuties {
  readonly #runtime: Runtime;
  readonly #pauseService: PauseService;
  readonly #onFault: OnFault | null;
  #failures: readonly FailedAttempt[] = [];
  #pauses: readonly PauseNote[] = [];
  #work: Promise<void> | null = null;

  /** `onFault`: hears of what could not be done, and somebody calls `fulfil` again; null: the batch hears of it. */
  constructor(runtime: Runtime, onFault: OnFault | null) {
    this.#runtime = runtime;
    this.#onFault = onFault;
    this.#pauseService = new PauseService(runtime, NOBODY, () => runtime.clock.now());
  }

  /** Failed attempts that no brake has counted yet. */
  get uncountedFailures(): number {
    return this.#failures.length;
  }

  get isOwing(): boolean {
    return this.#failures.length > 0 || this.#pauses.length > 0;
  }

  /** After the decision's commit was applied. Resolves when its failures are counted and its pauses hold. */
  async follow(decision: Decision): Promise<void> {
    this.#failures = [...this.#failures, ...failuresIn(decision)];
    this.#pauses = [...this.#pauses, ...decision.braked];
    await this.fulfil().catch((error: unknown) => {
      if (this.#onFault === null) throw error;
      this.#onFault(`brakes: what failed is not counted yet: ${messageOf(error)}`, error);
    });
  }

  /** Does what is owed; rejects when it cannot be done now. */
  async fulfil(): Promise<void> {
    // What is under way may have begun without the newest.
    await this.#work?.catch(() => {});
    if (!this.isOwing) return;
    this.#work ??= this.#fulfilAll().finally(() => {
      this.#work = null;
    });
    await this.#work;
  }

  /** The last try of a process that stops. */
  async close(): Promise<void> {
    await this.fulfil().catch((error: unknown) => {
      const what = `brakes: ${this.#failures.length} failed attempts remain uncounted, ${this.#pauses.length} pauses did not begin`;
      this.#onFault?.(`${what}. Look at what failed, and give \`becalm pause\` if need be: ${messageOf(error)}`, error);
    });
  }

  async #fulfilAll(): Promise<void> {
    if (this.#failures.length > 0)
      await untilWritten(this.#runtime, "what the brakes have counted", () => this.#count());
    for (let [pause] = this.#pauses; pause !== undefined; [pause] = this.#pauses) {
      await this.#pauseService.brake(pause);
      this.#pauses = this.#pauses.slice(1);
    }
  }

  async #count(): Promise<boolean> {
    const failures = this.#failures;
    const pauses = await countFailures(this.#runtime, failures);
    if (pauses === null) return false;
    this.#failures = this.#failures.slice(failures.length);
    this.#pauses = [...this.#pauses, ...pauses];
    return true;
  }
}

/** Where nobody tries again: whoever commits hears of what could not be done. */
export function brakesOf(runtime: Runtime): (decision: Decision) => Promise<void> {
  const duties = new BrakeDuties(runtime, null);
  return (decision) => duties.follow(decision);
}

const NOBODY = { submit: () => Promise.resolve([]) };
