/** What a policy file says that is allowed and most likely not meant. */
import { formatDuration } from "../model/duration.ts";
import type { Policy, PolicySet } from "./policy.ts";

/** One sentence a warning, in the order of the file. */
export function policyWarnings({ policies }: PolicySet): string[] {
  return policies.flatMap((policy) => [...warningsOfAgain(policy), ...warningsOfVerify(policy)]);
}

/**
 * At exactly its end a group still takes an alert, so one that is decided again then, or before, meets the same full
 * group.
 */
function warningsOfAgain({ name, again, converge }: Policy): string[] {
  if (again === undefined) return [];
  if (converge === null) return [`Policy "${name}" says \`again\`, but has no rule that could skip anything.`];
  const lastsMs = converge.maxWindowMs ?? converge.windowMs;
  const last = again.afterMs * again.limit;
  const group = `its group lasts ${formatDuration(lastsMs)}`;
  if (last <= lastsMs)
    return [
      `Policy "${name}" decides again for the last time after ${formatDuration(last)}, but ${group}: make it longer.`,
    ];
  if (again.afterMs <= lastsMs)
    return [
      `Policy "${name}" decides again after ${formatDuration(again.afterMs)}, but ${group}: make \`after\` longer.`,
    ];
  return [];
}

function warningsOfVerify({ name, verify, action }: Policy): string[] {
  if (verify === undefined || action.kind !== "log") return [];
  return [`Policy "${name}" verifies what a log line did: nothing can resolve by it.`];
}
