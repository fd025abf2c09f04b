/** Whoever of a program listens to an engine: to all steps, or to one instance. */
import { type CommittedStep, StepListeners } from "./committed-steps.ts";
import { type Histories, type WatchedSnapshot, watchedSnapshot } from "./explained-snapshot.ts";
import type { Instance } from "./instance/checkpoint.ts";
import type { Decision } from "./instance/decide.ts";
import { Subscriptions } from "./runtime/subscriptions.ts";
import type { Clock } from "./system/clock.ts";

/** Where instances and histories are read. */
export type ReadInstances = Histories & { instance(id: string): Promise<Instance> };

export class Listeners {
  readonly ofInstances: Subscriptions<WatchedSnapshot>;
  readonly #ofSteps: StepListeners;

  /** `onFault` is told what listeners throw: it is their program's business, never the engine's. */
  constructor(clock: Clock, from: { instances: () => Promise<ReadInstances>; onFault: (error: unknown) => void }) {
    const { instances, onFault } = from;
    const histories: Histories = { history: async (id) => (await instances()).history(id) };
    this.ofInstances = new Subscriptions(clock, {
      snapshotOf: (instance) => watchedSnapshot(histories, instance),
      read: async (id) => (await instances()).instance(id),
      onFault,
    });
    this.#ofSteps = new StepListeners(histories, onFault);
  }

  /** Returns what ends it. */
  addOfSteps(fn: (steps: readonly CommittedStep[]) => void): () => void {
    return this.#ofSteps.add(fn);
  }

  publish(decision: Decision): void {
    this.#ofSteps.publish(decision);
    this.ofInstances.publish(decision.instances);
  }
}
