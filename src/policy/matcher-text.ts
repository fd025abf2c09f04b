/** What a quoted or unquoted text of a matcher says: its escapes decoded as one of Alertmanager's two parsers does. */

/** Where a text cannot be decoded (UTF-16 units from its start), and what would have been right there. */
export type TextMistake = { readonly offset: number; readonly expected: string };

/** The older parser: `\"`, `\\` and `\n` are escapes, every other backslash stands for itself. Takes every text. */
export function decodeClassic(text: string): string {
  return text.replace(/\\(["\\n])/g, (_, escaped: string) => (escaped === "n" ? "\n" : escaped));
}

const PIECE = /\\(?:x([0-9a-fA-F]{2})|([0-3][0-7]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([abfnrtv\\"]))|[^\\\n]+/y;
const NAMED: Readonly<Record<string, number>> = { a: 7, b: 8, f: 12, n: 10, r: 13, t: 9, v: 11, "\\": 92, '"': 34 };

/** The UTF-8 parser: the text between quotes is a string of Go; its escapes may be bytes too (`\xf0\x9f\x99\x82`). */
export function decodeGo(text: string): string | TextMistake {
  if (!/[\\\n]/.test(text)) return text;
  const bytes: number[] = [];
  PIECE.lastIndex = 0;
  while (PIECE.lastIndex < text.length) {
    const offset = PIECE.lastIndex;
    const piece = PIECE.exec(text);
    if (piece === null) return { offset, expected: expectedAt(text, offset) };
    const [whole, hex, octal, short, long, named] = piece;
    const byte = hex !== undefined ? Number.parseInt(hex, 16) : octal !== undefined ? Number.parseInt(octal, 8) : null;
    const point = short ?? long;
    if (byte !== null) bytes.push(byte);
    else if (named !== undefined) bytes.push(NAMED[named] as number);
    else if (point === undefined) bytes.push(...new TextEncoder().encode(whole));
    else if (isCharacter(Number.parseInt(point, 16)))
      bytes.push(...new TextEncoder().encode(String.fromCodePoint(Number.parseInt(point, 16))));
    else return { offset, expected: "the number of a Unicode character" };
  }
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(bytes));
  } catch {
    return { offset: 0, expected: "escapes that make up UTF-8" };
  }
}

function isCharacter(codePoint: number): boolean {
  return codePoint <= 0x10ffff && !(codePoint >= 0xd800 && codePoint <= 0xdfff);
}

function expectedAt(text: string, offset: number): string {
  if (text[offset] === "\n") return "no line break inside quotes (write \\n)";
  const refused = text.slice(offset, offset + 2);
  return `an escape of Go (${refused} is not one; write \\${refused} for a backslash, also in a regular expression)`;
}
