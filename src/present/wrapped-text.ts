import { columnsOf } from "./text-width.ts";

/**
 * Cuts a text at spaces (in Chinese not behind a comma, where it holds a sentence together), and within a word (or a
 * text without spaces) that is longer than a line.
 */
export function wrapped(text: string, columns: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/(?<!，) /).flatMap((one) => pieces(one, columns))) {
    const longer = line === "" ? word : `${line} ${word}`;
    if (columnsOf(longer) > columns && line !== "") {
      lines.push(line);
      line = word;
    } else {
      line = longer;
    }
  }
  return [...lines, line];
}

/** The same, and the lines after the first stand two columns further in. */
export function wrappedIn(text: string, columns: number): string[] {
  if (columnsOf(text) <= columns) return [text];
  return wrapped(text, columns - 2).map((line, index) => (index === 0 ? line : `  ${line}`));
}

function pieces(word: string, columns: number): string[] {
  if (columnsOf(word) <= columns) return [word];
  const found: string[] = [];
  let piece = "";
  for (const character of word) {
    if (columnsOf(piece + character) > columns) {
      found.push(piece);
      piece = "";
    }
    piece += character;
  }
  return [...found, piece];
}
