import type { AuditEntry } from "../../src/instance/audit-types.ts";

/** The attempts whose results a history has accepted, in order. That one began again in another process is no result. */
export function acceptedResults(entries: readonly AuditEntry[]): number[] {
  return entries.flatMap(({ event }) =>
    event.type === "effect.done" || event.type === "effect.failed" ? [event.attempt] : [],
  );
}
