#!/usr/bin/env node
/** The command. This file is tiny, so that `becalm --version` costs hardly more than starting Node; all else is loaded when it is needed. */
import { packageVersion } from "./package-files.ts";

const args = process.argv.slice(2);

if (args.length === 1 && (args[0] === "--version" || args[0] === "-V")) {
  process.stdout.write(`${packageVersion()}\n`);
} else {
  const { runProgram } = await import("./program.ts");
  process.exitCode = await runProgram(args);
}
