/**
 * Keeps configured fields off the wire. Pure.
 *
 * A field is the name of a key, or the end of a path: `token`, `result.token`, `retry.*`. `*` stands for one key or
 * index. Upper and lower case are the same. Paths start with `context`, `event` or `definition`, so `event.why` hides
 * it in events only.
 */
import { BecalmError } from "../model/errors.ts";

export type Redact = (root: "context" | "event" | "definition", value: unknown) => unknown;

export const REDACTED = "[redacted]";

/** @throws BECALM_ARGUMENT_INVALID for an empty field or one with an empty part. */
export function redaction(fields: readonly string[]): Redact {
  const endings = fields.map(endingOf);
  if (endings.length === 0) return (_root, value) => value;
  return (root, value) => redacted(value, [root], endings);
}

function endingOf(field: string): readonly string[] {
  const parts = field.toLowerCase().split(".");
  if (parts.every((part) => part.trim() !== "")) return parts;
  throw new BecalmError(
    "BECALM_ARGUMENT_INVALID",
    `The field to redact ${JSON.stringify(field)} has an empty part. Write a key or a path such as token or result.token.`,
  );
}

function redacted(value: unknown, path: readonly string[], endings: readonly (readonly string[])[]): unknown {
  if (typeof value !== "object" || value === null) return value;
  const inner = (key: string, child: unknown): unknown => {
    const childPath = [...path, key.toLowerCase()];
    return endings.some((ending) => endsWith(childPath, ending)) ? REDACTED : redacted(child, childPath, endings);
  };
  if (Array.isArray(value)) return value.map((child, index) => inner(String(index), child));
  return Object.fromEntries(Object.entries(value).map(([key, child]) => [key, inner(key, child)]));
}

/** A key may hold dots itself (`effect.done` in a definition): its parts count like keys. */
function endsWith(path: readonly string[], ending: readonly string[]): boolean {
  const parts = path.flatMap((key) => key.split("."));
  if (ending.length > parts.length) return false;
  return ending.every((part, index) => part === "*" || part === parts[parts.length - ending.length + index]);
}
