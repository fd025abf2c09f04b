/** A line of a text that comes in pieces. `isTooLong`: `text` is only its beginning. */
export type TextLine = { readonly line: number; readonly text: string; readonly isTooLong: boolean };

/**
 * Cuts pieces of text into lines, without the `\n` or `\r\n` at their ends and without a byte order mark at the start.
 * A line longer than `charsMax` is cut there, and the rest of it thrown away, so that memory stays bounded on any
 * input.
 */
export class TextLines {
  readonly #charsMax: number;
  #rest = "";
  #line = 1;
  #isSkipping = false;
  #isAtStart = true;

  constructor(charsMax: number) {
    this.#charsMax = charsMax;
  }

  feed(piece: string): TextLine[] {
    const lines: TextLine[] = [];
    let start = 0;
    if (this.#isAtStart && piece !== "") {
      this.#isAtStart = false;
      if (piece.startsWith("\ufeff")) start = 1;
    }
    for (let end = piece.indexOf("\n", start); end !== -1; end = piece.indexOf("\n", start)) {
      this.#take(piece.slice(start, end), lines);
      start = end + 1;
    }
    this.#keep(piece.slice(start), lines);
    return lines;
  }

  /** The last line, if it has no line break at its end. */
  end(): TextLine[] {
    const lines: TextLine[] = [];
    if (this.#rest !== "") this.#take("", lines);
    return lines;
  }

  #take(tail: string, lines: TextLine[]): void {
    const whole = this.#rest === "" ? tail : this.#rest + tail;
    const text = whole.endsWith("\r") ? whole.slice(0, -1) : whole;
    if (!this.#isSkipping) lines.push(this.#cut(text));
    this.#rest = "";
    this.#isSkipping = false;
    this.#line += 1;
  }

  #keep(tail: string, lines: TextLine[]): void {
    if (this.#isSkipping || tail === "") return;
    this.#rest += tail;
    // One more for the `\r` that may follow.
    if (this.#rest.length <= this.#charsMax + 1) return;
    lines.push(this.#cut(this.#rest));
    this.#rest = "";
    this.#isSkipping = true;
  }

  #cut(text: string): TextLine {
    const isTooLong = text.length > this.#charsMax;
    return { line: this.#line, text: isTooLong ? text.slice(0, this.#charsMax) : text, isTooLong };
  }
}
