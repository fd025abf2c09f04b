/** Text that goes into the audit is bounded in UTF-8 bytes; what is cut says so at its end. */
const CUT_MARK = "... (cut)";

// The mark of a byte order stays: without it a text could be shorter than the bytes that were counted.
const DECODER_OPTIONS = { ignoreBOM: true } as const;

/** At most `bytesMax` bytes of the text, mark included, never ending inside a character. */
export function cutText(text: string, bytesMax: number): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= bytesMax) return text;
  const start = bytes.subarray(0, bytesMax - CUT_MARK.length);
  // A streaming decoder keeps an unfinished character to itself instead of replacing it.
  return new TextDecoder("utf-8", DECODER_OPTIONS).decode(start, { stream: true }) + CUT_MARK;
}

/** The start of a stream of bytes: takes any amount, keeps little. */
export class BoundedText {
  readonly #bytesMax: number;
  readonly #chunks: Uint8Array[] = [];
  #bytes = 0;
  #isBrokenOff = false;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** More came than is kept: reading on changes nothing. */
  get isFull(): boolean {
    return this.#bytes > this.#bytesMax;
  }

  add(chunk: Uint8Array): void {
    if (this.isFull) return;
    // One byte more than the limit, so that "exactly full" and "too long" can be told apart. A copy: a slice would keep
    // its whole buffer.
    const kept = Uint8Array.from(chunk.subarray(0, this.#bytesMax + 1 - this.#bytes));
    this.#chunks.push(kept);
    this.#bytes += kept.length;
  }

  /** The stream ended before its end: the text will say so. */
  breakOff(): void {
    this.#isBrokenOff = true;
  }

  toString(): string {
    const text = new TextDecoder("utf-8", DECODER_OPTIONS).decode(Buffer.concat(this.#chunks));
    const isMarked = this.#isBrokenOff && !this.isFull;
    return cutText(isMarked ? text + CUT_MARK : text, this.#bytesMax);
  }
}
