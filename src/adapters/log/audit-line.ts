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

/** So many equal entries in a row are worth a logger of their own: a line of pino's costs 3 us and 0.5 us a field. */
const EQUAL_COUNT_MIN = 4;

/**
 * Writes one line per audit entry; its message is `<event> -> <state>`. In a storm neighbours share one entry (core/outcome.ts): then only
 * the instance is written anew.
 */
export function logAuditEntries(logger: Logger, logged: readonly LoggedEntry[]): void {
  for (let from = 0, to = 0; from < logged.length; from = to) {
    const { entry } = logged[from] as LoggedEntry;
    while (to < logged.length && logged[to]?.entry === entry) to += 1;
    logEqual(logger, logged.slice(from, to), entry);
  }
}

function logEqual(logger: Logger, logged: readonly LoggedEntry[], entry: LoggedEntry["entry"]): void {
  const fields = auditFields(entry);
  const message = `${entry.event.type} -> ${entry.path.at(-1) ?? "?"}`;
  const child = logged.length < EQUAL_COUNT_MIN ? undefined : logger.child?.(fields);
  for (const { instance } of logged) {
    if (child === undefined) logger.info({ instance, ...fields }, message);
    else child.info({ instance }, message);
  }
}

export function auditFields(entry: LoggedEntry["entry"]): Omit<AuditFields, "instance"> {
  const { event } = entry;
  return {
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
