/**
 * What a unit measures. Every record is converted to its family's base unit, so that one threshold fits all sources.
 */
export type UnitFamily = "bytes" | "bits" | "percent" | "time" | "none";

export type Unit = {
  readonly family: UnitFamily;
  /**
   * value in this unit * multiply / divide = value in the base unit. One of the two is 1, so that only one rounding
   * happens.
   */
  readonly multiply: number;
  readonly divide: number;
};

const unit = (family: UnitFamily, multiply: number, divide = 1): Unit => ({ family, multiply, divide });

/**
 * The table of units. Decimal prefixes are powers of 1000 (kB, MB), binary ones powers of 1024 (KiB, MiB); `KB` is
 * `kB`.
 * A rate ("/s" or "ps" after the name) converts as its unit: bytes a second stay a second's.
 */
const UNITS: ReadonlyMap<string, Unit> = new Map([
  ["none", unit("none", 1)],
  ...prefixed("bytes", ["B", "bytes"], ["B"]),
  ...prefixed("bits", ["bit", "bits"], ["bit", "b"]),
  ["%", unit("percent", 1)],
  ["percent", unit("percent", 1)],
  ["ratio", unit("percent", 100)],
  ["percentunit", unit("percent", 100)],
  ["ns", unit("time", 1, 1e9)],
  ["us", unit("time", 1, 1e6)],
  ["ms", unit("time", 1, 1e3)],
  ["s", unit("time", 1)],
  ["seconds", unit("time", 1)],
  ["min", unit("time", 60)],
  ["m", unit("time", 60)],
  ["h", unit("time", 3_600)],
  ["d", unit("time", 86_400)],
]);

/** Names that `unitOf` knows, for messages and documents. */
export const UNIT_NAMES: readonly string[] = [...UNITS.keys()];

/** The unit of that name (case matters: `Mb` are bits, `MB` bytes), or undefined. */
export function unitOf(name: string): Unit | undefined {
  const known = UNITS.get(name);
  if (known !== undefined) return known;
  const rate = /^(.+?)(?:\/s|ps)$/.exec(name);
  const counted = rate?.[1] === undefined ? undefined : UNITS.get(rate[1]);
  return counted?.family === "bytes" || counted?.family === "bits" ? counted : undefined;
}

/** A value of `from` in its base unit. */
export function toBaseUnit(value: number, from: Unit): number {
  return from.divide === 1 ? value * from.multiply : value / from.divide;
}

/** The base unit of a unit's family, as it stands behind a value. Values of no known unit have none. */
export function baseUnitName(name: string): string {
  const family = unitOf(name)?.family;
  const isRate = !UNITS.has(name);
  const base = family === undefined ? "" : BASE_UNIT_NAMES[family];
  return isRate && base !== "" ? `${base}/s` : base;
}

const BASE_UNIT_NAMES: Readonly<Record<UnitFamily, string>> = {
  bytes: " B",
  bits: " bit",
  percent: " %",
  time: " s",
  none: "",
};

function prefixed(family: UnitFamily, plain: readonly string[], symbols: readonly string[]): [string, Unit][] {
  const rows: [string, Unit][] = plain.map((name) => [name, unit(family, 1)]);
  const powers: [string, number][] = [
    ["k", 1],
    ["K", 1],
    ["M", 2],
    ["G", 3],
    ["T", 4],
    ["P", 5],
  ];
  for (const symbol of symbols) {
    for (const [prefix, power] of powers) {
      rows.push([`${prefix}${symbol}`, unit(family, 1000 ** power)]);
      if (prefix !== "k") rows.push([`${prefix}i${symbol}`, unit(family, 1024 ** power)]);
    }
  }
  return rows;
}
