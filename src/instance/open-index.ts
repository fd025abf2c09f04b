/**
 * What an instance is found under while it is not at rest, so that listing those who wait for a person does not read
 * the others. What has no place here is at rest, and retention may remove it.
 */
import type { InstanceState } from "../model/instance-types.ts";
import type { Instance } from "./checkpoint.ts";

/** Nothing can happen to it by itself any longer: no attempt, no timer, nobody is asked. */
export function isAtRest({ snapshot, parked }: Instance): boolean {
  if (parked !== null) return false;
  if (snapshot.state === "Idle") return snapshot.context.closed;
  if (snapshot.state === "Failed") return snapshot.context.timers.retry === undefined;
  if (snapshot.state === "Skipped") {
    const { reconsider, silence } = snapshot.context.timers;
    return reconsider === undefined && silence === undefined;
  }
  return snapshot.state === "Success";
}

const NOTHING: readonly string[] = [];
const PLACES = new Map<string, readonly string[]>();

/** Its state, while it is not at rest. Equal places are the same array. */
export function openUnder(instance: Instance | null): readonly string[] {
  if (instance === null || isAtRest(instance)) return NOTHING;
  const state = instance.snapshot.state.split(".", 1)[0] as string;
  const places = PLACES.get(state) ?? [state];
  PLACES.set(state, places);
  return places;
}

/** Every instance in these states is found under them; in another one only those that are not at rest. */
export const OPEN_STATES = [
  "Processing",
  "Proceeding",
  "Defense",
  "Waiting",
] as const satisfies readonly InstanceState[];

export function isOpenState(state: string | undefined): state is string {
  return OPEN_STATES.some((open) => open === state);
}
