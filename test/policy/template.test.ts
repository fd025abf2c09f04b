import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parsePolicies } from "../../src/formats/policy-file.ts";
import { fillTemplate, parseTemplate, type Template, type TemplatePlace } from "../../src/policy/template.ts";

function fill(text: string, scope: Record<string, unknown>, place: TemplatePlace = "json") {
  return fillTemplate(parseTemplate(text) as Template, scope, place);
}

describe("a template", () => {
  const scope = { alert: { labels: { host: 'a"b\n', "a.b": "dotted" }, endsAt: null }, attempt: 2 };

  test.each([
    ["{{ alert.labels.host }}", "json", 'a\\"b\\n'],
    ["{{alert.labels.host}}", "form", "a%22b%0A"],
    ["{{ alert.labels.host }}", "text", 'a"b\n'],
    ["{{ alert.labels.a.b }}", "json", "dotted"],
    ["n={{ attempt }}", "json", "n=2"],
    ["{{ alert.endsAt ?? never }}", "json", "never"],
    ["{{ alert.labels.none ?? }}", "json", ""],
    [
      '{"l":{{ json alert.labels }},"e":{{ json alert.endsAt }}}',
      "json",
      '{"l":{"host":"a\\"b\\n","a.b":"dotted"},"e":null}',
    ],
    ["{{ alert.labels }}", "text", '{"host":"a\\"b\\n","a.b":"dotted"}'],
    ["no fields } } {", "json", "no fields } } {"],
  ] as const)("%s as %s", (text, place, filled) => {
    expect(fill(text, scope, place)).toEqual({ text: filled });
  });

  test("names the field that is missing, also where an object lends one", () => {
    expect(fill("{{ alert.labels.none }}", scope)).toEqual({ missing: "alert.labels.none" });
    expect(fill("{{ alert.labels.constructor }}", scope)).toEqual({ missing: "alert.labels.constructor" });
    expect(fill("{{ alert.endsAt }}", scope)).toEqual({ missing: "alert.endsAt" });
  });

  test("never lets a value out of its JSON string, whatever it says", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (host) => {
        const filled = fill('{"host":"<{{ alert.labels.host }}>"}', { alert: { labels: { host } } });
        expect(JSON.parse((filled as { text: string }).text)).toEqual({ host: `<${host}>` });
      }),
    );
  });

  test("never lets a value out of its part of an address or a form", () => {
    fc.assert(
      fc.property(fc.string(), (host) => {
        const { text } = fill("http://h/job/{{ alert.labels.host }}?x=1", { alert: { labels: { host } } }, "url") as {
          text: string;
        };
        const url = new URL(text);
        expect([url.host, url.search]).toEqual(["h", "?x=1"]);
      }),
    );
  });
});

describe("a policy with a template", () => {
  const mistakesOf = (webhook: string, more = "") =>
    parsePolicies(
      `policies:\n  - name: a\n    match: ['alertname="X"', 'host=~".+"', 'maybe=~".*"', 'not!="x"']\n    action: { webhook: { url: "http://h/", ${webhook} } }\n${more}`,
      { file: "p.yaml" },
    ).mistakes.map(({ line, path, expected, found }) => ({ line, path, text: `${expected} / ${found}` }));

  test.each([
    [`body: { host: "{{ alert.labels.host }}", name: "{{ alert.labels.alertname }}" }`],
    [`body: { all: "{{ json alert }}", end: "{{ alert.endsAt ?? never }}" }`],
    [`body: '{"a":{{ json alert.labels }}}'`],
    [`body: "h={{ alert.labels.host }}", headers: { Content-Type: text/plain }`],
    [`method: PUT, headers: { X: "{{ secret.k }}" }, secrets: { k: { env: K } }`],
    [`method: GET`],
    [`body: { to: "{{ callback.url }}" }, callback: true`],
  ])("%s is right", (webhook) => {
    expect(mistakesOf(webhook)).toEqual([]);
  });

  test.each([
    [`body: { a: "{{ alert.lables.host }}" }`, "body", "unknown {{ alert.lables.host }}"],
    [`body: { a: "{{ alert.label }}" }`, "body", "the field alert.labels"],
    [`body: { a: "{{ alert.labels.maybe }}" }`, "body", "may be missing"],
    [`body: { a: "{{ alert.labels.not }}" }`, "body", "may be missing"],
    [`body: { a: "{{ alert.annotations.summary }}" }`, "body", "{{ alert.annotations.summary ?? unknown }}"],
    [`body: { a: "{{ alert.endsAt }}" }`, "body", "may be missing"],
    [`body: { a: "{{ callback.url }}" }`, "body", "unknown"],
    [`body: { a: "{{ secret.k }}" }`, "body", "unknown"],
    [`body: { a: "{{ approval.links.approve ?? x }}" }`, "body", "unknown"],
    [`body: "{{ alert.labels.host }}"`, "body", "JSON when its fields are filled in"],
    [`body: { a: "{{ alert.labels.host" }`, "body", "no }} closes"],
    [`body: { a: "{{ two words }}" }`, "body", "which is not {{ field }}"],
    [`body: "x={{ json alert }}", headers: { Content-Type: text/plain }`, "body", "JSON body only"],
    [`headers: { X: "{{ nope }}" }`, "headers", "unknown"],
    [`method: GET, body: x`, "body", "no body for GET"],
    [`method: FETCH`, "method", "one of POST"],
    [`callback: yes please`, "callback", "true or false"],
    [`sign: { file: a, env: B }`, "sign", "both"],
    [`sign: secret`, "sign", "{ file: PATH } or { env: NAME }"],
    [`secrets: { "a b": { env: K } }`, "secrets", "letters, digits"],
  ])("%s is a mistake, with its place", (webhook, key, text) => {
    const [mistake] = mistakesOf(webhook);
    expect(mistake).toMatchObject({ line: 4, path: expect.stringContaining(`policies[0].action.webhook.${key}`) });
    expect(mistake?.text).toContain(text);
  });

  test("says which kind of message could not fill it: a summary has no alert of its own for certain", () => {
    const collect = `    converge: { function: collect, by: [host], count: 1, window: 5m }\n`;
    const [mistake] = mistakesOf(`body: { a: "{{ alert.labels.host }}" }`, collect);
    expect(mistake?.text).toContain("may be missing");
    expect(
      mistakesOf(`body: { a: "{{ alert.labels.host ?? several }}", n: "{{ summary.skipped ?? 0 }}" }`, collect),
    ).toEqual([]);
  });

  test("keeps an address's host out of an alert's reach", () => {
    const text = `policies: [{ name: a, match: ['h="x"'], action: { webhook: { url: "http://{{ alert.labels.h }}/" } } }]`;
    expect(parsePolicies(text, { file: "p" }).mistakes).not.toEqual([]);
  });
});
