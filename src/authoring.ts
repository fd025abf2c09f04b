/** What a machine file may import: the types of its context and events, and the pure functions that its guards call. */
export { type Verdict, verdictInGroup, verdictWithoutGroup } from "./core/convergence.ts";
export {
  type InstanceContext,
  type InstanceEvent,
  type InstancePolicy,
  type InstanceTimerName,
  initialContext,
} from "./core/instance.ts";
export { retryDelayMs } from "./core/policy.ts";
