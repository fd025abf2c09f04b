/**
 * Where log lines go. A pino logger fits. Lines are for people who watch; everything that must not be lost is in the
 * audit.
 */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  /**
   * A logger whose lines have these fields too. Without it the fields go into each line, which says the same and costs
   * more.
   */
  child?(fields: object): Pick<Logger, "debug" | "info" | "warn" | "error">;
}

/**
 * Makes what writes lines at `info` that have some fields and a message in common: it takes the JSON of a line's own
 * fields, as `"name":value,"name":value`. It says what `child` would say and costs a third: a storm writes a line for
 * each alert (docs/decisions/speed-diary.md).
 */
export type WriteLines = (common: object, message: string) => (json: string) => void;

const WRITERS = new WeakMap<Logger, { readonly lines: WriteLines; readonly info: unknown }>();

/** Says that a logger of our own can write lines so. */
export function withLines<Own extends Logger>(logger: Own, lines: WriteLines): Own {
  WRITERS.set(logger, { lines, info: infoOf(logger) });
  return logger;
}

/** null: each line goes through its `info`, as of a copy that counts or changes them. */
export function linesOf(logger: Logger): WriteLines | null {
  const writer = WRITERS.get(logger);
  return writer !== undefined && writer.info === infoOf(logger) ? writer.lines : null;
}

/** Which one it is, not to be called. */
function infoOf(logger: Logger): unknown {
  return Reflect.get(logger, "info");
}

/** A logger that writes nothing. */
export const silentLogger: Logger = { debug: drop, info: drop, warn: drop, error: drop };

function drop(): void {}
