/** What a machine file may import: the types of its context and events, and the pure functions that its guards call. */
export { type Verdict, verdictInGroup, verdictWithoutGroup } from "./convergence/convergence.ts";
export {
  HELD_DUE_AT_MS,
  type InstanceContext,
  type InstanceEvent,
  type InstancePolicy,
  type InstanceTimerName,
  initialContext,
} from "./model/instance-types.ts";
export { retryDelayMs } from "./model/retry.ts";
