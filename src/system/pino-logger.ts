import { openSync } from "node:fs";
import { pino } from "pino";
import { BecalmError, messageOf } from "../model/errors.ts";
import { type Logger, withLines } from "./logger.ts";

/** Lines that wait while the disk is slow; further ones are dropped, so that a full disk never fills the memory too. */
const BUFFER_BYTES_MAX = 16 * 1_024 * 1_024;
/** Lines are written in pieces of at least this size, or after this time. */
const WRITE_BYTES = 32 * 1_024;
const WRITE_BYTES_MAX = 256 * 1_024;
const WRITE_INTERVAL_MS = 500;

/**
 * A reader that takes nothing more (a pager, a full pipe) is waited for while the process works, and then for so long;
 * less when the process exits at once.
 */
const CLOSE_MS_MAX = 1_000;
const EXIT_MS_MAX = 250;

const STDERR_FD = 2;
const INFO_LEVEL = 30;

export type FileLogger = Logger & {
  /** Writes what is left and closes the file. Later lines are dropped. Never rejects. */
  close(): Promise<void>;
};

/**
 * Logs JSON lines to a file (appended to) or, for `-`, to stderr. Asynchronous: `close` before the process ends.
 * Throws BECALM_ARGUMENT_INVALID when the file cannot be opened. A file that cannot be written to later is a warning of
 * the process, once, and never an error of whoever logs.
 */
export function fileLogger(path: string): FileLogger {
  let waitsUntilMs = Number.POSITIVE_INFINITY;
  // Before pino's own listener, which would wait without an end.
  const exits = () => flushAtExit();
  process.once("exit", exits);
  const destination = pino.destination({
    retryEAGAIN: () => performance.now() < waitsUntilMs,
    dest: path === "-" ? STDERR_FD : open(path),
    sync: false,
    minLength: WRITE_BYTES,
    maxWrite: WRITE_BYTES_MAX,
    maxLength: BUFFER_BYTES_MAX,
    periodicFlush: WRITE_INTERVAL_MS,
  });
  let isOpen = true;
  let hasFailed = false;
  const ended = new Promise<void>((resolve) => {
    destination.on("close", () => {
      process.off("exit", exits);
      resolve();
    });
    destination.on("error", (error: Error & { code?: string }) => {
      // A warning goes to stderr too: where that is what failed, nobody is left to read it.
      if (!hasFailed && path !== "-") process.emitWarning(`Log lines to ${path} are lost: ${error.message}`);
      hasFailed = true;
      // A reader that went away does not come back, and a failed write while closing is the last one.
      if (isOpen && error.code !== "EPIPE") return;
      isOpen = false;
      destination.destroy();
      resolve();
    });
  });
  // The destination counts the bytes of all that waits with every write, so lines are handed over once a turn: a fifth
  // of the work that a storm's lines cost (docs/benchmarks.md).
  let pending = "";
  const handOver = () => {
    if (isOpen && pending !== "") destination.write(pending);
    pending = "";
  };
  const write = (line: string) => {
    if (!isOpen) return;
    if (pending === "") queueMicrotask(handOver);
    pending += line;
  };
  const logger = pino({ base: null, timestamp: timeField }, { write });
  // As pino writes them (test/system/log.test.ts compares).
  const lines = (fields: object, message: string) => {
    const common = JSON.stringify(fields).slice(1, -1);
    const [head, end] = [`{"level":${INFO_LEVEL}`, `,"msg":${JSON.stringify(message)}}\n`];
    const before = common === "" ? "," : `,${common},`;
    return (json: string) => write(head + timeField() + before + json + end);
  };
  const close = () => {
    handOver();
    if (isOpen) waitsUntilMs = performance.now() + CLOSE_MS_MAX;
    if (isOpen) destination.end();
    isOpen = false;
    return ended;
  };
  const flushAtExit = () => {
    handOver();
    waitsUntilMs = performance.now() + EXIT_MS_MAX;
    try {
      destination.flushSync();
    } catch {
      // Nobody reads, or the file was never opened.
    }
    destination.destroy();
  };
  return withLines(Object.assign(plain(logger), { close }), lines);
}

let lastTime = { atMs: 0, field: "" };

/** Lines of a storm are written many in a millisecond: its text is made once. */
function timeField(): string {
  const atMs = Date.now();
  if (lastTime.atMs !== atMs) lastTime = { atMs, field: `,"time":"${new Date(atMs).toISOString()}"` };
  return lastTime.field;
}

function plain(logger: pino.Logger): Logger {
  return {
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
    child: (fields) => plain(logger.child(fields)),
  };
}

function open(path: string): number {
  try {
    return openSync(path, "a");
  } catch (cause) {
    const what = `The log file ${path} cannot be opened: ${messageOf(cause)}. Give a path that can be written to, or -.`;
    throw new BecalmError("BECALM_ARGUMENT_INVALID", what, { cause, details: { path } });
  }
}
