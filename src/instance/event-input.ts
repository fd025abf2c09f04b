import { BecalmError } from "../model/errors.ts";
import type { OutsideEvent } from "./decide.ts";

/** What a program or a person may send to an instance. `by` and `why` go into the audit. */
export type EventInput =
  | { readonly type: "start"; readonly approved: true; readonly by: string; readonly why: string }
  | { readonly type: "approval.granted"; readonly by: string; readonly why: string }
  | { readonly type: "approval.denied"; readonly by: string; readonly why: string }
  | { readonly type: "cancel"; readonly by: string; readonly why: string }
  | { readonly type: "end"; readonly by: string; readonly why: string }
  | { readonly type: "alert.resolved" };

export const SENDABLE_EVENTS = [
  "start",
  "approval.granted",
  "approval.denied",
  "cancel",
  "end",
  "alert.resolved",
] as const;

const TEXT_LENGTH_MAX = 4_096;

/**
 * Checks an event that comes from outside and dates it.
 * @throws BECALM_ARGUMENT_INVALID: an unknown type, a missing or over-long `by` or `why`, a start without `approved:
 * true`.
 */
export function readEvent(input: unknown, atMs: number): OutsideEvent {
  const event = (typeof input === "object" && input !== null ? input : {}) as Record<string, unknown>;
  const { type } = event;
  if (!(SENDABLE_EVENTS as readonly unknown[]).includes(type)) {
    throw invalid(`Event type ${JSON.stringify(type)} cannot be sent. Send one of ${SENDABLE_EVENTS.join(", ")}.`);
  }
  if (type === "alert.resolved") return { type, atMs };
  const who = { by: text(event, "by"), why: text(event, "why"), atMs };
  if (type === "start") {
    if (event["approved"] !== true)
      throw invalid("A start that is sent means: run anyway. Send { type: 'start', approved: true, by, why }.");
    return { type, approved: true, silence: null, ...who };
  }
  if (type === "approval.granted") return { type, silence: null, ...who };
  return { type: type as "approval.denied" | "cancel" | "end", ...who };
}

function text(event: Record<string, unknown>, key: "by" | "why"): string {
  const value = event[key];
  if (typeof value === "string" && value.trim() !== "" && value.length <= TEXT_LENGTH_MAX) return value;
  throw invalid(
    `Event ${JSON.stringify(event["type"])} needs \`${key}\`: ${key === "by" ? "who acts" : "why"}, a text of 1 to ${TEXT_LENGTH_MAX} characters.`,
  );
}

function invalid(message: string): BecalmError {
  return new BecalmError("BECALM_ARGUMENT_INVALID", message);
}
