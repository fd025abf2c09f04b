import type { OpenEffectPort } from "../../effects/effect-port.ts";
import type { Decision } from "../../instance/decide.ts";
import type { Effect } from "../../instance/effect.ts";
import type { Envelope, EnvelopeResult } from "../commit/batch.ts";
import { Mailboxes } from "../inbox/mailboxes.ts";
import type { BatchRuntime, CommitListener, Driver, Runtime } from "../runtime.ts";
import { brakesOf } from "../stops/brake-duties.ts";
import { EffectDispatcher, type EffectOutcome } from "./effect-dispatcher.ts";
import { EFFECT_LEASE_MS } from "./effect-source.ts";
import { CLAIMS_PROLONGED_EVERY_MS } from "./outbox-pump.ts";

export type OneShotOptions = {
  readonly effects: OpenEffectPort;
  /** Runs the effects that it commits; otherwise they are for whoever comes first. */
  readonly isRunning: boolean;
  readonly onCommit: readonly CommitListener[];
};

/**
 * Live time for one command: it commits, and may run what it has committed, without moving anything else of the
 * namespace.
 */
export class OneShotDriver implements Driver {
  readonly #runtime: BatchRuntime;
  readonly #mailboxes: Mailboxes;
  readonly #dispatcher: EffectDispatcher;
  readonly #outstanding: Effect[] = [];
  /** Who waits for the outcome of an effect. */
  readonly #waiting = new Map<string, (outcome: EffectOutcome) => void>();

  constructor(runtime: Runtime, { effects, isRunning, onCommit }: OneShotOptions) {
    this.#runtime = {
      ...runtime,
      onCommit: [(decision) => this.committed(decision), ...onCommit],
      effectClaimMs: () => (isRunning ? EFFECT_LEASE_MS : null),
      followBrakes: brakesOf(runtime),
    };
    this.#mailboxes = new Mailboxes(this.#runtime);
    this.#dispatcher = new EffectDispatcher(runtime, effects, {
      concurrency: 1,
      dateOf: () => runtime.clock.now(),
      onOutcome: ({ id }, outcome) => this.#waiting.get(id)?.(outcome),
    });
  }

  submit(envelopes: readonly Envelope[]): Promise<readonly EnvelopeResult[]> {
    return this.#mailboxes.submitEach(envelopes);
  }

  committed({ effects }: Decision): void {
    this.#outstanding.push(...effects);
  }

  /**
   * Runs what it has committed, and what follows from the results, until nothing is outstanding. Gives the number.
   * Engines that are up leave these effects alone: they are claimed, and the claim is extended while an attempt takes
   * long.
   */
  async settle(): Promise<number> {
    const { store, owner } = this.#runtime;
    const extend = () => {
      const effectIds = this.#outstanding.map(({ id }) => id);
      void store.extendClaims({ owner, leaseMs: EFFECT_LEASE_MS, effectIds }).catch(() => {});
    };
    const timer = setInterval(extend, CLAIMS_PROLONGED_EVERY_MS);
    let count = 0;
    try {
      for (let effect = this.#outstanding[0]; effect !== undefined; effect = this.#outstanding[0]) {
        const outcome = await this.#run(effect);
        if (outcome.kind === "failed") throw outcome.error;
        if (outcome.kind === "completed") await this.submit([outcome.envelope]);
        this.#outstanding.splice(this.#outstanding.indexOf(effect), 1);
        count += 1;
      }
      return count;
    } finally {
      clearInterval(timer);
    }
  }

  async #run(effect: Effect): Promise<EffectOutcome> {
    const outcome = new Promise<EffectOutcome>((resolve) => this.#waiting.set(effect.id, resolve));
    this.#dispatcher.dispatch(effect);
    return outcome.finally(() => this.#waiting.delete(effect.id));
  }
}
