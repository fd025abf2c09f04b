import type { Notice } from "../instance/audit-types.ts";
import type { Alert } from "../model/alert.ts";
import type { Action } from "../policy/policy.ts";

/** One attempt of an action, with all that it needs to run. */
export type EffectRequest = {
  /** `action`: what the alert asks for. The other two are the engine's notices. */
  readonly kind: "action" | "summary" | "approval-request";
  readonly effectId: string;
  readonly attempt: number;
  readonly policy: string;
  /** Instance id. */
  readonly instance: string;
  /** null for notices. */
  readonly alert: Alert | null;
  /** null for actions. */
  readonly notice: Notice | null;
  readonly action: Action;
  /**
   * Fires when the instance is cancelled or the engine stops for good. The port adds the action's own timeout. It may be made when it is
   * asked for: that costs more than an attempt that ends at once.
   */
  readonly signal: AbortSignal;
};

/** `result` is what the target answered, bounded in size: it goes into the audit. */
export type EffectResult =
  | { readonly ok: true; readonly result?: unknown }
  | { readonly ok: false; readonly error: string; readonly result?: unknown };

/** Runs attempts. Delivery is at least once; the caller sees to it that only one result is accepted. */
export interface EffectPort {
  /** Never throws or rejects: whatever goes wrong is a failed result with a sentence. What ends at once is answered at once. */
  run(request: EffectRequest): EffectResult | Promise<EffectResult>;
}
