/** What a decision sees of its open group. */
import type { Observation } from "../model/convergence-rule.ts";
import type { GroupView } from "../model/instance-types.ts";
import type { Member, OpenGroup } from "./group.ts";

/** `left`: what the group still counts of the instance that is decided again: its attempt, which is no peer's. */
type ViewOptions = {
  readonly isNew: boolean;
  readonly atMs: number;
  readonly ownVersion: string;
  readonly left?: Member | null;
};

/**
 * What a decision in the open group looks at: numbers of peers only, the instance that is decided is never among them.
 */
export function viewOf(open: OpenGroup, options: ViewOptions): GroupView {
  const since = options.atMs - open.rule.windowMs;
  const left = options.left ?? null;
  const observation: Observation = {
    isNew: options.isNew,
    executed: open.executed - (left === null ? 0 : 1),
    succeeded: open.succeeded,
    failed: open.failed,
    inProgress: open.inProgress,
    settledWithoutFailure: open.settledAtMs.filter((time) => time >= since).length,
    parentOpen: false,
  };
  const view = { observation, count: open.rule.count, peers: open.peers.filter((id) => id !== left?.id) };
  return open.ruleVersion === options.ownVersion ? view : { ...view, ruleVersion: open.ruleVersion };
}

/** Would `viewOf` show the same counts again? */
export function isSeenIn({ observation, peers }: GroupView, open: OpenGroup): boolean {
  return (
    observation.executed === open.executed &&
    observation.succeeded === open.succeeded &&
    observation.failed === open.failed &&
    observation.inProgress === open.inProgress &&
    peers.length === open.peers.length
  );
}
