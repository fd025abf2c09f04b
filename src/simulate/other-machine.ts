/**
 * Another version of the action-instance statechart, beside the one of this program: which recorded histories it takes
 * another way, and what it makes of stored instances. It is stepped through XState's public API. Pure, as far as the
 * other machine is.
 */
import { type AnyStateMachine, transition } from "xstate";
import { isMachineEvent } from "../instance/audit-types.ts";
import type { Instance } from "../instance/checkpoint.ts";
import { stateValue, step } from "../instance/step.ts";
import { canonicalJson } from "../model/canonical-json.ts";
import { BecalmError, messageOf } from "../model/errors.ts";
import type { InstanceEvent } from "../model/instance-types.ts";
import { instanceAfter, type Trail } from "./replay.ts";

/** The first step that goes another way. */
export type OtherWay = {
  readonly version: number;
  readonly event: string;
  readonly was: string;
  readonly now: string;
};

/** @throws BECALM_ARGUMENT_INVALID if the module exports no statechart for instances */
export function machineIn(module: Readonly<Record<string, unknown>>, file: string): AnyStateMachine {
  const found = [module["actionInstanceMachine"], module["default"]].find(isMachine);
  if (found !== undefined) return found;
  throw new BecalmError(
    "BECALM_ARGUMENT_INVALID",
    `${file} exports no statechart. Export one made by XState's createMachine as \`actionInstanceMachine\`, or as the default.`,
    { details: { file } },
  );
}

function isMachine(value: unknown): value is AnyStateMachine {
  return typeof value === "object" && value !== null && "transition" in value && "resolveState" in value;
}

/**
 * null: the other machine goes the same way to the end. Both take the events that are recorded, with all that these
 * hold.
 */
export function otherWay(machine: AnyStateMachine, history: Trail): OtherWay | null {
  let { snapshot } = instanceAfter(history, 0);
  let other = restored(machine, snapshot);
  for (const { event, version } of history.entries) {
    if (!isMachineEvent(event)) continue;
    const own = step(snapshot, event);
    const theirs = stepped(machine, other, event);
    const was = own.accepted ? textOf(stateValue(own.snapshot.state), own.effects) : "refuses it";
    const now = theirs === null ? "refuses it" : textOf(theirs.snapshot.value, theirs.effects);
    if (was !== now) return { version, event: event.type, was, now };
    if (!own.accepted || theirs === null) continue;
    const field = differingField(own.snapshot.context, theirs.snapshot.context as object);
    if (field !== null) return { version, event: event.type, was: `${was} with its ${field}`, now: `another ${field}` };
    snapshot = own.snapshot;
    other = theirs.snapshot;
  }
  return null;
}

/** What is wrong with an instance in the other machine; empty: nothing. */
export function misfits(machine: AnyStateMachine, { snapshot }: Instance): string[] {
  let other: OtherSnapshot;
  try {
    other = restored(machine, snapshot);
  } catch (error) {
    return [`would be quarantined: the machine has no state ${snapshot.state} (${messageOf(error)})`];
  }
  return Object.entries(snapshot.context.timers).flatMap(([name, timer]) => {
    if (timer === undefined || name === "pause" || name === "silence" || name === "reconsider") return [];
    const event = { type: "timer.elapsed", atMs: timer.dueAtMs, timer: name, arm: timer.arm } as InstanceEvent;
    return stepped(machine, other, event) === null ? [`would lose its timer ${name}: no edge takes it`] : [];
  });
}

type OtherSnapshot = ReturnType<AnyStateMachine["resolveState"]>;

function restored(machine: AnyStateMachine, { state, context }: Instance["snapshot"]): OtherSnapshot {
  return machine.resolveState({ value: stateValue(state), context });
}

type OtherStep = { readonly snapshot: OtherSnapshot; readonly effects: readonly string[] };

/** null: the state has no edge for the event. */
function stepped(machine: AnyStateMachine, before: OtherSnapshot, event: InstanceEvent): OtherStep | null {
  const [snapshot, actions] = transition(machine, before, event);
  const effects = actions
    .map(({ type }): string => type)
    .filter((type) => type === "run" || type === "requestApproval");
  const isSame = canonicalJson([snapshot.value, snapshot.context]) === canonicalJson([before.value, before.context]);
  return isSame && effects.length === 0 ? null : { snapshot, effects };
}

function textOf(value: unknown, effects: readonly string[]): string {
  const state =
    typeof value === "string"
      ? value
      : Object.entries(value as object)
          .flat()
          .join(".");
  return effects.length === 0 ? state : `${state} (${effects.join(", ")})`;
}

/** The first field of the context that the machines leave differently. */
function differingField(own: object, theirs: object): string | null {
  const names = [...new Set([...Object.keys(own), ...Object.keys(theirs)])];
  const textIn = (from: object, name: string) => canonicalJson((from as Record<string, unknown>)[name] ?? null);
  return names.find((name) => textIn(own, name) !== textIn(theirs, name)) ?? null;
}
