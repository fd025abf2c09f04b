/**
 * The inspector's protocol: one JSON text a frame, from the program to its viewer. Pure.
 *
 * Frames are what @statelyai/inspect 0.7.2 sends for an actor of the same machine that takes the same events;
 * test/inspect/protocol.test.ts compares the two. `sessionId` is the instance's id, a group is the parent of its
 * instances. Times are those of the steps, not of the sending.
 */
import type { AnyStateMachine } from "xstate";
import { actionInstanceMachine } from "../../machines/action-instance.machine.ts";
import { convergenceGroupMachine } from "../../machines/convergence-group.machine.ts";
import type { Redact } from "./redaction.ts";

const VERSION = "0.7.2";

/** Who a frame is about. `parentId`: its group. */
export type ActorAddress = {
  readonly machine: AnyStateMachine;
  readonly sessionId: string;
  readonly parentId: string | null;
};

export type ActorEvent = { readonly type: string } & Readonly<Record<string, unknown>>;

/** State as dotted text, as instance/step.ts and the groups keep it. */
export type ActorSnapshot = { readonly state: string; readonly context: object };

export type Frames = {
  actor(address: ActorAddress, snapshot: ActorSnapshot, atMs: number): string;
  event(address: ActorAddress, event: ActorEvent, how: { atMs: number; sourceId?: string | undefined }): string;
  snapshot(address: ActorAddress, snapshot: ActorSnapshot, how: { atMs: number; event: ActorEvent }): string;
};

export function instanceAddress(id: string, groupId: string | null): ActorAddress {
  return { machine: actionInstanceMachine, sessionId: id, parentId: groupId };
}

export function groupAddress(id: string): ActorAddress {
  return { machine: convergenceGroupMachine, sessionId: id, parentId: null };
}

export function frames(redact: Redact): Frames {
  const definitions = new WeakMap<AnyStateMachine, string>();
  const definitionFor = (machine: AnyStateMachine): string => {
    const known = definitions.get(machine) ?? definitionOf(machine, redact);
    definitions.set(machine, known);
    return known;
  };
  const body = ({ state, context }: ActorSnapshot) => persisted(state, redact("context", context));
  return {
    actor: (address, snapshot, atMs) =>
      JSON.stringify({
        type: "@xstate.actor",
        name: address.machine.id,
        ...base(address, atMs),
        parentId: address.parentId ?? undefined,
        definition: definitionFor(address.machine),
        snapshot: body(snapshot),
      }),
    event: (address, event, { atMs, sourceId }) =>
      JSON.stringify({ type: "@xstate.event", ...base(address, atMs), sourceId, event: redact("event", event) }),
    snapshot: (address, snapshot, { atMs, event }) =>
      JSON.stringify({
        type: "@xstate.snapshot",
        ...base(address, atMs),
        event: redact("event", event),
        snapshot: body(snapshot),
      }),
  };
}

function base({ sessionId, parentId }: ActorAddress, atMs: number) {
  return { _version: VERSION, createdAt: String(atMs), id: null, sessionId, rootId: parentId ?? sessionId };
}

/** What XState's snapshot of a state machine is as JSON. */
function persisted(state: string, context: unknown) {
  return { status: "active", value: stateValue(state), context, children: {}, historyValue: {}, tags: [] };
}

/** `Processing.running` -> `{ Processing: "running" }` */
export function stateValue(state: string): string | Record<string, string> {
  const [outer, inner] = state.split(".") as [string, string | undefined];
  return inner === undefined ? outer : { [outer]: inner };
}

/** JSON text of the machine's config: keys in order, a function as its name, nothing cut off however deep it lies. */
export function definitionOf(machine: AnyStateMachine, redact: Redact): string {
  return JSON.stringify(redact("definition", plain(machine.config)));
}

function plain(value: unknown): unknown {
  if (typeof value === "function") return { type: value.name };
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(plain);
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, child]) => [key, plain(child)]));
}
