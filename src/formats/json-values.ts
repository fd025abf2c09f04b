/**
 * The values of a JSON text that comes in pieces: those of one top-level array, or those that follow one another, on as
 * many lines as they like. Only the value that is not finished is kept.
 */
export type JsonText = { readonly line: number; readonly text: string; readonly isTooLong: boolean };

const [QUOTE, BACKSLASH, OPEN_MAP, CLOSE_MAP, OPEN_LIST, CLOSE_LIST, COMMA, BREAK] = [34, 92, 123, 125, 91, 93, 44, 10];

export class JsonValues {
  readonly #charsMax: number;
  #line = 1;
  #depth = 0;
  #isInList = false;
  #isInText = false;
  #isEscaped = false;
  /** Beginning of a value that earlier pieces hold; null: no value is open. */
  #open: { line: number; text: string } | null = null;
  #isAtStart = true;

  constructor(charsMax: number) {
    this.#charsMax = charsMax;
  }

  feed(piece: string): JsonText[] {
    const values: JsonText[] = [];
    let start = 0;
    for (let at = this.#skipMark(piece); at < piece.length; at += 1) {
      const code = piece.charCodeAt(at);
      if (code === BREAK) this.#line += 1;
      if (this.#open === null) {
        if (!this.#begins(code)) continue;
        this.#open = { line: this.#line, text: "" };
        start = at;
      }
      const end = this.#follow(code);
      if (end === "inside") continue;
      this.#finish(piece.slice(start, end === "behind" ? at : at + 1), values);
      if (end === "behind" && code === CLOSE_LIST) this.#isInList = false;
    }
    this.#keep(piece.slice(start));
    return values;
  }

  /** What is left when the text ends: a bare word, or a value that was never closed. */
  end(): JsonText[] {
    const values: JsonText[] = [];
    if (this.#open !== null) this.#finish("", values);
    return values;
  }

  #skipMark(piece: string): number {
    const isMark = this.#isAtStart && piece.startsWith("\ufeff");
    this.#isAtStart = this.#isAtStart && piece === "";
    return isMark ? 1 : 0;
  }

  #begins(code: number): boolean {
    if (code <= 32 || code === COMMA) return false;
    if (code === OPEN_LIST && !this.#isInList) {
      this.#isInList = true;
      return false;
    }
    if (code === CLOSE_LIST && this.#isInList) {
      this.#isInList = false;
      return false;
    }
    return true;
  }

  /** Where in the value the character is: inside, its last one, or behind a bare word. */
  #follow(code: number): "inside" | "last" | "behind" {
    if (this.#isInText) return this.#followText(code);
    if (code === QUOTE) this.#isInText = true;
    else if (code === OPEN_MAP || code === OPEN_LIST) this.#depth += 1;
    else if (this.#depth === 0) {
      if (code <= 32 || code === COMMA || code === CLOSE_LIST) return "behind";
      return code === CLOSE_MAP ? "last" : "inside";
    } else if (code === CLOSE_MAP || code === CLOSE_LIST) {
      this.#depth -= 1;
      return this.#depth === 0 ? "last" : "inside";
    }
    return "inside";
  }

  #followText(code: number): "inside" | "last" {
    if (this.#isEscaped) this.#isEscaped = false;
    else if (code === BACKSLASH) this.#isEscaped = true;
    else if (code === QUOTE) {
      this.#isInText = false;
      return this.#depth === 0 ? "last" : "inside";
    }
    return "inside";
  }

  #finish(tail: string, values: JsonText[]): void {
    const { line, text } = this.#open as { line: number; text: string };
    const whole = text + tail;
    const isTooLong = whole.length > this.#charsMax;
    values.push({ line, text: isTooLong ? whole.slice(0, this.#charsMax) : whole, isTooLong });
    this.#open = null;
    this.#depth = 0;
    this.#isInText = false;
    this.#isEscaped = false;
  }

  #keep(tail: string): void {
    const open = this.#open;
    // One more than a value may have says that it is too long; the rest of it is thrown away.
    if (open !== null && open.text.length <= this.#charsMax) open.text += tail;
  }
}
