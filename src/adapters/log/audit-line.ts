import { ENGINE_ACTOR } from "../../core/audit-types.ts";
import type { LoggedEntry } from "../../core/draft.ts";
import type { Logger } from "../../ports/logger.ts";

/** An audit entry as a log line: the fields under which it can be searched. The audit itself holds all of it. */
export type AuditFields = {
  readonly instance: string;
  readonly version: number;
  /** RFC 3339: when the event happened, in the engine's time. */
  readonly at: string;
  readonly event: string;
  /** States that the step passed, as `Processing > Success > Skipped`. */
  readonly path: string;
  readonly verdict: string | null;
  readonly reason: string;
  readonly actor: string;
};

/** Writes one line per audit entry; its message is `<event> -> <state>`. */
export function logAuditEntry(logger: Logger, logged: LoggedEntry): void {
  logger.info(auditFields(logged), `${logged.entry.event.type} -> ${logged.entry.path.at(-1) ?? "?"}`);
}

export function auditFields({ instance, entry }: LoggedEntry): AuditFields {
  const { event } = entry;
  return {
    instance,
    version: entry.version,
    at: timeText(entry.atMs),
    event: event.type,
    path: entry.path.join(" > "),
    verdict: entry.verdict,
    reason: entry.reason,
    actor: "by" in event && event.by !== undefined ? event.by : ENGINE_ACTOR,
  };
}

let lastTime = { atMs: 0, text: new Date(0).toISOString() };

/** The entries of one commit mostly have the same time. */
function timeText(atMs: number): string {
  if (lastTime.atMs !== atMs) lastTime = { atMs, text: new Date(atMs).toISOString() };
  return lastTime.text;
}
