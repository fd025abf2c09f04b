/** What an effect is: the kind of its action, or the kind of a notice. */
export const EFFECT_KINDS = ["webhook", "exec", "log", "handler", "summary", "approval-request"] as const;

export type EffectKind = (typeof EFFECT_KINDS)[number];
