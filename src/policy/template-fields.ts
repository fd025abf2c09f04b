/** The fields that a webhook's template may name, and whether each is always there. Pure. */
import { matchesEmptyText } from "./matcher.ts";
import type { Action, Policy } from "./policy.ts";
import { fieldsIn, parseTemplate, type Template, type TemplatePlace } from "./template.ts";

/** What a message is about. */
export type MessageKind = "action" | "summary" | "approval-request";

const ALWAYS = ["kind", "effectId", "attempt", "policy", "instance"];
const OF_ALERT = [
  "alert",
  ...["labels", "annotations", "startsAt", "status", "fingerprint"].map((name) => `alert.${name}`),
];
const OF_ALERT_MAYBE = ["alert.endsAt", "alert.generatorURL", "fencingToken"];
const OF_SUBJECT = ["sentence.en", "sentence.zh", "rule.en", "rule.zh", "dimensions"];
const PAIR = ["approve", "deny"];
const OF_SUMMARY = [
  "summary",
  ...["group", "opener", "skipped", "sample", "openedAt", "endsAt"].map((name) => `summary.${name}`),
];
const OF_APPROVAL = [
  "approval",
  "approval.instance",
  "approval.dueAt",
  ...PAIR.map((verb) => `approval.commands.${verb}`),
];
const OF_APPROVAL_MAYBE = [
  "approval.group",
  "approval.held",
  ...PAIR.flatMap((verb) => [`approval.links.${verb}`, `approval.links.one.${verb}`]),
];

type Known = { readonly always: readonly string[]; readonly maybe: readonly string[] };

const KNOWN: Readonly<Record<MessageKind, Known>> = {
  action: { always: [...ALWAYS, ...OF_ALERT], maybe: OF_ALERT_MAYBE },
  summary: { always: [...ALWAYS, ...OF_SUMMARY], maybe: [...OF_ALERT, ...OF_ALERT_MAYBE, ...OF_SUBJECT] },
  "approval-request": {
    always: [...ALWAYS, ...OF_APPROVAL],
    maybe: [...OF_APPROVAL_MAYBE, ...OF_ALERT, ...OF_ALERT_MAYBE, ...OF_SUBJECT],
  },
};

/** Every field without those of labels, annotations and secrets, for those who look for the nearest name. */
export const TEMPLATE_FIELDS: readonly string[] = [
  ...new Set([
    ...Object.values(KNOWN).flatMap(({ always, maybe }) => [...always, ...maybe]),
    "callback.url",
    "callback.until",
  ]),
];

type Webhook = Action & { readonly kind: "webhook" };

export type TemplateMistake = {
  readonly key: "url" | "headers" | "body";
  readonly expected: string;
  readonly found: string;
};

export type TemplateUse = {
  readonly action: Webhook;
  readonly kinds: readonly MessageKind[];
  readonly match: Policy["match"];
};

/** The kinds of messages that go to a policy's action: summaries only where its function sends any. */
export function kindsFor({ converge }: Pick<Policy, "converge">): readonly MessageKind[] {
  const isSummarised = converge?.function === "collect" || converge?.function === "collect_alarm";
  return isSummarised ? ["action", "summary"] : ["action"];
}

/** What a body is made of, by its content type. */
export function bodyPlace({ headers }: Pick<Webhook, "headers">): TemplatePlace {
  const given = Object.entries(headers).find(([name]) => name.toLowerCase() === "content-type")?.[1];
  const type = (given ?? "application/json").split(";")[0]?.trim().toLowerCase() ?? "";
  if (type === "application/json" || type.endsWith("+json")) return "json";
  return type === "application/x-www-form-urlencoded" ? "form" : "text";
}

/** All that is wrong with the templates of a webhook: every message that reaches it must fill them. */
export function templateMistakes(use: TemplateUse): TemplateMistake[] {
  const { url, headers, body } = use.action;
  return [
    ...mistakesIn("url", url, use),
    ...Object.values(headers).flatMap((text) => mistakesIn("headers", text, use)),
    ...(body === undefined ? [] : mistakesIn("body", body, use)),
  ];
}

function mistakesIn(key: TemplateMistake["key"], text: string, use: TemplateUse): TemplateMistake[] {
  const template = parseTemplate(text);
  if ("mistake" in template)
    return [{ key, expected: "a text with fields such as {{ alert.labels.host }}", found: template.mistake }];
  const mistakes = fieldsIn(template).flatMap((field): TemplateMistake[] => {
    const { path, fallback, isJson } = field;
    const isIn = use.kinds.map((kind) => presence(path, kind, use));
    if (isIn.every((one) => one === "never")) return [{ key, expected: "a field", found: `the unknown {{ ${path} }}` }];
    if (isJson && !(key === "body" && bodyPlace(use.action) === "json"))
      return [{ key, expected: "`json` in a JSON body only", found: `{{ json ${path} }}` }];
    if (isJson || fallback !== null || isIn.every((one) => one === "always")) return [];
    const expected = `what stands there without it, such as {{ ${path} ?? unknown }}${path.startsWith("alert.labels.") ? ", or a matcher that demands the label" : ""}`;
    return [{ key, expected, found: `{{ ${path} }}, which may be missing` }];
  });
  const isJsonBody = key === "body" && bodyPlace(use.action) === "json";
  return isJsonBody && mistakes.length === 0 ? mistakesOfJson(template) : mistakes;
}

function mistakesOfJson(template: Template): TemplateMistake[] {
  const sample = template.map((part) => (typeof part === "string" ? part : part.isJson ? "null" : "x")).join("");
  try {
    JSON.parse(sample);
    return [];
  } catch {
    return [
      {
        key: "body",
        expected: "JSON when its fields are filled in (fields stand inside quotes; or set the header content-type)",
        found: "something else",
      },
    ];
  }
}

function presence(path: string, kind: MessageKind, { action, match }: TemplateUse): "always" | "maybe" | "never" {
  const [, secret] = /^secret\.(.+)$/.exec(path) ?? [];
  if (secret !== undefined) return Object.hasOwn(action.secrets ?? {}, secret) ? "always" : "never";
  if (path === "callback.url" || path === "callback.until") return action.callback === true ? "always" : "never";
  const [, label] = /^alert\.labels\.(.+)$/.exec(path) ?? [];
  if (label !== undefined) return kind === "action" && isDemanded(label, match) ? "always" : "maybe";
  if (/^alert\.annotations\../.test(path)) return "maybe";
  const { always, maybe } = KNOWN[kind];
  if (always.includes(path)) return "always";
  return maybe.includes(path) ? "maybe" : "never";
}

/** Does the policy take only alerts that have the label? */
function isDemanded(label: string, match: Policy["match"]): boolean {
  return match.some(
    (matcher) =>
      matcher.name === label &&
      (matcher.operator === "!=" ? matcher.value === "" : matcher.operator !== "!~" && !matchesEmptyText(matcher)),
  );
}
