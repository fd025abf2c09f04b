import type { InstanceEvent } from "../model/instance-types.ts";
import { type EventInput, readEvent, SENDABLE_EVENTS } from "./event-input.ts";
import { type Snapshot, step } from "./step.ts";

/** Which of the events that may be sent an instance's state takes at `atMs`: each is tried on the machine. */
export function acceptedEvents(snapshot: Snapshot, atMs: number): EventInput["type"][] {
  return SENDABLE_EVENTS.filter((type) => {
    const event = readEvent({ type, approved: true, by: "anybody", why: "to see" }, atMs);
    const isLooking = event.type === "start" || event.type === "approval.granted";
    return step(snapshot, (isLooking ? { ...event, group: null } : event) as InstanceEvent).accepted;
  });
}

export function acceptedText(snapshot: Snapshot, atMs: number): string {
  return acceptedEvents(snapshot, atMs).join(", ") || "none that may be sent";
}
