import { type Document, isScalar, LineCounter, parseAllDocuments, visit } from "yaml";
import { BecalmError } from "../model/errors.ts";
import { POLICY_FILE_BYTES_MAX, POLICY_MISTAKE_COUNT_MAX } from "../model/limits.ts";
import { exceedsUtf8Bytes } from "../model/utf8.ts";
import type { MistakeReport, PolicyMistake } from "./field-reader.ts";
import { type Located, locatePlain, locateYaml, UnreadableValue } from "./located-value.ts";

/** A parser's message may quote a line of any length: of a file that is not text, that is most of it. */
const PARSER_MESSAGE_CHARS_MAX = 200;

/**
 * Behind the first mistakes of syntax a parser only guesses, and of a file that is something else it has something to
 * say about each word.
 */
const SYNTAX_MISTAKE_COUNT_MAX = 10;

/**
 * The tree of a YAML or JSON text, or undefined after the report was told why there is none. `expected` says what the
 * whole file is.
 */
export function readYamlDocument(text: string, report: MistakeReport, expected: string): Located | undefined {
  const whole = { path: "", place: { line: 1, column: 1 } };
  if (exceedsUtf8Bytes(text, POLICY_FILE_BYTES_MAX)) {
    return report.add(whole, `a file of at most ${POLICY_FILE_BYTES_MAX} bytes`, `${text.length} characters`);
  }
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false, version: "1.2" });
  const [document] = documents;
  const found = documents.flatMap(({ errors, warnings }) => [...errors, ...warnings]);
  for (const [index, { pos, message }] of found.entries()) {
    const offset = message.startsWith(UNCLOSED_QUOTE) ? openingQuote(documents, pos[0]) : pos[0];
    const { line, col } = lines.linePos(offset);
    const place = { path: "", place: { line, column: col } };
    if (index < SYNTAX_MISTAKE_COUNT_MAX) report.add(place, "YAML or JSON", shortened(message));
    else {
      report.add(place, "YAML or JSON", `${found.length - index} more such mistakes from here on`);
      break;
    }
  }
  if (documents.some(({ errors }) => errors.length > 0)) return undefined;
  if (document === undefined || document.contents === null) return report.add(whole, expected, "an empty file");
  if (documents.length > 1) return report.add(whole, "one document", `${documents.length}, separated by ---`);
  return guarded(report, () => locateYaml(document, lines));
}

const UNCLOSED_QUOTE = "Missing closing";

/** The parser finds out at the end of the text that a quote is open; people look for where it was opened. */
function openingQuote(documents: readonly Pick<Document, "contents">[], end: number): number {
  let opened = end;
  for (const { contents } of documents) {
    if (contents === null) continue;
    visit(contents, (_key, node) => {
      const isQuoted = isScalar(node) && (node.type === "QUOTE_DOUBLE" || node.type === "QUOTE_SINGLE");
      if (!isQuoted || node.range == null || node.range[1] < end || node.range[0] > end) return undefined;
      opened = node.range[0];
      return visit.BREAK;
    });
  }
  return opened;
}

/** The tree of a program's plain objects, or undefined after the report was told why there is none. */
export function readPlainDocument(value: unknown, report: MistakeReport): Located | undefined {
  return guarded(report, () => locatePlain(value));
}

/** On one line, whatever the file holds. */
function shortened(message: string): string {
  const line = message.slice(0, PARSER_MESSAGE_CHARS_MAX + 1).replace(/\p{Cc}+/gu, " ");
  return line.length > PARSER_MESSAGE_CHARS_MAX ? `${line.slice(0, PARSER_MESSAGE_CHARS_MAX)}...` : line;
}

/** Mistakes in the order of the file. */
export type FileName = { readonly file?: string };

/** The name of a text in messages. @throws BECALM_ARGUMENT_INVALID for what `call` cannot read */
export function fileNameOf(call: string, text: unknown, { file }: FileName): string {
  if (typeof text === "string" && typeof file === "string") return file;
  const what = typeof text === "string" ? "second { file }, a name for messages" : "the text of a file first";
  throw new BecalmError(
    "BECALM_ARGUMENT_INVALID",
    `${call} takes ${what}. For a program's own objects use createEngine({ policies }) or createDetector({ strategies }).`,
    { details: { call } },
  );
}

export function inFileOrder(mistakes: readonly PolicyMistake[]): PolicyMistake[] {
  return mistakes.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0));
}

/** The message of an error that lists a file's mistakes, one a line. */
export function mistakesText(file: string, mistakes: readonly PolicyMistake[]): string {
  const listed = mistakes.slice(0, POLICY_MISTAKE_COUNT_MAX).map(({ message }) => `  ${message}`);
  if (mistakes.length > listed.length) listed.push(`  and ${mistakes.length - listed.length} more`);
  const count = mistakes.length === 1 ? "1 mistake" : `${mistakes.length} mistakes`;
  return `${file} has ${count}; correct and load it again:\n${listed.join("\n")}`;
}

function guarded(report: MistakeReport, locate: () => Located): Located | undefined {
  try {
    return locate();
  } catch (error) {
    if (!(error instanceof UnreadableValue)) throw error;
    return report.add({ path: "", place: error.place }, "values within the limits", error.message);
  }
}
