/**
 * In which order things came that carry one time: each group tells the order of its own, and one thing may stand in
 * several groups. Pure.
 */

/**
 * Orders items so that each group's order holds. What no group orders stays as it was; groups that contradict each
 * other are followed as far as they go. `chains`: of each group its items in order; those that came at the same place
 * stand together.
 */
export function inOrderOf<Item>(items: readonly Item[], chains: readonly (readonly (readonly Item[])[])[]): Item[] {
  const leftAt = chains.map((chain) => chain.map(({ length }) => length));
  const reached = chains.map(() => 0);
  const placesOf = new Map<Item, { readonly chain: number; readonly place: number }[]>(items.map((item) => [item, []]));
  for (const [chain, places] of chains.entries())
    for (const [place, some] of places.entries()) for (const item of some) placesOf.get(item)?.push({ chain, place });
  const isNext = (item: Item) => (placesOf.get(item) ?? []).every(({ chain, place }) => place <= (reached[chain] ?? 0));
  const ordered: Item[] = [];
  let left = items;
  while (left.length > 0) {
    const next = left.filter(isNext);
    const taken = new Set(next.length > 0 ? next : left.slice(0, 1));
    for (const item of taken) for (const { chain, place } of placesOf.get(item) ?? []) decrease(leftAt[chain], place);
    for (const [chain, counts] of leftAt.entries())
      while (counts[reached[chain] ?? 0] === 0) reached[chain] = (reached[chain] ?? 0) + 1;
    ordered.push(...taken);
    left = left.filter((item) => !taken.has(item));
  }
  return ordered;
}

function decrease(counts: number[] | undefined, place: number): void {
  if (counts !== undefined) counts[place] = (counts[place] ?? 0) - 1;
}
