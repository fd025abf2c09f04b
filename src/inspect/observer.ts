/**
 * XState inspection observers: they see the events that `createActor(machine, { inspect })` would give them, without an
 * actor.
 */
import type { ActorRefLike, AnyActorRef, AnyStateMachine, InspectionEvent, Snapshot } from "xstate";
import type { InspectedCommit, InspectTarget, PendingCommit } from "./inspected.ts";
import { type ActorAddress, type ActorSnapshot, groupAddress, stateValue } from "./protocol.ts";
import { type Listener, Telling } from "./telling.ts";

/**
 * What XState takes as `inspect`: a function, or an object with `next`, such as the `inspect` of @statelyai/inspect's
 * inspectors.
 */
export type InspectionObserver =
  | ((event: InspectionEvent) => void)
  | { readonly next?: (event: InspectionEvent) => void };

/**
 * Instances and groups whose references are kept, so that an observer may compare them; later ones push out the oldest.
 */
const KEPT_COUNT_MAX = 20_000;

/**
 * What an observer of XState reads of an actor. Nothing can be sent through it: events go to an instance by
 * `engine.get(id).send`.
 */
class InspectedRef implements ActorRefLike {
  readonly sessionId: string;
  readonly id: string;
  readonly logic: AnyStateMachine;
  readonly _parent: InspectedRef | undefined;
  #latest: () => Snapshot<unknown>;

  constructor(address: ActorAddress, parent: InspectedRef | undefined, at: ActorSnapshot) {
    this.sessionId = address.sessionId;
    this.id = address.sessionId;
    this.logic = address.machine;
    this._parent = parent;
    this.#latest = snapshotOf(this.logic, at);
  }

  readonly send = (): void => {};

  readonly getSnapshot: AnyActorRef["getSnapshot"] = () => this.#latest();

  /** Gives what reads the snapshot of this very step, also after later ones. */
  moveTo(at: ActorSnapshot): () => Snapshot<unknown> {
    this.#latest = snapshotOf(this.logic, at);
    return this.#latest;
  }
}

/** Made when it is asked for, once: it costs more than all else here. */
function snapshotOf(machine: AnyStateMachine, { state, context }: ActorSnapshot): () => Snapshot<unknown> {
  let made: Snapshot<unknown> | null = null;
  return () => {
    made ??= machine.resolveState({ value: stateValue(state), context });
    return made;
  };
}

/** `onFault`: the observer threw. Whatever it throws stays here: the step that it was told of is durable already. */
export function observerTarget(observer: InspectionObserver, onFault: (error: unknown) => void): InspectTarget {
  const next = typeof observer === "function" ? observer : (event: InspectionEvent) => observer.next?.(event);
  const telling = new Telling(
    observing((event) => {
      try {
        next(event);
      } catch (error) {
        onFault(error);
      }
    }),
  );
  const commit = (commit: InspectedCommit) => telling.commit(commit);
  return {
    isWatched: true,
    attach: () => ({ committed: (pending: PendingCommit) => commit(pending.read()), detach: () => {} }),
    replayed: (commits) => commits.forEach(commit),
  };
}

function observing(next: (event: InspectionEvent) => void): Listener {
  const refs = new Map<string, InspectedRef>();
  const refOf = (address: ActorAddress, snapshot: ActorSnapshot): InspectedRef => {
    const known = refs.get(address.sessionId);
    if (known !== undefined) return known;
    const { parentId } = address;
    const unknownState = { state: "Forming", context: {} };
    const parent = parentId === null ? undefined : refOf(groupAddress(parentId), unknownState);
    const made = new InspectedRef(address, parent, snapshot);
    refs.set(address.sessionId, made);
    const oldest = refs.size > KEPT_COUNT_MAX ? refs.keys().next() : null;
    if (oldest !== null && oldest.done !== true) refs.delete(oldest.value);
    return made;
  };
  const rootId = ({ sessionId, parentId }: ActorAddress) => parentId ?? sessionId;
  return {
    actor: (address, snapshot) => {
      const actorRef = refOf(address, snapshot);
      actorRef.moveTo(snapshot);
      next({ type: "@xstate.actor", rootId: rootId(address), actorRef });
    },
    event: (address, event, { sourceId }) => {
      const sourceRef = sourceId === undefined ? undefined : refs.get(sourceId);
      const actorRef = refs.get(address.sessionId);
      if (actorRef !== undefined) next({ type: "@xstate.event", rootId: rootId(address), actorRef, sourceRef, event });
    },
    snapshot: (address, snapshot, { event }) => {
      const actorRef = refOf(address, snapshot);
      const at = actorRef.moveTo(snapshot);
      const root = rootId(address);
      // A getter: an observer that does not look at the snapshot does not pay for it.
      next({
        type: "@xstate.snapshot",
        rootId: root,
        actorRef,
        event,
        get snapshot() {
          return at();
        },
      });
    },
  };
}
