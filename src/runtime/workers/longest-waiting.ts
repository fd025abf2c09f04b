/**
 * What an engine runs: the oldest first, wherever it came from. Of what has to wait in the outbox because actions leave
 * no room, notices are picked out.
 */
import type { ClaimedEffect } from "../../stores/outbox.ts";
import type { Runtime } from "../runtime.ts";
import { ChosenEffects, type EffectChoice } from "./chosen-effects.ts";
import { EFFECT_LEASE_MS, type EffectSource, type HeldByKind, type Room, type TakenEffects } from "./effect-source.ts";

/** So many times what runs at once may wait here for long; what is beyond that is given back. */
const AHEAD = 2;
const AHEAD_COUNT_MIN = 64;
/** While actions leave no room, or others wait in the outbox, notices are looked for no more often than this. */
const NOTICES_LOOKED_FOR_EVERY_MS = 200;

const NOTICES: EffectChoice = {
  policies: null,
  kinds: new Set(["approval-request", "summary"]),
  canRun: () => true,
  rates: new Map(),
};

export class LongestWaiting implements EffectSource {
  readonly takesOwn = true;
  readonly polledEveryMs = 500;
  readonly aheadCount: number;
  readonly #runtime: Runtime;
  readonly #notices: ChosenEffects;
  #noticesLookedForAtMs = Number.NEGATIVE_INFINITY;

  constructor(runtime: Runtime, concurrency: number) {
    this.#runtime = runtime;
    this.aheadCount = Math.max(AHEAD * concurrency, AHEAD_COUNT_MIN);
    this.#notices = new ChosenEffects(runtime, NOTICES, this.aheadCount);
  }

  room({ actions, notices }: HeldByKind): Room {
    return { actions: this.aheadCount - actions.waiting, notices: this.aheadCount - notices.waiting };
  }

  async take({ actions, notices }: Room): Promise<TakenEffects> {
    if (actions <= 0) return { effects: await this.#takeNotices(notices), isMore: null };
    const { store, owner } = this.#runtime;
    const effects = await store.claimEffects({ owner, leaseMs: EFFECT_LEASE_MS, limit: actions });
    if (effects.length < actions) return { effects, isMore: false };
    // What is claimed already is begun, also if notices cannot be looked for.
    const first = await this.#takeNotices(notices).catch(() => []);
    return { effects: [...first, ...effects], isMore: true };
  }

  async #takeNotices(limit: number): Promise<readonly ClaimedEffect[]> {
    const nowMs = this.#runtime.clock.now();
    if (limit <= 0 || nowMs - this.#noticesLookedForAtMs < NOTICES_LOOKED_FOR_EVERY_MS) return [];
    this.#noticesLookedForAtMs = nowMs;
    return (await this.#notices.take({ actions: 0, notices: limit })).effects;
  }
}
