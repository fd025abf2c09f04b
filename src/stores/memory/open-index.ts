import { type CreatedAt, compareCreated } from "../store-rules.ts";
import { LateSortedList } from "./late-sorted-list.ts";

type Change = { readonly openUnder?: readonly string[]; readonly wasOpenUnder?: readonly string[] };

const NOWHERE: readonly string[] = [];

/** What is not at rest, by what it is found under, in the order of creation. */
export class OpenIndex {
  readonly #places = new Map<string, LateSortedList<CreatedAt>>();

  change({ id, createdAtMs }: CreatedAt, { openUnder = NOWHERE, wasOpenUnder = NOWHERE }: Change): void {
    if (openUnder.length + wasOpenUnder.length === 0) return;
    const row = { id, createdAtMs };
    for (const under of wasOpenUnder) this.#places.get(under)?.remove(row);
    for (const under of openUnder) {
      const place = this.#placeOf(under);
      if (!place.has(row)) place.add(row);
    }
  }

  forget(row: CreatedAt): void {
    for (const place of this.#places.values()) place.remove(row);
  }

  listsUnder(under: string): LateSortedList<CreatedAt>[] {
    const place = this.#places.get(under);
    return place === undefined ? [] : [place];
  }

  countUnder(under: string): number {
    return this.#places.get(under)?.size ?? 0;
  }

  #placeOf(under: string): LateSortedList<CreatedAt> {
    let place = this.#places.get(under);
    if (place === undefined) {
      place = new LateSortedList<CreatedAt>(compareCreated, ({ id }) => id);
      this.#places.set(under, place);
    }
    return place;
  }
}
