/** `becalm machine`: the picture of a machine. */
import { actionInstanceMachine, convergenceGroupMachine } from "../../machines/index.ts";
import { type DrawingFormat, drawChart } from "../drawing/index.ts";
import { nearestName } from "../formats/nearest-name.ts";
import { EXIT, usedWrongly } from "./exit-codes.ts";
import type { Terminal } from "./terminal.ts";

const MACHINES = { "action-instance": actionInstanceMachine, "convergence-group": convergenceGroupMachine } as const;

export type MachineOptions = { readonly name?: string | undefined; readonly format: DrawingFormat };

export async function machine(
  terminal: Terminal,
  { name = "action-instance", format }: MachineOptions,
): Promise<number> {
  await terminal.out(drawChart(machineNamed(name), { format }).trimEnd());
  return EXIT.done;
}

function machineNamed(name: string): (typeof MACHINES)[keyof typeof MACHINES] {
  const names = Object.keys(MACHINES);
  if (Object.hasOwn(MACHINES, name)) return MACHINES[name as keyof typeof MACHINES];
  const nearest = nearestName(name, names);
  throw usedWrongly(
    `Unknown machine "${name}".${nearest === null ? "" : ` Did you mean ${nearest}?`} The machines are ${names.join(" and ")}.`,
  );
}
