/** What people have instead of alerts: named, with what to take instead. */
import { isObject, type RawObject } from "./alert-fields.ts";
import { Rejection, shown } from "./rejection.ts";

const SHAPES: readonly { readonly is: (value: RawObject) => boolean; readonly text: string }[] = [
  {
    is: ({ status, data }) => status === "success" && isObject(data) && Array.isArray(data.alerts),
    text: "Prometheus' GET /api/v1/alerts, which has pending alerts and no startsAt: take Alertmanager's GET /api/v2/alerts",
  },
  {
    is: ({ status, data }) => status === "success" && isObject(data) && Array.isArray(data.groups),
    text: "Prometheus' GET /api/v1/rules: take Alertmanager's GET /api/v2/alerts",
  },
  {
    is: ({ status, data }) => status === "success" && isObject(data) && "result" in data,
    text: "the answer of a Prometheus query: `becalm detect` takes metrics",
  },
  {
    is: ({ status, data }) => status === "success" && Array.isArray(data),
    text: "Alertmanager's API v1, which is gone since 0.27: take GET /api/v2/alerts",
  },
  {
    is: ({ ruleId, ruleName, evalMatches }) =>
      evalMatches !== undefined || (ruleId !== undefined && ruleName !== undefined),
    text: "Grafana's webhook of before its unified alerting, which has no labels: take that of Grafana 9 or later",
  },
  {
    is: ({ matchers, startsAt }) => Array.isArray(matchers) && startsAt !== undefined,
    text: "a silence: silences belong in the policy file",
  },
];

const KEYS_SHOWN_COUNT_MAX = 8;

/** Why an object is neither a request nor an alert; null: it may be an alert. */
export function foreignShape(value: RawObject): Rejection | null {
  const known = SHAPES.find(({ is }) => is(value));
  if (known !== undefined) return new Rejection("shape", `this is ${known.text}`);
  if ("labels" in value || "annotations" in value || "startsAt" in value) return null;
  return new Rejection("shape", `expected alerts, a webhook or an event (docs/inputs.md), got ${keysText(value)}`);
}

function keysText(value: RawObject): string {
  const keys = Object.keys(value);
  if (keys.length === 0) return "an object without keys";
  const more = keys.length > KEYS_SHOWN_COUNT_MAX ? ", ..." : "";
  return `an object with the keys ${keys.slice(0, KEYS_SHOWN_COUNT_MAX).map(shown).join(", ")}${more}`;
}
