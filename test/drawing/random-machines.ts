import fc from "fast-check";
import { type AnyStateMachine, createMachine } from "xstate";

/** Small machines of any shape: up to eight states, nested up to three deep, with edges between any two of them. */

interface Plan {
  readonly states: readonly { readonly key: string; readonly parent: number }[];
  readonly edges: readonly {
    readonly from: number;
    readonly to: number;
    readonly event: string;
    readonly guard: string;
  }[];
}

const word = fc.oneof(
  fc.constantFrom("Idle", "a", "b.c", "<&>\"'", "end", "state", "等待", "*", "a very long name of one single state"),
  fc.string({ minLength: 1, maxLength: 12 }),
);

const event = fc.constantFrom("", "go", "timer.elapsed", "<&>", "an.event.with.a.rather.long.name");
const guard = fc.constantFrom("", "is_ready", "a < b && c > d");

const plan: fc.Arbitrary<Plan> = fc.integer({ min: 1, max: 8 }).chain((count) => {
  const index = fc.integer({ min: 0, max: count - 1 });
  return fc.record({
    states: fc.array(fc.record({ key: word, parent: fc.integer({ min: -4, max: count - 1 }) }), {
      minLength: count,
      maxLength: count,
    }),
    edges: fc.array(fc.record({ from: index, to: index, event, guard }), { maxLength: 24, size: "max" }),
  });
});

interface Config {
  id: string;
  initial?: string;
  states: Record<string, Config>;
  on: Record<string, unknown[]>;
  always: unknown[];
}

/** A state's parent is an earlier state, so that there is no circle; a repeated key gets a number. */
function machineOf({ states, edges }: Plan): AnyStateMachine {
  const configs = states.map((_, index): Config => ({ id: `n${index}`, states: {}, on: {}, always: [] }));
  const root: { id: string; initial?: string; states: Record<string, Config> } = { id: "random", states: {} };
  states.forEach(({ key, parent }, index) => {
    const owner = parent >= 0 && parent < index ? configs[parent]! : root;
    const name = Object.hasOwn(owner.states, key) || key === "__proto__" ? `${key}${index}` : key;
    owner.states[name] = configs[index]!;
    owner.initial ??= name;
  });
  for (const edge of edges) {
    const transition = { target: `#n${edge.to}`, ...(edge.guard === "" ? {} : { guard: edge.guard }) };
    const config = configs[edge.from]!;
    if (edge.event === "") config.always.push(transition);
    else config.on[edge.event] = [...(config.on[edge.event] ?? []), transition];
  }
  return createMachine(root as Parameters<typeof createMachine>[0]);
}

export const randomMachine: fc.Arbitrary<AnyStateMachine> = plan.map(machineOf);
