import { ENGINE_ACTOR } from "../instance/audit-types.ts";
import type { LoggedEntry } from "../instance/draft.ts";
import type { Logger } from "./logger.ts";

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

/** Kinds of lines that are remembered: events, paths, reasons and actors that come together. */
const KIND_COUNT_MAX = 256;

/** Writes a line of one kind. */
type WriteLine = (own: Pick<AuditFields, "instance" | "version" | "at">) => void;

/**
 * Writes one line per audit entry; its message is `<event> -> <state>`. Entries of a kind have all fields but three in common: those are given
 * to the logger once, for a line of pino's costs half a microsecond a field.
 */
export class AuditLog {
  readonly #logger: Logger;
  readonly #kinds = new Map<string, WriteLine>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  write(logged: readonly LoggedEntry[]): void {
    let before: LoggedEntry["entry"] | null = null;
    let writeLine: WriteLine = () => {};
    for (const { instance, entry } of logged) {
      // In a storm neighbours share one entry (instance/outcome-memo.ts).
      if (entry !== before) writeLine = this.#kindOf(entry);
      before = entry;
      writeLine({ instance, version: entry.version, at: timeText(entry.atMs) });
    }
  }

  #kindOf(entry: LoggedEntry["entry"]): WriteLine {
    const kind = `${entry.event.type} ${entry.path.join(">")} ${entry.verdict} ${entry.reason} ${actorOf(entry)}`;
    const known = this.#kinds.get(kind);
    if (known !== undefined) return known;
    const writeLine = this.#lineOf(commonFields(entry), `${entry.event.type} -> ${entry.path.at(-1) ?? "?"}`);
    if (this.#kinds.size >= KIND_COUNT_MAX) this.#kinds.clear();
    this.#kinds.set(kind, writeLine);
    return writeLine;
  }

  #lineOf(common: CommonFields, message: string): WriteLine {
    const child = this.#logger.child?.(common);
    if (child !== undefined) return (own) => child.info(own, message);
    return (own) => this.#logger.info({ ...common, ...own }, message);
  }
}

type CommonFields = Omit<AuditFields, "instance" | "version" | "at">;

function commonFields(entry: LoggedEntry["entry"]): CommonFields {
  return {
    event: entry.event.type,
    path: entry.path.join(" > "),
    verdict: entry.verdict,
    reason: entry.reason,
    actor: actorOf(entry),
  };
}

function actorOf({ event }: LoggedEntry["entry"]): string {
  return "by" in event && event.by !== undefined ? event.by : ENGINE_ACTOR;
}

let lastTime = { atMs: 0, text: new Date(0).toISOString() };

/** The entries of one commit mostly have the same time. */
function timeText(atMs: number): string {
  if (lastTime.atMs !== atMs) lastTime = { atMs, text: new Date(atMs).toISOString() };
  return lastTime.text;
}
