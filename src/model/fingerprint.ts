import { compareCodePoints } from "./utf8.ts";

/**
 * FNV-1a 64 in two 32-bit halves: BigInt would cost about twenty times as much on the path that every alert takes.
 * The prime is 2^40 + 0x1b3, so a multiplication is one by 0x1b3 plus a shift of the low half by 8 into the high one.
 */
const OFFSET_HIGH = 0xcbf29ce4 | 0;
const OFFSET_LOW = 0x84222325 | 0;
const PRIME_LOW = 0x1b3;
const SEPARATOR = 0xff;

/**
 * The hash under way. Module state instead of an object that travels: nothing here is asynchronous, and plain numbers
 * in variables are what the compiler makes fast. `fingerprintOf` sets both before anything else.
 */
let high = OFFSET_HIGH;
let low = OFFSET_LOW;

function addByte(byte: number): void {
  const mixed = low ^ byte;
  const product0 = (mixed & 0xffff) * PRIME_LOW;
  const product1 = (mixed >>> 16) * PRIME_LOW + (product0 >>> 16);
  high = (Math.imul(high, PRIME_LOW) + (product1 >>> 16) + (mixed << 8)) | 0;
  low = (product1 << 16) | (product0 & 0xffff);
}

/** Adds the UTF-8 bytes of a code point above U+007F. */
function addCodePoint(codePoint: number): void {
  if (codePoint < 0x800) {
    addByte(0xc0 | (codePoint >> 6));
  } else {
    if (codePoint < 0x10000) addByte(0xe0 | (codePoint >> 12));
    else {
      addByte(0xf0 | (codePoint >> 18));
      addByte(0x80 | ((codePoint >> 12) & 0x3f));
    }
    addByte(0x80 | ((codePoint >> 6) & 0x3f));
  }
  addByte(0x80 | (codePoint & 0x3f));
}

/** Adds the text's UTF-8 bytes; half of a surrogate pair counts as U+FFFD, as it does in any encoder. */
function addText(text: string): void {
  for (let i = 0; i < text.length; i += 1) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) {
      addByte(unit);
      continue;
    }
    const codePoint = text.codePointAt(i) as number;
    if (codePoint > 0xffff) i += 1;
    addCodePoint(codePoint >= 0xd800 && codePoint <= 0xdfff ? 0xfffd : codePoint);
  }
}

const BEYOND_UNIT_ORDER = /[\ud800-\uffff]/;

const HEX_OF_BYTE = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

function hex8(half: number): string {
  const hex = (shift: number) => HEX_OF_BYTE[(half >>> shift) & 255] as string;
  return hex(24) + hex(16) + hex(8) + hex(0);
}

/**
 * The fingerprint of a label set: 16 hex digits of FNV-1a 64 over `name 0xff value 0xff`, names ascending by their
 * UTF-8 bytes. It equals the `fingerprint` that Alertmanager gives the same labels.
 */
export function fingerprintOf(labels: Readonly<Record<string, string>>): string {
  const names = Object.keys(labels);
  if (!isAscending(names)) names.sort();
  if (names.some((name) => BEYOND_UNIT_ORDER.test(name))) names.sort(compareCodePoints);
  high = OFFSET_HIGH;
  low = OFFSET_LOW;
  for (const name of names) {
    addText(name);
    addByte(SEPARATOR);
    addText(labels[name] as string);
    addByte(SEPARATOR);
  }
  return hex8(high) + hex8(low);
}

/** Prometheus and Alertmanager send labels in order of their names; sorting them again would cost more than looking. */
function isAscending(names: readonly string[]): boolean {
  for (let index = 1; index < names.length; index += 1) {
    if ((names[index - 1] as string) > (names[index] as string)) return false;
  }
  return true;
}
