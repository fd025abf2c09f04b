/** The grid of `becalm tune`: which values of a rule's settings are tried, and every combination of them. Pure. */
import { formatDuration, parseDuration } from "../model/duration.ts";
import { BecalmError } from "../model/errors.ts";

/** Settings of a rule that may be varied, as a policy file names them. */
export const VARIED = ["count", "window", "by"] as const;
export type Varied = (typeof VARIED)[number];

/** A value as a policy file holds it. */
export type VariedValue = number | string | readonly string[];
export type Variation = { readonly setting: Varied; readonly values: readonly VariedValue[] };
/** One value for each setting that is varied. */
export type Combination = ReadonlyMap<Varied, VariedValue>;

export const COMBINATION_COUNT_MAX = 500;

const HOW = "Write --vary count=1..10, --vary window=1m,5m,15m or --vary by=cluster,cluster+job.";

/**
 * `count=1..10`, `count=1,3,9`, `window=1m,5m`, `by=cluster,cluster+job` (an empty item means no label).
 * @throws BECALM_ARGUMENT_INVALID if a text cannot be read, a setting comes twice or the grid is too large
 */
export function parseGrid(texts: readonly string[]): readonly Variation[] {
  if (texts.length === 0) throw invalid(`Say what to vary. ${HOW}`);
  const grid = texts.map(parseVariation);
  const repeated = grid.find(({ setting }, at) => grid.findIndex((other) => other.setting === setting) !== at);
  if (repeated !== undefined)
    throw invalid(`--vary ${repeated.setting} is given twice. Put all its values into one list.`);
  const size = grid.reduce((product, { values }) => product * values.length, 1);
  if (size <= COMBINATION_COUNT_MAX) return grid;
  const limit = COMBINATION_COUNT_MAX.toLocaleString("en");
  throw invalid(
    `The grid has ${size.toLocaleString("en")} combinations, and each is a simulation of all alerts: at most ${limit}. Vary fewer values.`,
  );
}

/** The last setting changes fastest. */
export function combinationsOf(grid: readonly Variation[]): readonly Combination[] {
  return grid.reduce<readonly Combination[]>(
    (sofar, { setting, values }) =>
      sofar.flatMap((combination) => values.map((value) => new Map([...combination, [setting, value]]))),
    [new Map()],
  );
}

export function isSameValue(a: VariedValue | undefined, b: VariedValue | undefined): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

export function isSameCombination(a: Combination, b: Combination): boolean {
  return [...a].every(([setting, value]) => isSameValue(value, b.get(setting)));
}

/** How a value stands in `--vary` and in tables. */
export function valueText(value: VariedValue): string {
  if (typeof value === "number" || typeof value === "string") return String(value);
  return value.length === 0 ? "-" : value.join("+");
}

/** `count 3, window 5m`. */
export function combinationText(combination: Combination): string {
  return [...combination].map(([setting, value]) => `${setting} ${valueText(value)}`).join(", ");
}

function parseVariation(text: string): Variation {
  const at = text.indexOf("=");
  const name = text.slice(0, Math.max(at, 0)).trim();
  const setting = VARIED.find((known) => known === name);
  if (setting === undefined) throw invalid(`${JSON.stringify(text)} varies nothing that is known. ${HOW}`);
  const items = text
    .slice(at + 1)
    .split(",")
    .map((item) => item.trim());
  const values = items.flatMap((item) => valuesOf(setting, item, text));
  const distinct = values.filter((value, index) => values.findIndex((other) => isSameValue(value, other)) === index);
  return { setting, values: distinct };
}

function valuesOf(setting: Varied, item: string, text: string): readonly VariedValue[] {
  if (setting === "count") return countsOf(item, text);
  if (setting === "by") return [item === "" || item === "-" ? [] : item.split("+").map((name) => name.trim())];
  return [formatDuration(parseDuration(item))];
}

function countsOf(item: string, text: string): readonly number[] {
  const [, from, to = from] = /^(\d+)(?:\.\.(\d+))?$/.exec(item) ?? [];
  const [first, last] = [Number(from), Number(to)];
  if (from === undefined || first < 1 || last < first)
    throw invalid(`${JSON.stringify(item)} in ${JSON.stringify(text)} is not a count from 1 on. ${HOW}`);
  const length = last - first + 1;
  if (length > COMBINATION_COUNT_MAX)
    throw invalid(`${item} are ${length} values; a grid has at most ${COMBINATION_COUNT_MAX} combinations.`);
  return Array.from({ length }, (_, index) => first + index);
}

function invalid(message: string): BecalmError {
  return new BecalmError("BECALM_ARGUMENT_INVALID", message);
}
