import { assign, setup } from "xstate";

/**
 * The life of a convergence group, as a chart to look at and to test against. The engine keeps groups as plain numbers
 * (src/convergence/group.ts), which is faster; test/convergence/convergence-group-machine.test.ts drives both with the
 * same events and compares them.
 */

export type GroupContext = {
  /** The rule's threshold: the instance that makes the number of matching ones reach it opens the group. */
  readonly count: number;
  /** The rule's `max_window`, else `window`, in milliseconds. */
  readonly lastsMs: number;
  /** The rule's function keeps a group with a peer in progress or a waiter open past its window. */
  readonly lingers: boolean;
  readonly endsAtMs: number;
  readonly inProgress: number;
  readonly waiters: number;
};

export type GroupEvent =
  /** An instance arrives; `matching` counts it and the forming ones inside the window. */
  | { readonly type: "instance.arrived"; readonly atMs: number; readonly matching: number }
  /** A step of an instance changed who is in progress and who waits. */
  | { readonly type: "peers.changed"; readonly atMs: number; readonly inProgress: number; readonly waiters: number };

export const convergenceGroupMachine = setup({
  types: {
    context: {} as GroupContext,
    events: {} as GroupEvent,
    input: {} as Pick<GroupContext, "count" | "lastsMs" | "lingers">,
  },
  guards: {
    count_reached: ({ context, event }) => event.type === "instance.arrived" && event.matching >= context.count,
    busy: ({ context }) => context.lingers && (context.inProgress > 0 || context.waiters > 0),
    in_window: ({ context, event }) => event.atMs <= context.endsAtMs,
    count_is_one: ({ context }) => context.count === 1,
  },
  actions: {
    open: assign(({ context, event }) => ({ endsAtMs: event.atMs + context.lastsMs })),
    close: assign({ inProgress: 0, waiters: 0 }),
    count: assign(({ event }) =>
      event.type === "peers.changed" ? { inProgress: event.inProgress, waiters: event.waiters } : {},
    ),
  },
}).createMachine({
  id: "convergence-group",
  context: ({ input }) => ({ ...input, endsAtMs: 0, inProgress: 0, waiters: 0 }),
  initial: "Forming",
  states: {
    Forming: {
      description: "Fewer instances than the rule's count: each is decided without a group.",
      on: { "instance.arrived": { guard: "count_reached", target: "Open", actions: "open" } },
    },
    Open: {
      description: "Takes instances up to and at its end.",
      on: {
        "peers.changed": { actions: "count" },
        "instance.arrived": [{ guard: "in_window" }, { guard: "busy", target: "Lingering" }, { target: "Closed" }],
      },
    },
    Lingering: {
      description: "Past its window, but a peer is in progress or somebody waits: it still takes instances.",
      on: {
        "peers.changed": { actions: "count" },
        "instance.arrived": [{ guard: "busy" }, { target: "Closed" }],
      },
    },
    Closed: {
      description: "The next instance starts afresh: it is the first of a new formation.",
      entry: "close",
      always: [{ guard: "count_is_one", target: "Open", actions: "open" }, { target: "Forming" }],
    },
  },
});
