import { type CreatedAt, compareCreated } from "../store-rules.ts";
import { LateSortedList } from "./late-sorted-list.ts";

type Change = { readonly openUnder?: readonly string[]; readonly wasOpenUnder?: readonly string[] };

/** What is found under one place, by id and in the order of creation. */
class Place {
  readonly rows = new Map<string, CreatedAt>();
  readonly inOrder = new LateSortedList<CreatedAt>(compareCreated, ({ id }) => id);

  add(row: CreatedAt): void {
    if (this.rows.has(row.id)) return;
    this.rows.set(row.id, row);
    this.inOrder.add(row);
  }

  remove(id: string): void {
    const row = this.rows.get(id);
    if (row === undefined) return;
    this.rows.delete(id);
    this.inOrder.remove(row);
  }
}

/** What is not at rest, by what it is found under, in the order of creation. */
export class OpenIndex {
  readonly #places = new Map<string, Place>();

  change({ id, createdAtMs }: CreatedAt, { openUnder, wasOpenUnder }: Change): void {
    if (wasOpenUnder !== undefined) for (const under of wasOpenUnder) this.#places.get(under)?.remove(id);
    if (openUnder === undefined) return;
    for (const under of openUnder) this.#placeOf(under).add({ id, createdAtMs });
  }

  forget({ id }: CreatedAt): void {
    for (const place of this.#places.values()) place.remove(id);
  }

  listsUnder(under: string): LateSortedList<CreatedAt>[] {
    const place = this.#places.get(under);
    return place === undefined ? [] : [place.inOrder];
  }

  #placeOf(under: string): Place {
    const place = this.#places.get(under) ?? new Place();
    this.#places.set(under, place);
    return place;
  }
}
