/** The options of `becalm detect`. */
import { InvalidArgumentError, Option } from "commander";
import { RECORD_FORMATS } from "../formats/record-format-names.ts";

export function detectOptions(): Option[] {
  return [
    new Option("--strategies <file>", "YAML or JSON, see docs/strategies.md").makeOptionMandatory(),
    new Option(
      "--records <file...>",
      "files of records, also compressed; several are merged by time; - for stdin",
    ).default([]),
    new Option("--format <format>", "of all inputs; default: by their first bytes and names").choices([
      ...RECORD_FORMATS,
    ]),
    new Option("--delimiter <char>", "between the cells of a CSV, or `tab`; default: a comma"),
    new Option("--sort", "sort each input by time as a whole; files far out of order are sorted anyway"),
    new Option("--live", "let the clock of a silent pipe run on, however old its records are"),
    new Option("--enrich <file>", "CSV: labels for alerts, by a dimension that its first column names"),
    new Option("--checkpoints", "show how far each level of each series has looked; read no records"),
    new Option("--stream <name>", "detections of different streams do not see each other").default("default"),
    new Option("--source <name>", "name by which a restart recognises a single input; default: its path, or stdin"),
    new Option(
      "--from-seq <n>",
      "report stored alerts again from this number on; default: those not reported yet",
    ).argParser(sequenceNumber),
    new Option("--no-flush", "more records will follow: leave the newest points waiting for them"),
    new Option("--strict", "exit 1 if a record was rejected, or a strategy found nothing or can never fire"),
    new Option("--log <file>", "append a JSON line for each alert, rejected row and warning; - for stderr"),
    new Option("--quiet", "no progress, no rejected rows and no counts on stderr"),
  ];
}

function sequenceNumber(given: string): number {
  if (/^\d{1,15}$/.test(given) && Number(given) >= 1) return Number(given);
  throw new InvalidArgumentError("Give a whole number of at least 1.");
}
