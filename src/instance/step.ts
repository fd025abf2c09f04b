/**
 * One pure step of an instance through its statechart: snapshot and event in; next snapshot, path and effects out.
 *
 * This is the only file that touches XState's inside. `machine.transition` with one reused inert scope costs a fifth of
 * the public `transition()`, which builds a throw-away actor each time, and one pass gives snapshot, path and actions
 * together. The scope's shape is internal to XState: its minor version is pinned in package.json and
 * test/instance/step.test.ts compares every step with the public API.
 */
import { type AnyActorScope, createEmptyActor } from "xstate";
import { actionInstanceMachine } from "../../machines/action-instance.machine.ts";
import {
  type InstanceContext,
  type InstanceEvent,
  type InstancePolicy,
  type InstanceState,
  initialContext,
} from "../model/instance-types.ts";

/** Where an instance is: the state value as one dotted text, and the context. */
export type Snapshot = { readonly state: StateText; readonly context: InstanceContext };

/** `Processing` never rests in `deciding`, so these nine are all that a checkpoint can hold. */
export const RESTING_STATES = [
  "Idle",
  "Processing.running",
  "Processing.verifying",
  "Proceeding",
  "Success",
  "Failed",
  "Defense",
  "Waiting",
  "Skipped",
] as const;

export type StateText = (typeof RESTING_STATES)[number];

export type StepEffect = "run" | "requestApproval";

export type Step =
  | {
      readonly accepted: true;
      readonly snapshot: Snapshot;
      readonly path: readonly InstanceState[];
      readonly effects: readonly StepEffect[];
    }
  | { readonly accepted: false };

type MachineSnapshot = ReturnType<typeof actionInstanceMachine.resolveState>;
type Microstep = { type: string; snapshot: { value: unknown }; _transitions: readonly Transition[] };
type Transition = { readonly eventType: string; readonly guard?: unknown; readonly target?: readonly unknown[] };

/**
 * A state that a step passed, inner states included, and the transition that led there: its event ("" if it needed
 * none) and its guard.
 */
export type Visit = { readonly state: string; readonly event: string; readonly guard: string };

/**
 * Collects what XState reports while one step runs; emptied before each. Single-threaded and never re-entered, so one
 * is enough.
 */
const collected: { microsteps: Microstep[]; actions: string[] } = { microsteps: [], actions: [] };

const inertScope = {
  self: createEmptyActor(),
  id: "inert",
  sessionId: "inert",
  logger: () => {},
  defer: () => {},
  emit: () => {},
  stopChild: () => {},
  system: {
    _sendInspectionEvent: (event: Microstep) => event.type === "@xstate.microstep" && collected.microsteps.push(event),
  },
  actionExecutor: (action: { type: string }) => collected.actions.push(action.type),
} as unknown as AnyActorScope;

/**
 * One resting snapshot a state; only the context differs between instances, so it is filled in by a spread instead of
 * built anew.
 */
const TEMPLATES = new Map<StateText, MachineSnapshot>(
  RESTING_STATES.map((state) => [
    state,
    actionInstanceMachine.resolveState({
      value: stateValue(state),
      context: {} as InstanceContext,
    }),
  ]),
);

const INITIAL = new WeakMap<InstancePolicy, Snapshot>();

/** The snapshot of an instance that nothing has happened to yet; the same object for all instances of a policy. */
export function initialSnapshot(policy: InstancePolicy): Snapshot {
  const known = INITIAL.get(policy);
  if (known !== undefined) return known;
  const snapshot: Snapshot = { state: "Idle", context: initialContext(policy) };
  INITIAL.set(policy, snapshot);
  return snapshot;
}

/** Top-level state of a resting state: `Processing.running` -> `Processing`. */
export function topLevel(state: StateText): InstanceState {
  return isProcessing(state) ? "Processing" : state;
}

function isProcessing(state: StateText): state is "Processing.running" | "Processing.verifying" {
  return state === "Processing.running" || state === "Processing.verifying";
}

export type StateValue = Exclude<InstanceState, "Processing"> | { readonly Processing: "running" | "verifying" };

/** A resting state as XState writes it: `Processing.running` -> `{ Processing: "running" }`. */
export function stateValue(state: StateText): StateValue {
  if (!isProcessing(state)) return state;
  return { Processing: state === "Processing.running" ? "running" : "verifying" };
}

/**
 * Steps an instance. `accepted: false` means that the state has no edge for the event: nothing changes.
 * `path` lists the top-level states from the one before the event to the one after it.
 */
export function step(snapshot: Snapshot, event: InstanceEvent): Step {
  const template = TEMPLATES.get(snapshot.state) as MachineSnapshot;
  collected.microsteps = [];
  collected.actions = [];
  const next = actionInstanceMachine.transition(
    // XState's snapshots carry methods in their prototype-free body; a spread keeps them.
    { ...template, context: snapshot.context } as MachineSnapshot,
    event,
    inertScope,
  ) as MachineSnapshot;
  if (collected.microsteps[0]?._transitions.length === 0) return { accepted: false };
  const path: InstanceState[] = [topLevel(snapshot.state)];
  for (const microstep of collected.microsteps) {
    const state = topOf(microstep.snapshot.value);
    if (state !== path.at(-1)) path.push(state);
  }
  const effects = collected.actions.filter((type): type is StepEffect => type === "run" || type === "requestApproval");
  return { accepted: true, snapshot: { state: textOf(next.value), context: next.context }, path, effects };
}

/** The way that `step` takes, transition by transition. Empty: it accepts no such event. */
export function visitsOf(snapshot: Snapshot, event: InstanceEvent): Visit[] {
  if (!step(snapshot, event).accepted) return [];
  return collected.microsteps.map(({ snapshot: { value }, _transitions: [transition] }) => {
    const { eventType = "", guard } = transition ?? {};
    return { state: deepest(value), event: eventType, guard: typeof guard === "string" ? guard : "" };
  });
}

function deepest(value: unknown): string {
  if (typeof value === "string") return value;
  const [[outer, inner]] = Object.entries(value as Record<string, string>) as [[string, string]];
  return `${outer}.${inner}`;
}

function topOf(value: unknown): InstanceState {
  return (typeof value === "string" ? value : Object.keys(value as object)[0]) as InstanceState;
}

function textOf(value: unknown): StateText {
  return (
    typeof value === "string" ? value : `Processing.${(value as { Processing: string }).Processing}`
  ) as StateText;
}
