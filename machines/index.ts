export { actionInstanceMachine } from "./action-instance.machine.ts";
export { convergenceGroupMachine } from "./convergence-group.machine.ts";
