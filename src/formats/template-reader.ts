/** Whether the templates of a policy's webhooks can be filled by every message that reaches them. */
import type { Policy } from "../policy/policy.ts";
import { kindsFor, TEMPLATE_FIELDS, type TemplateUse, templateMistakes } from "../policy/template-fields.ts";
import type { Field, Fields, MistakeReport } from "./field-reader.ts";
import { nearestName } from "./nearest-name.ts";

type Read = Pick<Policy, "match" | "action" | "converge" | "approval">;

export function reportTemplates(policy: Read, fields: Fields<"action" | "approval">, report: MistakeReport): void {
  const { match, action, approval } = policy;
  const { notify } = approval;
  if (action.kind === "webhook")
    reportUse({ action, match, kinds: kindsFor(policy) }, childOf(fields.get("action"), "webhook"), report);
  if (notify.kind === "webhook") {
    const field = childOf(childOf(fields.get("approval"), "notify"), "webhook");
    reportUse({ action: notify, match, kinds: ["approval-request"] }, field, report);
  }
}

function reportUse(use: TemplateUse, field: Field, report: MistakeReport): void {
  for (const { key, expected, found } of templateMistakes(use)) {
    const [, unknown] = /^the unknown \{\{ (.+) \}\}$/.exec(found) ?? [];
    const names = [...TEMPLATE_FIELDS, ...Object.keys(use.action.secrets ?? {}).map((name) => `secret.${name}`)];
    const nearest = unknown === undefined ? null : nearestName(unknown, names);
    const hint = nearest === null ? expected : `the field ${nearest}`;
    report.add(childOf(field, key), hint, found);
  }
}

function childOf(field: Field, key: string): Field {
  const entry = field.value?.kind === "map" ? field.value.entries.get(key) : undefined;
  const path = `${field.path}.${key}`;
  return { path, place: entry?.value.place ?? entry?.place ?? field.place, value: entry?.value };
}
