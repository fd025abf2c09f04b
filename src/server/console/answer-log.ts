/** The newest answers to approvals, for the console: who decided what, when and why. Decisions never read it. */
import type { CommittedStep } from "../../committed-steps.ts";

const ANSWER_COUNT_MAX = 50;
const NAMED_COUNT_MAX = 20;

/** One answer, of one instance or of all that a group held. `event`: what the first of its instances was sent. */
export type Answer = {
  readonly event: string;
  readonly policy: string;
  readonly group: string | null;
  readonly atMs: number;
  /** Of the instances that it decided, the first ones. */
  readonly instances: string[];
  count: number;
};

const ANSWERS: ReadonlySet<string> = new Set(["approval.granted", "approval.denied", "approval.counted"]);

export type Answered = Pick<CommittedStep, "id" | "policy" | "group" | "atMs" | "event">;

export class AnswerLog {
  /** The newest is the last. */
  readonly #answers: Answer[] = [];

  stepped(steps: readonly Answered[]): void {
    for (const step of steps) if (ANSWERS.has(step.event)) this.#add(step);
  }

  /** Answers from before the start. Of those that came meanwhile the store may know some already, or parts of them. */
  restore(steps: readonly Answered[]): void {
    const meanwhile = this.#answers.splice(0);
    this.stepped(steps);
    for (const answer of meanwhile) {
      const at = this.#answers.findIndex((one) => isSame(one, answer));
      const stored = this.#answers[at];
      if (stored === undefined) this.#answers.push(answer);
      else if (answer.count > stored.count) this.#answers[at] = answer;
    }
    this.#answers.splice(0, this.#answers.length - ANSWER_COUNT_MAX);
  }

  newest(): readonly Answer[] {
    return this.#answers.toReversed();
  }

  /** An answer for a group comes in several commits, but at one time. */
  #add({ id, policy, group, atMs, event }: Answered): void {
    const known =
      group === null
        ? undefined
        : this.#answers.findLast((one) => one.group === group && one.atMs === atMs && one.event === event);
    if (known === undefined) {
      this.#answers.push({ event, policy, group, atMs, instances: [id], count: 1 });
      if (this.#answers.length > ANSWER_COUNT_MAX) this.#answers.shift();
      return;
    }
    known.count += 1;
    if (known.instances.length < NAMED_COUNT_MAX) known.instances.push(id);
  }
}

function isSame(one: Answer, other: Answer): boolean {
  if (one.event !== other.event || one.atMs !== other.atMs || one.group !== other.group) return false;
  return one.group !== null || one.instances[0] === other.instances[0];
}
