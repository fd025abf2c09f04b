/**
 * How keys of LMDB are put together. A key is a text, ordered by its UTF-8 bytes, which is the order of code points. It
 * holds parts: fixed ones (a table's letter, a partition in two digits, a number in 16) and texts, each of which ends
 * with a zero character.
 */
import { createHash } from "node:crypto";

/** Comes after every key that starts with what stands before it. */
export const AFTER_ALL = "\u{10ffff}";

const PART_BYTES_MAX = 600;
const PART_KEPT_UNITS = 150;

const number = Buffer.alloc(8);

let last = { value: Number.NaN, digits: "" };

/**
 * 16 hexadecimal digits in the order of the numbers: a double's bits, with the sign turned round. The rows of one
 * commit mostly have one time.
 */
export function sortable(value: number): string {
  if (last.value !== value) last = { value, digits: digitsOf(value) };
  return last.digits;
}

function digitsOf(value: number): string {
  number.writeDoubleBE(value === 0 ? 0 : value);
  if (value < 0) for (let at = 0; at < 8; at += 1) number[at] = ~(number[at] as number);
  else number[0] = (number[0] as number) | 0x80;
  return number.toString("hex");
}

/** The number that `sortable` wrote. */
export function numberOf(digits: string): number {
  const bytes = Buffer.from(digits, "hex");
  if (((bytes[0] as number) & 0x80) === 0) for (let at = 0; at < 8; at += 1) bytes[at] = ~(bytes[at] as number);
  else bytes[0] = (bytes[0] as number) & 0x7f;
  return bytes.readDoubleBE();
}

/**
 * A text inside a key, in the order of the texts: what follows never mixes with it. LMDB's keys are short, so of a very
 * long text the beginning and a hash stand for the whole; a row whose text matters keeps it in its value.
 */
export function part(text: string): string {
  if (text.length > PART_KEPT_UNITS && Buffer.byteLength(text) > PART_BYTES_MAX) {
    const hash = createHash("sha256").update(text).digest("hex");
    return `${escaped(text.slice(0, PART_KEPT_UNITS))}\u0002${hash}\0`;
  }
  return `${escaped(text)}\0`;
}

function escaped(text: string): string {
  if (!text.includes("\0") && !text.includes("\u0001")) return text;
  return text.replaceAll("\u0001", "\u0001\u0002").replaceAll("\0", "\u0001\u0001");
}

export function twoDigits(partition: number): string {
  return partition < 10 ? `0${partition}` : `${partition}`;
}
