import type { Strategy } from "../detection/core/strategy.ts";
import { BecalmError } from "../model/errors.ts";
import { MistakeReport, type PolicyMistake } from "./field-reader.ts";
import type { Located } from "./located-value.ts";
import { readStrategies } from "./strategy-reader.ts";
import {
  type FileName,
  fileNameOf,
  inFileOrder,
  mistakesText,
  readPlainDocument,
  readYamlDocument,
} from "./yaml-document.ts";

/** `strategies` holds what could be read; it is the file's meaning only if there are no mistakes. */
export type ParsedStrategies = {
  readonly strategies: readonly Strategy[];
  readonly mistakes: readonly PolicyMistake[];
};

/** Reads a strategy file, YAML or JSON, and lists all its mistakes with line, column and path. Never throws. */
export function parseStrategies(text: string, { file }: { file: string }): ParsedStrategies {
  const report = new MistakeReport(file);
  return finish(readYamlDocument(text, report, "a map with the key strategies"), report);
}

/** Reads a strategy file. Throws BECALM_STRATEGY_INVALID whose message and `details.mistakes` list all mistakes. */
export function loadStrategies(text: string, options: FileName = {}): readonly Strategy[] {
  const file = fileNameOf("loadStrategies", text, { file: "strategies", ...options });
  return orThrow(parseStrategies(text, { file }), file);
}

/** The strategies of a program's plain objects, in the file's form. Throws BECALM_STRATEGY_INVALID. */
export function strategiesFrom(input: { readonly strategies: readonly unknown[] }): readonly Strategy[] {
  const report = new MistakeReport("strategies");
  return orThrow(finish(readPlainDocument(input, report), report), report.file);
}

function finish(root: Located | undefined, report: MistakeReport): ParsedStrategies {
  const strategies = root === undefined ? [] : readStrategies(root, report);
  return { strategies, mistakes: inFileOrder(report.mistakes) };
}

function orThrow({ strategies, mistakes }: ParsedStrategies, file: string): readonly Strategy[] {
  if (mistakes.length === 0) return strategies;
  throw new BecalmError("BECALM_STRATEGY_INVALID", mistakesText(file, mistakes), { details: { file, mistakes } });
}
