/** An attempt that this process has dispatched, or is about to, and what the effect port is asked for it. */
import type { EffectRequest, NoticeSubject } from "../../effects/effect-port.ts";
import type { Birth } from "../../instance/audit-types.ts";
import type { Instance } from "../../instance/checkpoint.ts";
import type { Effect } from "../../instance/effect.ts";
import type { Action } from "../../policy/policy.ts";

/**
 * What the commit that emitted an effect left of its instance: read again from the store this is the half of what an
 * attempt costs. It holds for a second: who waited longer for a turn looks whether somebody has cancelled the attempt
 * meanwhile. `birth` null: the instance was made in an earlier commit.
 */
export type JustCommitted = { readonly instance: Instance; readonly birth: Birth | null; readonly atMs: number };

export type Earlier = { readonly heldBy?: string | undefined };

/** An attempt that may be ended from outside. Its signal is made when it is asked for. */
export class Attempt {
  readonly effect: Effect;
  readonly committed: JustCommitted | null;
  #controller: AbortController | null = null;
  #why: Error | null = null;

  constructor(effect: Effect, committed: JustCommitted | null, earlier: Earlier | null) {
    this.effect = effect;
    this.committed = committed;
    this.earlier = earlier;
  }

  /** It was begun before: it is noted when it is begun here. `heldBy`: by whom, as far as the outbox knows. */
  earlier: Earlier | null;

  /** It was given to the effect port. */
  isSent = false;

  /** It was aborted because this process stops, and nobody has cancelled it. */
  isInterrupted = false;

  /** Its result came while it was still out. */
  isAnswered = false;

  /** It has had its turn. */
  isBegun = false;

  get isCancelled(): boolean {
    return this.#why !== null;
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#why !== null) this.#controller.abort(this.#why);
    return this.#controller.signal;
  }

  cancel(why: string): void {
    this.#why ??= new Error(why);
    this.#controller?.abort(this.#why);
  }
}

/**
 * What the port is asked. A class, so that the signal is made only if it is asked for: a getter of an object of its own
 * costs a microsecond.
 */
export class AttemptRequest implements EffectRequest {
  readonly kind: EffectRequest["kind"];
  readonly effectId: string;
  readonly attempt: number;
  readonly token: number | undefined;
  readonly policy: string;
  readonly instance: string;
  readonly alert: EffectRequest["alert"];
  readonly notice: EffectRequest["notice"];
  readonly subject: NoticeSubject | null;
  readonly action: Action;
  readonly #of: Attempt;

  constructor(of: Attempt, { birth, subject, action }: Pick<EffectRequest, "subject" | "action"> & { birth: Birth }) {
    const { effect } = of;
    this.kind = birth.kind;
    this.effectId = effect.id;
    this.attempt = effect.attempt;
    this.token = effect.token;
    this.policy = birth.policy;
    this.instance = effect.instanceId;
    this.alert = birth.alert;
    this.notice = birth.notice;
    this.subject = subject;
    this.action = action;
    this.#of = of;
  }

  get signal(): AbortSignal {
    return this.#of.signal;
  }
}
