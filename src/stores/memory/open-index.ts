import { type CreatedAt, compareCreated } from "../store-rules.ts";
import { SortedList } from "./sorted-list.ts";

type Change = { readonly openUnder?: readonly string[]; readonly wasOpenUnder?: readonly string[] };

/** What is not at rest, by what it is found under, in the order of creation. */
export class OpenIndex {
  readonly #lists = new Map<string, SortedList<CreatedAt>>();
  readonly #places = new Map<string, Set<string>>();

  change({ id, createdAtMs }: CreatedAt, { openUnder = [], wasOpenUnder = [] }: Change): void {
    if (openUnder.length + wasOpenUnder.length === 0) return;
    for (const under of wasOpenUnder) this.#remove(under, { id, createdAtMs });
    for (const under of openUnder) this.#add(under, { id, createdAtMs });
  }

  forget(place: CreatedAt): void {
    for (const under of this.#places.get(place.id) ?? []) this.#remove(under, place);
  }

  listsUnder(under: string): SortedList<CreatedAt>[] {
    const list = this.#lists.get(under);
    return list === undefined ? [] : [list];
  }

  #add(under: string, place: CreatedAt): void {
    const places = this.#places.get(place.id) ?? new Set<string>();
    this.#places.set(place.id, places);
    if (places.has(under)) return;
    places.add(under);
    const list = this.#lists.get(under) ?? new SortedList<CreatedAt>(compareCreated);
    this.#lists.set(under, list);
    list.add(place);
  }

  #remove(under: string, place: CreatedAt): void {
    const places = this.#places.get(place.id);
    if (places?.delete(under) !== true) return;
    if (places.size === 0) this.#places.delete(place.id);
    this.#lists.get(under)?.remove(place);
  }
}
