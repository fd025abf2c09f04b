#!/usr/bin/env node
/**
 * The command. This file is tiny, so that `becalm --version` costs hardly more than starting Node; all else is loaded
 * when it is needed.
 */
import { packageVersion } from "./package-files.ts";

const args = process.argv.slice(2);
const isVersion = args.length === 1 && (args[0] === "--version" || args[0] === "-V");

// As the terminal does for all else (terminal.ts): exit quietly if the reader has gone; report a full disk.
function outputFailed({ code, message }: NodeJS.ErrnoException): void {
  if (code !== "EPIPE")
    process.stderr.write(
      `error BECALM_OUTPUT_FAILED: The result cannot be written to stdout: ${message}. Make room, or send it elsewhere.\n`,
    );
  process.exitCode = code === "EPIPE" ? 0 : 1;
}

if (isVersion) {
  process.stdout.on("error", outputFailed).write(`${packageVersion()}\n`);
} else {
  const { runProgram } = await import("./program.ts");
  process.exitCode = await runProgram(args);
}
