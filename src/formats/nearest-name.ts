/**
 * The known name that somebody most likely meant, or null when none is near (at most a third of the letters differ).
 */
export function nearestName(name: string, known: readonly string[]): string | null {
  const meant = normalized(name);
  let nearest: string | null = null;
  let least = Math.floor(Math.max(meant.length, 3) / 3) + 1;
  for (const candidate of known) {
    const distance = editDistance(meant, normalized(candidate));
    if (distance < least) [nearest, least] = [candidate, distance];
  }
  return nearest;
}

/** `maxWindowMs`, `max-window` and `max_window` are spelled alike; long slips of the hand are cut. */
function normalized(name: string): string {
  return name.slice(0, 64).replace(/Ms$/, "").replace(/[-_ ]/g, "").toLowerCase();
}

/** Letters to insert, delete, replace, or swap with their neighbour. */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const swapped = isSwap ? (before[j - 2] as number) + 1 : Number.POSITIVE_INFINITY;
      next.push(Math.min(replaced, swapped, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    [before, row] = [row, next];
  }
  return row[b.length] as number;
}
