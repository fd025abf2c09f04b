/** What keeps a decision from running anything: pauses that hold, and brakes whose next attempt begins one. */
import type { PauseNote } from "../model/instance-types.ts";
import type { Brake, DecideInput } from "./decision.ts";
import type { Draft } from "./draft.ts";

export type UnderPause = { readonly paused?: PauseNote; readonly arrival?: number };

const NONE: UnderPause = {};

export class Stops {
  /** Pauses that a brake has begun, in order. */
  readonly braked: PauseNote[] = [];
  private readonly pauses: readonly PauseNote[];
  private readonly brakes: readonly Brake[];
  private readonly draft: Draft;

  constructor({ pauses = [], brakes = [] }: Pick<DecideInput, "pauses" | "brakes">, draft: Draft) {
    this.pauses = pauses;
    this.brakes = brakes;
    this.draft = draft;
  }

  /**
   * The pause that holds for a policy now: one that was there, or one that a brake begins because no attempt is left.
   */
  of(policy: string, atMs: number): UnderPause {
    if (this.pauses.length === 0 && this.brakes.length === 0) return NONE;
    const paused = this.find(policy);
    if (paused === undefined) return NONE;
    const last = this.draft.group?.lastHeldAtMs ?? Number.NEGATIVE_INFINITY;
    return { paused, arrival: Math.max(atMs, last + 1) };
  }

  private find(policy: string): PauseNote | undefined {
    const concerns = ({ scope }: PauseNote): boolean => scope === null || scope === policy;
    const holding = this.pauses.find(concerns);
    if (holding !== undefined) return holding;
    const brake = this.brakes.find(({ pause, attemptsLeft }) => {
      return concerns(pause) && attemptsLeft <= this.draft.attemptsOf(pause.scope);
    });
    return brake?.pause;
  }

  /** Notes that an instance is held; a brake that held it has begun its pause. */
  note(pause: PauseNote): void {
    if (this.pauses.includes(pause) || this.braked.includes(pause)) return;
    this.braked.push(pause);
  }
}
