/** Which of the fields that strategies read the records have, and what they have instead. */
import type { Strategy } from "../detection/core/strategy.ts";
import { at, type FieldPath, fieldPath } from "../detection/records/record.ts";
import { nearestName } from "../formats/nearest-name.ts";
import type { RecordRow } from "../formats/record-row.ts";

type UsedField = { readonly strategy: string; readonly role: string; readonly path: FieldPath };

const RECORDS_LISTED = 200;
const FIELDS_SHOWN = 20;
const VALUES_KEPT = 5;

export class FieldCensus {
  readonly #strategies: readonly Strategy[];
  #unseen: UsedField[];
  readonly #fields = new Set<string>();
  /** Of the fields of filters: some of the texts that records have. */
  readonly #values = new Map<string, Set<string>>();
  readonly #filterFields: readonly FieldPath[];
  #listed = 0;

  constructor(strategies: readonly Strategy[]) {
    this.#strategies = strategies;
    this.#unseen = strategies.flatMap(usedFields);
    const names = new Set(strategies.flatMap(({ query }) => Object.keys(query.filter)));
    this.#filterFields = [...names].map(fieldPath);
  }

  look(row: RecordRow): void {
    if ("rejected" in row) return;
    const { record } = row;
    if (typeof record !== "object" || record === null) return;
    if (this.#listed < RECORDS_LISTED) this.#list(record);
    if (this.#unseen.length > 0) this.#unseen = this.#unseen.filter(({ path }) => at(record, path) === null);
  }

  #list(record: Readonly<Record<string, unknown>>): void {
    this.#listed += 1;
    for (const name of namesOf(record)) this.#fields.add(name);
    for (const path of this.#filterFields) {
      const value = at(record, path);
      if (typeof value !== "string" && typeof value !== "number" && typeof value !== "boolean") continue;
      const values = this.#values.get(path.name) ?? new Set();
      this.#values.set(path.name, values);
      if (values.size < VALUES_KEPT) values.add(String(value));
    }
  }

  /** Fields that no record had. */
  missing(): { readonly strategy: string; readonly field: string; readonly role: string }[] {
    if (this.#listed === 0) return [];
    return this.#unseen.map(({ strategy, role, path }) => ({ strategy, role, field: path.name }));
  }

  fieldsText(): string {
    const names = [...this.#fields];
    if (names.length === 0) return "There was no record to take a field from.";
    const near = this.#unseen.flatMap(({ path }) => nearestName(path.name, names) ?? []);
    const meant = near.length === 0 ? "" : ` Did you mean ${[...new Set(near)].join(", ")}?`;
    const more = names.length > FIELDS_SHOWN ? ", ..." : "";
    return `The records have ${names.slice(0, FIELDS_SHOWN).join(", ")}${more}.${meant}`;
  }

  valuesText(strategies: readonly string[]): string {
    const wanted = this.#strategies.filter(({ name }) => strategies.includes(name));
    const fields = new Set(wanted.flatMap(({ query }) => Object.keys(query.filter)));
    const texts = [...fields].map((field) => {
      const values = [...(this.#values.get(field) ?? [])].map((value) => JSON.stringify(value));
      return `${field} is ${values.length === 0 ? "missing" : `${values.join(", ")}${values.length === VALUES_KEPT ? ", ..." : ""}`}`;
    });
    return `In the records ${texts.join("; ")}.`;
  }
}

function usedFields({ name: strategy, query }: Strategy): UsedField[] {
  const used = (role: string, names: readonly string[]) =>
    names.map((field) => ({ strategy, role, path: fieldPath(field) }));
  return [
    ...used("time", [query.time]),
    ...used("value", [query.value]),
    ...used("dimension", query.dimensions),
    ...used("filter", Object.keys(query.filter)),
  ];
}

/** With the paths into nested maps. */
function namesOf(record: Readonly<Record<string, unknown>>, prefix = "", depth = 0): string[] {
  return Object.entries(record).flatMap(([name, value]) => {
    const isMap = typeof value === "object" && value !== null && !Array.isArray(value);
    return isMap && depth < 3
      ? namesOf(value as Readonly<Record<string, unknown>>, `${prefix}${name}.`, depth + 1)
      : [`${prefix}${name}`];
  });
}
