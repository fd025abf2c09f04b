const TOKEN = /[{}[\]:,]|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;

/** What may come next: a value, a key, a mark, or nothing more. */
type Expectation = "value" | "value or ]" | "key" | "key or }" | ":" | ", or end" | "nothing";

/**
 * Where a text stops being JSON: the offset of the first token that cannot stand there (the text's length when it ends
 * too early). Asked only after JSON.parse has refused the text: its own messages name a position for some mistakes
 * only.
 */
export function jsonErrorOffset(text: string): number {
  const { end, isWhole } = jsonValueAt(text, 0);
  return isWhole ? skipSpace(text, end) : end;
}

/** The value that begins at `start`, or behind the white space there: where it ends, or where it stops being JSON. */
export function jsonValueAt(text: string, start: number): { readonly end: number; readonly isWhole: boolean } {
  const open: string[] = [];
  let expected: Expectation = "value";
  let offset = start;
  while (expected !== "nothing") {
    const begin = skipSpace(text, offset);
    const token = readToken(text, begin);
    const next: Expectation | null = token.isValid ? after(expected, token.kind, open) : null;
    if (next === null) return { end: token.isValid ? begin : token.end, isWhole: false };
    expected = next;
    offset = token.end;
  }
  return { end: offset, isWhole: true };
}

/** `kind` is the mark itself, "text" or "scalar"; of a token that is not valid `end` is where it goes wrong. */
type Token = { readonly kind: string; readonly end: number; readonly isValid: boolean };

function readToken(text: string, start: number): Token {
  if (text[start] === '"') return readText(text, start);
  TOKEN.lastIndex = start;
  const token = TOKEN.exec(text)?.[0];
  if (token === undefined) return { kind: "", end: start, isValid: false };
  return { kind: "{}[]:,".includes(token) ? token : "scalar", end: start + token.length, isValid: true };
}

/** By hand: a text may be megabytes long, which overflows the stack of a pattern with a repeated choice. */
function readText(text: string, start: number): Token {
  let end = start + 1;
  while (end < text.length && text[end] !== '"') {
    if (text.charCodeAt(end) < 0x20) return { kind: "text", end, isValid: false };
    if (text[end] !== "\\") {
      end += 1;
      continue;
    }
    ESCAPE.lastIndex = end;
    const escaped = ESCAPE.exec(text)?.[0];
    if (escaped === undefined) return { kind: "text", end, isValid: false };
    end += escaped.length;
  }
  return end < text.length ? { kind: "text", end: end + 1, isValid: true } : { kind: "text", end, isValid: false };
}

/** The first offset from `start` on that is not white space of JSON. */
export function skipSpace(text: string, start: number): number {
  let offset = start;
  while (offset < text.length && " \t\n\r".includes(text[offset] as string)) offset += 1;
  return offset;
}

/**
 * What is expected after the token, or null when the token cannot stand here. `open` holds the brackets that are open.
 */
function after(expected: Expectation, token: string, open: string[]): Expectation | null {
  if (token === "]" || token === "}") return close(expected, token, open);
  if (expected === "key" || expected === "key or }") return token === "text" ? ":" : null;
  if (expected === ":") return token === ":" ? "value" : null;
  if (expected === ", or end") return token === "," ? (open.at(-1) === "{" ? "key" : "value") : null;
  if (token === "{" || token === "[") {
    open.push(token);
    return token === "{" ? "key or }" : "value or ]";
  }
  return token === "," || token === ":" ? null : afterValue(open);
}

function close(expected: Expectation, token: "]" | "}", open: string[]): Expectation | null {
  const isAllowed = expected === ", or end" || expected === (token === "]" ? "value or ]" : "key or }");
  if (!isAllowed || open.at(-1) !== (token === "]" ? "[" : "{")) return null;
  open.pop();
  return afterValue(open);
}

function afterValue(open: readonly string[]): Expectation {
  return open.length === 0 ? "nothing" : ", or end";
}
