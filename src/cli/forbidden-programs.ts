import { actionsOf, type PolicySet } from "../policy/policy.ts";

export type ProgramRules = {
  readonly allowExec: boolean;
  readonly leaveEffects: boolean;
  readonly observe: boolean;
};

/** What to say of policies whose programs this server may not start; null: there are none. Their attempts would fail. */
export function forbiddenPrograms(
  { policies }: Pick<PolicySet, "policies">,
  { allowExec, leaveEffects, observe }: ProgramRules,
): string | null {
  if (allowExec || leaveEffects || observe) return null;
  const starting = policies.filter(
    (policy) => policy.mode !== "observe" && actionsOf(policy).some(({ kind }) => kind === "exec"),
  );
  if (starting.length === 0) return null;
  const names = starting.map(({ name }) => `"${name}"`).join(", ");
  return `Policies that start programs, which this server may not: ${names}. Their attempts will fail: give --allow-exec, or --leave-effects and a worker that may.`;
}
