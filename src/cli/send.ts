/** `becalm send`: an event to one instance. */

import { nearestName } from "../formats/nearest-name.ts";
import type { Instance } from "../instance/checkpoint.ts";
import { type EventInput, SENDABLE_EVENTS } from "../instance/event-input.ts";
import { type ActOptions, act } from "./act.ts";
import { usedWrongly } from "./exit-codes.ts";
import type { Terminal } from "./terminal.ts";

export type SendOptions = ActOptions & { readonly id: string; readonly event: string };

export async function send(terminal: Terminal, options: SendOptions): Promise<number> {
  const event = eventOf(options);
  return act(terminal, options, {
    command: "send",
    done: () => ({ en: `${event.type} was sent`, zh: `已发送 ${event.type}` }),
    policyOf: async (instances, { id }) => (await instances.instance(id)).policy,
    commit: async (instances, { id }): Promise<Instance[]> => [await instances.send(id, event)],
  });
}

function eventOf({ event, by, why }: SendOptions): EventInput {
  if (event === "alert.resolved") return { type: event };
  if (!(SENDABLE_EVENTS as readonly string[]).includes(event)) {
    const nearest = nearestName(event, SENDABLE_EVENTS);
    throw usedWrongly(
      `Unknown event "${event}".${nearest === null ? "" : ` Did you mean ${nearest}?`} Send one of ${SENDABLE_EVENTS.join(", ")}.`,
    );
  }
  const type = event as Exclude<EventInput["type"], "alert.resolved">;
  const who = requireWho({ by, why });
  return type === "start" ? { type, approved: true, ...who } : { type, ...who };
}

/** What people do is audited with their name and their reason. */
export function requireWho({ by, why }: { by?: string | undefined; why?: string | undefined }): {
  by: string;
  why: string;
} {
  if (by === undefined || by.trim() === "") throw usedWrongly("Say who acts: --by WHO. It goes into the audit.");
  if (why === undefined || why.trim() === "") throw usedWrongly("Say why: --why TEXT. It goes into the audit.");
  return { by, why };
}
