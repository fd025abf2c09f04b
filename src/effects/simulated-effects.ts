/** Attempts of which nobody outside hears: what a simulation assumes of them is their result. */
import type { EffectRequest, EffectResult, OpenEffectPort } from "./effect-port.ts";

/** What an attempt is assumed to end with. */
export type Assumed = "ok" | "failed";

/**
 * By policy; `*` stands for every policy that is not named. The first word is for the first attempt of an instance, the
 * second for its second, and the last one for all further ones.
 */
export type Assumptions = ReadonlyMap<string, readonly Assumed[]>;

export const ALL_SUCCEED: Assumptions = new Map();

/** What history and audit say of an attempt that nobody made. */
const SUCCEEDED: EffectResult = { ok: true, result: "simulated" };
const FAILED: EffectResult = { ok: false, error: "simulated: assumed to fail" };

/** Depends on the attempt alone, so it is the same in a second run and after a crash. Notices always succeed. */
export function assumedResult(
  { kind, policy, attempt }: Pick<EffectRequest, "kind" | "policy" | "attempt">,
  assumptions: Assumptions,
): EffectResult {
  const words = kind === "action" ? (assumptions.get(policy) ?? assumptions.get("*") ?? []) : [];
  return words[Math.min(attempt, words.length) - 1] === "failed" ? FAILED : SUCCEEDED;
}

/** `onRequest` hears of each attempt, as whoever performed it would. */
export function simulatedEffects(
  assumptions: Assumptions,
  onRequest: (request: EffectRequest) => void = () => {},
): OpenEffectPort {
  return (complete) => ({
    dispatch: (effect, request) => {
      onRequest(request);
      complete(effect, assumedResult(request, assumptions));
    },
  });
}
