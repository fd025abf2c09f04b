/** Largest number of decimals that a value may be rounded to. */
export const PRECISION_MAX = 15;

/** Powers of ten as literals: exact, which `10 ** n` need not be. */
const SCALES: readonly number[] = Array.from({ length: PRECISION_MAX + 1 }, (_, decimals) => Number(`1e${decimals}`));

/**
 * Rounds to `decimals` places, to the nearest; an exact tie goes to the even digit.
 *
 * "Exact" means the number that the double really holds: 2.675 is a little less than it looks and becomes 2.67, while
 * 0.125 is held exactly and is a tie, so it becomes 0.12. `decimals` is 0 to PRECISION_MAX. The result is the double
 * nearest to the rounded decimal, and never -0.
 */
export function roundHalfEven(value: number, decimals: number): number {
  if (Number.isInteger(value)) return value + 0;
  const scale = SCALES[decimals] as number;
  const scaled = value * scale;
  const nearest = Math.round(scaled);
  // Far from the middle and small enough that the product's error (below 1e-3) cannot matter: one division is exact to
  // the last bit.
  if (Math.abs(scaled) < 2 ** 40 && Math.abs(scaled - nearest) < 0.499) return nearest / scale + 0;
  return roundExactly(value, decimals) + 0;
}

/** toFixed works on the exact value and differs from half-even on exact ties only, where it goes away from zero. */
function roundExactly(value: number, decimals: number): number {
  const away = Number(value.toFixed(decimals));
  // A tie has at most decimals + 1 binary places; multiplying by a power of two is exact. Then toFixed(decimals + 1) is
  // exact too.
  if (!Number.isInteger(value * 2 ** (decimals + 1))) return away;
  const digits = value.toFixed(decimals + 1);
  if (!digits.endsWith("5")) return away;
  const towardsZero = digits.slice(0, -1);
  const lastDigit = Number(towardsZero.replace(".", "").at(-1));
  return lastDigit % 2 === 0 ? Number(towardsZero) : away;
}
