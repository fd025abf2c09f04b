/**
 * Where a command's words go: results to stdout, everything that is for people who watch (progress, notes, errors) to
 * stderr. A reader of stdout that has gone away (`becalm ls | head -1`) ends the command quietly, unless its exit code
 * is a verdict: then it goes on without a word.
 */
import { once } from "node:events";
import pico from "picocolors";
import { BecalmError, errorCode, messageOf } from "../model/errors.ts";
import { ENGLISH_UTC, type Reader } from "../present/reader.ts";
import { exitCodeOf } from "./exit-codes.ts";

export type Colors = ReturnType<typeof pico.createColors>;

export type Terminal = {
  /** Writes one line of the result. Resolves when stdout takes more. */
  out(line: string): Promise<void>;
  /** Writes one line for people to stderr. */
  note(line: string): void;
  /** The same value as one JSON line of the result. */
  json(value: unknown): Promise<void>;
  /** Replaces the line that is being updated on stderr; the empty text removes it. Only if `isWatched`. */
  status(line: string): void;
  /** Somebody looks at stderr while the command runs. */
  readonly isWatched: boolean;
  readonly outColors: Colors;
  /** Of the screen that stdout is; 80 when it is none. */
  readonly columns: number;
  readonly noteColors: Colors;
  /** From now on the command goes on without a reader: its exit code is a verdict. */
  outlivesReader(): void;
  /** Who reads it (`--lang`, `--tz`). */
  readonly reader: Reader;
  /** `reader.say`. */
  readonly say: Reader["say"];
};

/** The same for another reader. */
export function readBy(terminal: Terminal, reader: Reader): Terminal {
  return { ...terminal, reader, say: reader.say };
}

const COLUMNS_ELSEWHERE = 80;
const READER_GONE_EXIT_CODE = 0;

export function terminal(): Terminal {
  const { stdout, stderr } = process;
  let hasStatus = false;
  let outlivesReader = false;
  let hasReader = true;
  const wipe = () => {
    if (hasStatus) stderr.write("\r\u001b[2K");
    hasStatus = false;
  };
  stderr.on("error", () => {});
  const out = (line: string): Promise<void> => {
    wipe();
    if (!hasReader || stdout.write(`${line}\n`)) return Promise.resolve();
    // An error ends the waiting, too; what follows from it is said below.
    return once(stdout, "drain").then(
      () => {},
      () => {},
    );
  };
  const made: Terminal = {
    out,
    json: (value) => out(JSON.stringify(value)),
    note: (line) => {
      wipe();
      stderr.write(`${line}\n`);
    },
    status: (line) => {
      wipe();
      if (line === "") return;
      stderr.write(line.slice(0, (stderr.columns ?? 80) - 1));
      hasStatus = true;
    },
    isWatched: stderr.isTTY === true,
    columns: stdout.isTTY ? stdout.columns : COLUMNS_ELSEWHERE,
    outColors: pico.createColors(hasColors(stdout)),
    noteColors: pico.createColors(hasColors(stderr)),
    outlivesReader: () => {
      outlivesReader = true;
    },
    reader: ENGLISH_UTC,
    say: ENGLISH_UTC.say,
  };
  stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") process.exit(tellError(made, outputFailed(error)));
    // The reader has gone: exit quietly.
    if (!outlivesReader) process.exit(READER_GONE_EXIT_CODE);
    hasReader = false;
  });
  return made;
}

function outputFailed(cause: Error): BecalmError {
  const what = `The result cannot be written to stdout: ${messageOf(cause)}. Make room, or send it elsewhere, and run the command again.`;
  return new BecalmError("BECALM_OUTPUT_FAILED", what, { cause });
}

/** NO_COLOR (no-color.org) wins over everything. */
function hasColors(stream: { isTTY?: boolean }): boolean {
  const { NO_COLOR, FORCE_COLOR, TERM } = process.env;
  if (NO_COLOR !== undefined && NO_COLOR !== "") return false;
  if (FORCE_COLOR !== undefined && FORCE_COLOR !== "" && FORCE_COLOR !== "0") return true;
  return stream.isTTY === true && TERM !== "dumb";
}

/** Tells an error and answers the exit code that it means. An error without a code is a mistake of the program. */
export function tellError(terminal: Terminal, error: unknown): number {
  const { red, bold, dim } = terminal.noteColors;
  const code = errorCode(error);
  terminal.note(`${red(bold(`error ${code ?? "UNEXPECTED"}:`))} ${messageOf(error)}`);
  const wantsStack = Boolean(process.env["DEBUG"] || process.env["BECALM_DEBUG"]);
  if (wantsStack && error instanceof Error) {
    terminal.note(dim(error.stack ?? ""));
    if (error.cause !== undefined)
      terminal.note(dim(`caused by ${error.cause instanceof Error ? error.cause.stack : messageOf(error.cause)}`));
  } else if (code === undefined) {
    terminal.note(dim("This is a mistake of the program, not yours. BECALM_DEBUG=1 shows where it happened."));
  }
  return exitCodeOf(error);
}
