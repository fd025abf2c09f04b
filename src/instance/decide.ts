/**
 * The heart: what a batch of commands changes. Pure: same input, same decision.
 *
 * Everything that a decision needs of the world (time, stored state, silences, whether the dimension lock was busy)
 * comes in with the input; everything that it changes comes out as data, for ONE commit. Nothing of a decision is true
 * before that commit.
 */

import { armWake, draftOf, dropQuarantined, isUnchanged, newGroup } from "../convergence/group.ts";
import { Tallies } from "../convergence/tally.ts";
import { type CommandResult, type DecideInput, type Decision, timeOf } from "./decision.ts";
import { Draft } from "./draft.ts";
import type { Outcomes } from "./outcome.ts";
import { rememberedOutcomes } from "./outcome-memo.ts";
import { CommandTaker } from "./take-command.ts";
import { groupTimers, includesTimer, sameTimers } from "./timer-changes.ts";

export type {
  Command,
  CommandOutcome,
  CommandResult,
  DecideInput,
  Decision,
  GroupTimer,
  OutsideEvent,
} from "./decision.ts";

const NONE = { has: () => false };

/** `outcomes`: how instances are stepped. Both ways give the same bytes; tests compare. */
export function decide(input: DecideInput, outcomes: Outcomes = rememberedOutcomes()): Decision {
  const firstAtMs = input.commands.map(timeOf).reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  const group =
    input.groupId === null
      ? null
      : input.group === null
        ? newGroup(input.groupId, policyNameOf(input), firstAtMs)
        : draftOf(input.group);
  const draft = new Draft({
    group,
    partition: input.partition,
    stored: input.instances,
    turn: input.turn,
    outcomes,
    tallies: new Tallies(input.tallies),
    isCountingInGroup: input.isCountingInGroup === true,
    process: input.process,
  });
  const timersBefore = groupTimers(input.group);
  const isDropped = group !== null && dropQuarantined(group, input.quarantined ?? NONE);
  if (isDropped && group.waiters > 0 && group.wake === null) armWake(group, { denied: null, atMs: group.lastAtMs });
  const taker = new CommandTaker(input, draft);
  const results = input.commands.map((command) => {
    const result = taker.take(command);
    if (group !== null) group.lastAtMs = Math.max(group.lastAtMs, timeOf(command));
    return result;
  });
  const instances = draft.changed();
  const timersAfter = groupTimers(group);
  const isEmpty = instances.length === 0 && !isDropped && sameTimers(timersBefore, timersAfter);
  return {
    results: results.length === 1 ? results : results.map((result) => latest(result, draft)),
    isEmpty,
    group,
    isGroupChanged: group !== null && (input.group === null || !isUnchanged(input.group, group)),
    instances,
    entries: draft.entries,
    effects: draft.effects,
    memberChanges: draft.memberChanges,
    tallies: draft.tallies.writes(),
    attempts: draft.attempts,
    braked: taker.stops.braked,
    groupTimersArmed: timersAfter.filter((timer) => !includesTimer(timersBefore, timer)),
    groupTimersCancelled: timersBefore.filter((timer) => !includesTimer(timersAfter, timer)),
  };
}

/** A later command of the batch may have taken the instance further. */
function latest(result: CommandResult, draft: Draft): CommandResult {
  const instance = result.instance === null ? null : (draft.get(result.instance.id) ?? null);
  return instance === result.instance ? result : { outcome: result.outcome, instance };
}

function policyNameOf(input: DecideInput): string {
  const command = input.commands.find((candidate) => candidate.type === "create");
  if (command !== undefined) return command.policy.policy.name;
  return [...input.instances.values()].find((instance) => instance.groupId === input.groupId)?.policy ?? "";
}
