import type { InspectTarget } from "./inspected.ts";
import { type InspectionObserver, observerTarget } from "./observer.ts";

/** A server of `createInspectServer`, or whatever XState takes as `inspect`. */
export type Inspect = InspectTarget | InspectionObserver;

/** `onFault`: an observer threw. */
export function inspectTarget(inspect: Inspect, onFault: (error: unknown) => void): InspectTarget {
  return isTarget(inspect) ? inspect : observerTarget(inspect, onFault);
}

function isTarget(inspect: Inspect): inspect is InspectTarget {
  return typeof inspect === "object" && "attach" in inspect;
}
