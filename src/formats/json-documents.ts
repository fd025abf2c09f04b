/** A text that is not a JSON value a line: a pretty-printed value, or several of them one after the other. */
import { jsonValueAt, skipSpace } from "./json-position.ts";

export type JsonDocument = {
  /** The line on which it begins. */
  readonly line: number;
  readonly text: string;
  /** False for what is left behind the last whole one: it stops being JSON somewhere. */
  readonly isWhole: boolean;
};

/** Does the line end inside a value that it begins? Then it may be the first line of a pretty-printed one. */
export function beginsDocument(line: string): boolean {
  const start = skipSpace(line, 0);
  if (line[start] !== "{" && line[start] !== "[") return false;
  const { end, isWhole } = jsonValueAt(line, start);
  return !isWhole && end >= line.length;
}

export function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** The values of the text, which begins on `firstLine`. */
export function jsonDocuments(text: string, firstLine: number): JsonDocument[] {
  // The usual case, and JSON.parse is several times as fast as finding the end of a value.
  if (isJson(text)) return [{ line: firstLine, text, isWhole: true }];
  const documents: JsonDocument[] = [];
  let line = firstLine;
  let offset = 0;
  for (let start = skipSpace(text, 0); start < text.length; start = skipSpace(text, offset)) {
    const { end, isWhole } = jsonValueAt(text, start);
    const stop = isWhole ? end : text.length;
    line += lineBreaks(text, offset, start);
    documents.push({ line, text: text.slice(start, stop), isWhole });
    line += lineBreaks(text, start, stop);
    offset = stop;
  }
  return documents;
}

function lineBreaks(text: string, from: number, to: number): number {
  let count = 0;
  for (let at = text.indexOf("\n", from); at !== -1 && at < to; at = text.indexOf("\n", at + 1)) count += 1;
  return count;
}
