/**
 * How wide a text is without a font at hand. Labels are set in a monospaced face, so that a column count is exact on
 * every machine; state names are bold sans-serif and measured generously.
 */

const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|[\u{1f300}-\u{1faff}]|[\u{20000}-\u{3fffd}]/u;
const NO_WIDTH = /\p{M}|\p{Cf}/u;

/** Columns of a terminal: two for East Asian wide characters and pictographs, none for combining ones. */
export function columnsOf(text: string): number {
  let columns = 0;
  for (const character of text) columns += WIDE.test(character) ? 2 : NO_WIDTH.test(character) ? 0 : 1;
  return columns;
}

/** Pixels of a bold sans-serif text at 15 px, not less than in any common face. */
export function boldWidth(text: string): number {
  let width = 0;
  for (const character of text)
    width += /[MW@%mw\u2014]/.test(character) ? 16 : /\p{Lu}/u.test(character) ? 12.5 : 9.6 * columnsOf(character);
  return Math.ceil(width);
}

export function padColumns(text: string, columns: number, fill = " "): string {
  return text + fill.repeat(Math.max(0, columns - columnsOf(text)));
}

/** What is too wide ends with an ellipsis. */
export function cutColumns(text: string, columns: number): string {
  if (columnsOf(text) <= columns) return text;
  let kept = "";
  for (const character of text) {
    if (columnsOf(kept + character) > columns - 1) break;
    kept += character;
  }
  return `${kept}…`;
}

/**
 * Control characters would break every format, and those that turn the direction of text could make a line say
 * something else; a reader sees a space instead.
 */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]+/gu, " ");
}
