import type { History, Notice } from "../instance/audit-types.ts";
import type { Effect } from "../instance/effect.ts";
import type { Alert } from "../model/alert.ts";
import type { Action } from "../policy/policy.ts";

/** One attempt of an action, with all that it needs to run. */
export type EffectRequest = {
  /** `action`: what the alert asks for. The other two are the engine's notices. */
  readonly kind: "action" | "summary" | "approval-request";
  readonly effectId: string;
  readonly attempt: number;
  /**
   * Rises with every attempt that begins in the convergence group: a target that has seen a greater one refuses.
   * Missing: no rule governs the instance (its own attempts are told apart by `attempt`), or it is a notice.
   */
  readonly token?: number | undefined;
  readonly policy: string;
  /** Instance id. */
  readonly instance: string;
  /** null for notices. */
  readonly alert: Alert | null;
  /** null for actions. */
  readonly notice: Notice | null;
  /** What a notice is about; null for actions, and if it is gone. */
  readonly subject: NoticeSubject | null;
  readonly action: Action;
  /**
   * Fires when the instance is cancelled or the engine stops for good. Whoever runs the attempt adds the action's own
   * timeout. It may be made when it is asked for: that costs more than an attempt that ends at once.
   */
  readonly signal: AbortSignal;
};

/**
 * `history`: of the instance that waits for a person, or that opened the summarised group. `heldCount`: how many an
 * answer for its group decides.
 */
export type NoticeSubject = { readonly history: History; readonly heldCount: number | null };

/** `result` is what the target answered, bounded in size: it goes into the audit. */
export type EffectResult =
  | { readonly ok: true; readonly result?: unknown }
  | { readonly ok: false; readonly error: string; readonly result?: unknown };

/**
 * Hands attempts to whoever runs them: this process, or another one. Their results come to `complete`, so whoever runs
 * an attempt need not be who dispatched it. Delivery is at least once; the machine accepts one result of an attempt.
 */
export interface EffectPort {
  /**
   * Never throws: whatever goes wrong is a failed result with a sentence. `complete` may be called before this returns.
   */
  dispatch(effect: Effect, request: EffectRequest): void;
}

/** Takes the result of an attempt, whoever dispatched it. */
export type CompleteEffect = (effect: Effect, result: EffectResult) => void;

/**
 * The attempt goes on elsewhere: its result comes by `untilMs`, or not at all. It is not begun again meanwhile, also
 * after a restart.
 */
export type AwaitEffect = (effect: Effect, untilMs: number) => void;

/** A port is opened with the one who takes its results. */
export type OpenEffectPort = (complete: CompleteEffect, awaited: AwaitEffect) => EffectPort;
