/**
 * The requests of a file, as texts. Most files hold a JSON value a line and are read as they grow. If the first line
 * ends inside a value, the file is read whole: one pretty-printed value, or several one after the other.
 */
import { beginsDocument, isJson, jsonDocuments } from "../formats/json-documents.ts";
import type { TextLine } from "../formats/text-lines.ts";
import { REQUEST_LINE_BYTES_MAX } from "../model/limits.ts";

/** Blank lines are left out. */
export async function* requestTexts(lines: AsyncIterable<TextLine>): AsyncGenerator<TextLine> {
  let held: TextLine[] = [];
  let isLineByLine = false;
  let length = 0;
  for await (const line of lines) {
    const isBlank = line.text.trim() === "";
    if (isLineByLine) {
      if (!isBlank) yield line;
      continue;
    }
    if (held.length === 0 && isBlank) continue;
    held.push(line);
    length += line.text.length + 1;
    const [first] = held;
    isLineByLine = line.isTooLong || length > REQUEST_LINE_BYTES_MAX || (first === line && !beginsDocument(line.text));
    if (!isLineByLine) continue;
    yield* withoutBlank(held);
    held = [];
  }
  if (held.length > 0) yield* documentsOf(held);
}

/** A torn line at the beginning of a file of lines does not make the rest of it one broken document. */
function documentsOf(held: readonly TextLine[]): readonly TextLine[] {
  const lines = withoutBlank(held);
  const text = held.map((line) => line.text).join("\n");
  const documents = jsonDocuments(text, held[0]?.line ?? 1);
  const isTorn = documents[0]?.isWhole === false && lines.length > 1 && isJson(lines[1]?.text ?? "");
  return isTorn ? lines : documents.map(({ line, text }) => ({ line, text, isTooLong: false }));
}

function withoutBlank(lines: readonly TextLine[]): TextLine[] {
  return lines.filter(({ text }) => text.trim() !== "");
}
