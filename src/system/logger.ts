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

/** Of our own loggers: makes what writes lines at `info` that have some fields and a message in common. */
export const LINES = Symbol("lines");

/**
 * A logger that is given the JSON of a line's own fields, as `"name":value,"name":value`. It says what `child` would
 * say and costs a third: a storm writes a line for each alert (docs/decisions/speed-diary.md).
 */
export type LineLogger = Logger & {
  readonly [LINES]?: (common: object, message: string) => (json: string) => void;
};
