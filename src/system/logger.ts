/** Where log lines go. A pino logger fits as it is. Lines are for people who watch; what must not be lost is in the audit. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  /** A logger whose lines have these fields too. Without it the fields go into each line, which says the same and costs more. */
  child?(fields: object): Pick<Logger, "debug" | "info" | "warn" | "error">;
}
