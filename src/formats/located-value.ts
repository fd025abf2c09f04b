/**
 * A value and where it was written. The readers of policy files work on these, so that a YAML file and a program's
 * plain objects are checked by the same code and every mistake can name its line.
 */
import { type Document, isAlias, isMap, isScalar, isSeq, type LineCounter, type Node, type Pair } from "yaml";
import { POLICY_FILE_DEPTH_MAX, POLICY_FILE_VALUE_COUNT_MAX } from "../model/limits.ts";

/** 1-based, as editors count. */
export type Place = { readonly line: number; readonly column: number };

export type Scalar = string | number | boolean | null;

export type Located =
  | { readonly kind: "scalar"; readonly value: Scalar; readonly place: Place | null }
  | { readonly kind: "list"; readonly items: readonly Located[]; readonly place: Place | null }
  | { readonly kind: "map"; readonly entries: ReadonlyMap<string, LocatedEntry>; readonly place: Place | null };

/** `place` is the key's. */
export type LocatedEntry = { readonly place: Place | null; readonly value: Located };

/** What cannot be read at all: `place` and a whole sentence. */
export class UnreadableValue extends Error {
  readonly place: Place | null;

  constructor(message: string, place: Place | null) {
    super(message);
    this.place = place;
  }
}

/** Counts values while a tree is walked: aliases can make a small file an enormous tree. */
type Budget = { valueCount: number };

function spend(budget: Budget, depth: number, place: Place | null): void {
  budget.valueCount += 1;
  if (budget.valueCount > POLICY_FILE_VALUE_COUNT_MAX) {
    throw new UnreadableValue(
      `there are more than ${POLICY_FILE_VALUE_COUNT_MAX} values (aliases count each time)`,
      place,
    );
  }
  if (depth > POLICY_FILE_DEPTH_MAX) {
    throw new UnreadableValue(`values are nested deeper than ${POLICY_FILE_DEPTH_MAX} levels`, place);
  }
}

type YamlSource = { readonly lines: LineCounter; readonly anchors: Map<string, Node>; readonly budget: Budget };

/** The tree of a YAML document whose syntax is right. An empty document is null. Throws UnreadableValue. */
export function locateYaml(document: Document, lines: LineCounter): Located {
  const source = { lines, anchors: new Map<string, Node>(), budget: { valueCount: 0 } };
  return locateNode(document.contents as Node | null, source, 0);
}

function locateNode(node: Node | null, source: YamlSource, depth: number): Located {
  const place = placeOf(node, source.lines);
  spend(source.budget, depth, place);
  if (node === null) return { kind: "scalar", value: null, place };
  if (isAlias(node)) return locateNode(anchored(node.source, source, place), source, depth + 1);
  // An alias means the last node before it that bears the anchor; walking in file order meets that one last.
  const { anchor } = node as { anchor?: string };
  if (anchor !== undefined) source.anchors.set(anchor, node);
  if (isMap(node))
    return { kind: "map", entries: locatePairs(node.items as Pair<Node, Node | null>[], source, depth), place };
  if (isSeq(node))
    return { kind: "list", items: node.items.map((item) => locateNode(item as Node | null, source, depth + 1)), place };
  return { kind: "scalar", value: isScalar(node) ? scalarOf(node.value) : null, place };
}

function anchored(name: string, source: YamlSource, place: Place | null): Node {
  const node = source.anchors.get(name);
  if (node === undefined) throw new UnreadableValue(`the alias *${name} names no anchor before it`, place);
  return node;
}

function locatePairs(
  pairs: readonly Pair<Node, Node | null>[],
  source: YamlSource,
  depth: number,
): Map<string, LocatedEntry> {
  const entries = new Map<string, LocatedEntry>();
  for (const { key, value } of pairs) {
    const place = placeOf(key, source.lines);
    if (!isScalar(key)) throw new UnreadableValue("a key must be text", place);
    entries.set(String(key.value), { place, value: locateNode(value, source, depth + 1) });
  }
  return entries;
}

function scalarOf(value: unknown): Scalar {
  if (typeof value === "bigint") return String(value);
  if (value === null || typeof value === "number" || typeof value === "boolean" || typeof value === "string")
    return value;
  return JSON.stringify(value) ?? "";
}

function placeOf(node: Node | null | undefined, lines: LineCounter): Place | null {
  const start = node?.range?.[0];
  if (start === undefined) return null;
  const { line, col } = lines.linePos(start);
  return { line, column: col };
}

/**
 * The tree of a program's plain objects. A Date is its RFC 3339 text; undefined properties are absent. Throws
 * UnreadableValue.
 */
export function locatePlain(value: unknown): Located {
  return locateObject(value, { valueCount: 0 }, 0);
}

function locateObject(value: unknown, budget: Budget, depth: number): Located {
  spend(budget, depth, null);
  if (value instanceof Date)
    return { kind: "scalar", value: Number.isNaN(value.getTime()) ? "Invalid Date" : value.toISOString(), place: null };
  if (Array.isArray(value))
    return { kind: "list", items: value.map((item) => locateObject(item, budget, depth + 1)), place: null };
  if (typeof value !== "object" || value === null)
    return { kind: "scalar", value: scalarOf(value ?? null), place: null };
  const present = Object.entries(value).filter(([, item]) => item !== undefined);
  const entries = present.map(
    ([key, item]) => [key, { place: null, value: locateObject(item, budget, depth + 1) }] as const,
  );
  return { kind: "map", entries: new Map(entries), place: null };
}
