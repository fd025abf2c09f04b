/** What a machine file may import: the types of its context and events, and the pure functions that its guards call. */
export { verdictInGroup, verdictWithoutGroup, type Verdict } from "./core/convergence.ts";
export { retryDelayMs } from "./core/policy.ts";
export { type InstanceContext, type InstanceEvent, type InstancePolicy, type InstanceTimerName, initialContext } from "./core/instance.ts";
