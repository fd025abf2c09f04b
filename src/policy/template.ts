/**
 * Texts with fields in them: `{{ alert.labels.host }}`, `{{ alert.annotations.summary ?? nothing }}`, and in JSON `{{
 * json alert.labels }}`. Which fields there are is in template-fields.ts. Pure: a template is data, and filling one
 * runs nothing.
 */

export type TemplateField = {
  readonly path: string;
  /** What stands there if the field is missing; null: then the template cannot be filled. */
  readonly fallback: string | null;
  /** The whole value as JSON. */
  readonly isJson: boolean;
};

export type Template = readonly (string | TemplateField)[];

/** What a template is part of: it decides how a field's text is written. */
export type TemplatePlace = "json" | "form" | "url" | "header" | "text";

const FIELD = /\{\{([^{}]*)\}\}/g;
const INSIDE = /^\s*(?:(json)\s+)?([^\s?"\\]+)(?:\s*\?\?\s*([^"\\]*?))?\s*$/;

/** Gives the template, or a sentence's end that says what is wrong. */
export function parseTemplate(text: string): Template | { readonly mistake: string } {
  const parts: (string | TemplateField)[] = [];
  let end = 0;
  for (const found of text.matchAll(FIELD)) {
    const inside = INSIDE.exec(found[1] as string);
    if (inside === null) return { mistake: `${found[0]}, which is not {{ field }} or {{ field ?? text }}` };
    parts.push(text.slice(end, found.index));
    parts.push({ path: inside[2] as string, fallback: inside[3] ?? null, isJson: inside[1] !== undefined });
    end = found.index + found[0].length;
  }
  parts.push(text.slice(end));
  const isOpen = parts.some((part) => typeof part === "string" && part.includes("{{"));
  if (isOpen) return { mistake: "a {{ that no }} closes" };
  return parts.filter((part) => part !== "");
}

export function fieldsIn(template: Template): TemplateField[] {
  return template.filter((part) => typeof part !== "string");
}

/** The text, or the path of a field that is missing. `scope`: what the paths lead into. */
export function fillTemplate(
  template: Template,
  scope: Readonly<Record<string, unknown>>,
  place: TemplatePlace,
): { readonly text: string } | { readonly missing: string } {
  let text = "";
  for (const part of template) {
    if (typeof part === "string") text += part;
    else {
      const value = valueAt(scope, part.path);
      if (part.isJson) text += JSON.stringify(value ?? null);
      else if (value !== null && value !== undefined)
        text += written(textOf(value), isPartOfAddress(part, place) ? "text" : place);
      else if (part.fallback !== null) text += written(part.fallback, place);
      else return { missing: part.path };
    }
  }
  return { text };
}

/** A secret in an address is the operator's, slashes included; what an alert says never is more than one part of it. */
function isPartOfAddress({ path }: TemplateField, place: TemplatePlace): boolean {
  return place === "url" && path.startsWith("secret.");
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function written(text: string, place: TemplatePlace): string {
  if (place === "json") return JSON.stringify(text).slice(1, -1);
  return place === "form" || place === "url" ? encodeURIComponent(text) : text;
}

/** Everything behind these is one name, dots included. */
const NAMED = /^(alert\.(?:labels|annotations))\.(.+)$/;

function valueAt(scope: Readonly<Record<string, unknown>>, path: string): unknown {
  const named = NAMED.exec(path);
  const keys = named === null ? path.split(".") : [...(named[1] as string).split("."), named[2] as string];
  let value: unknown = scope;
  for (const key of keys) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<string, unknown>)[key];
  }
  return value;
}
