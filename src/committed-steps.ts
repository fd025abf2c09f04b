/** What commits made of instances, for whoever watches all of them: metrics, event streams, programs. */
import type { VerdictKind } from "./convergence/convergence.ts";
import { type Histories, type WatchedSnapshot, watchedSnapshot } from "./explained-snapshot.ts";
import type { Decision } from "./instance/decide.ts";
import type { LoggedEntry } from "./instance/draft.ts";
import { topLevel } from "./instance/step.ts";
import type { InstanceState } from "./model/instance-types.ts";
import type { ReasonCode } from "./model/reasons.ts";
import { type Sentence, sentenceAbout } from "./present/sentences.ts";
import { isoTime } from "./present/time-text.ts";

/** One step of one instance that a commit of this process made durable. */
export type CommittedStep = {
  readonly id: string;
  readonly policy: string;
  readonly group: string | null;
  /** Of the instance after the whole commit. */
  readonly version: number;
  readonly atMs: number;
  readonly event: string;
  /** The state that it left; null: it created the instance. */
  readonly from: InstanceState | null;
  readonly to: InstanceState;
  readonly verdict: VerdictKind | null;
  readonly reason: ReasonCode;
  /** What this step did, and why, in English (`en`) and Chinese (`zh`); made when it is called. */
  sentence(): Sentence;
  /** The instance after the whole commit; its `explain()` reads the labels. */
  snapshot(): WatchedSnapshot;
};

export type StepListener = (steps: readonly CommittedStep[]) => void;

/** Listeners of one engine. What one of them throws is reported and keeps nobody else from hearing. */
export class StepListeners {
  readonly #listeners = new Set<StepListener>();
  readonly #histories: Histories;
  readonly #onFault: (error: unknown) => void;

  constructor(histories: Histories, onFault: (error: unknown) => void) {
    this.#histories = histories;
    this.#onFault = onFault;
  }

  add(listener: StepListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  publish(decision: Decision): void {
    if (this.#listeners.size === 0) return;
    const steps = stepsOf(decision, this.#histories);
    for (const listener of Array.from(this.#listeners)) {
      try {
        listener(steps);
      } catch (error) {
        this.#onFault(error);
      }
    }
  }
}

function stepsOf({ instances, entries }: Decision, histories: Histories): CommittedStep[] {
  const changes = new Map(
    instances.map(({ instance, before }) => {
      const state: InstanceState | null = before === null ? null : topLevel(before.snapshot.state);
      return [instance.id, { instance, state }];
    }),
  );
  return entries.flatMap((logged) => {
    const { instance: id, entry } = logged;
    const change = changes.get(id);
    if (change === undefined) return [];
    const { instance, state: from } = change;
    const to = entry.path.at(-1) ?? from ?? topLevel(instance.snapshot.state);
    change.state = to;
    return {
      id,
      policy: instance.policy,
      group: instance.groupId,
      version: instance.version,
      atMs: entry.atMs,
      event: entry.event.type,
      from,
      to,
      verdict: entry.verdict,
      reason: entry.reason,
      sentence: () => sentenceOf(logged),
      snapshot: () => watchedSnapshot(histories, instance),
    };
  });
}

/** Only its first entry speaks of what a notice is about, and that is committed with its birth. */
function sentenceOf({ instance, entry, after, birth }: LoggedEntry): Sentence {
  const { policy, snapshot } = after;
  const observation = "group" in entry.event ? (entry.event.group?.observation ?? null) : null;
  const decidedAgain = snapshot.context.reconsidered;
  const subject = { instance, policy, notice: birth?.notice ?? null, decidedAgain, time: isoTime };
  return sentenceAbout({ ...entry, observation }, subject);
}
