/** Requests that are sent to a real Alertmanager and to Becalm, in this order. Times in them are relative to now. */
export type Asked = {
  readonly name: string;
  readonly method?: string;
  readonly path: string;
  /** Sent as JSON, unless it is a text. */
  readonly body?: unknown;
  /** null: none is sent. Default for a body: application/json. */
  readonly type?: string | null;
  readonly accept?: string;
  /** Why the answers differ on purpose; a row of the table in docs/http-api.md has the same text. */
  readonly differs?: string;
};

const MINUTE = 60_000;

export function requests(nowMs: number): Asked[] {
  const at = (ms: number) => new Date(nowMs + ms).toISOString();
  const labels = { alertname: "Disk", instance: "a", severity: "page" };
  const post = (name: string, body: unknown, more: Partial<Asked> = {}): Asked => ({
    name,
    method: "POST",
    path: "/api/v2/alerts",
    body,
    ...more,
  });
  const get = (name: string, query = "", more: Partial<Asked> = {}): Asked => ({
    name,
    path: `/api/v2/alerts${query}`,
    ...more,
  });
  // Each has an end of its own: Alertmanager lists those with the same end in any order.
  let made = 0;
  const silence = (more: object = {}) => ({
    matchers: [{ name: "instance", value: "a", isRegex: false }],
    startsAt: at(-MINUTE),
    endsAt: at((60 + made++) * MINUTE),
    createdBy: "ann",
    comment: "work",
    ...more,
  });
  const silencing = (name: string, body: unknown, more: Partial<Asked> = {}): Asked => ({
    name,
    method: "POST",
    path: "/api/v2/silences",
    body,
    ...more,
  });
  return [
    post("an empty array", []),
    post("null", "null"),
    post("an alert without times", [{ labels }]),
    get("the alert"),
    post("annotations and a link", [
      {
        labels: { ...labels, instance: "b" },
        annotations: { summary: "full", empty: "" },
        startsAt: at(-5 * MINUTE),
        endsAt: at(10 * MINUTE),
        generatorURL: "http://prometheus/graph?g0=1",
      },
    ]),
    post("the same again, shorter and later", [
      { labels: { ...labels, instance: "b" }, startsAt: at(-2 * MINUTE), endsAt: at(5 * MINUTE) },
    ]),
    get("merged alerts"),
    post("only an end", [{ labels: { alertname: "OnlyEnd" }, endsAt: at(20 * MINUTE) }]),
    post("the zero time", [
      { labels: { alertname: "Zero" }, startsAt: "0001-01-01T00:00:00Z", endsAt: "0001-01-01T00:00:00Z" },
    ]),
    post("a future start with a later end", [
      { labels: { alertname: "Future" }, startsAt: at(MINUTE), endsAt: at(9 * MINUTE) },
    ]),
    post("a future start without an end", [{ labels: { alertname: "TooFar" }, startsAt: at(6 * MINUTE) }]),
    post("a start after the end", [{ labels: { alertname: "Backwards" }, startsAt: at(0), endsAt: at(-MINUTE) }]),
    post("a time without a zone", [{ labels: { alertname: "Zoneless" }, startsAt: at(-MINUTE).slice(0, 19) }]),
    post("an empty label", [{ labels: { alertname: "EmptyLabel", nothing: "" } }]),
    post("only empty labels", [{ labels: { nothing: "" } }]),
    post("some bad ones among good ones", [
      { labels: { nothing: "" } },
      { labels: { alertname: "Good" } },
      { labels: { alertname: "B" }, startsAt: at(0), endsAt: at(-MINUTE) },
    ]),
    post("missing labels", [{ annotations: {} }]),
    post("null labels in the second", [{ labels: { alertname: "x" } }, { labels: null }]),
    post("a link that is none", [{ labels, generatorURL: "no url" }]),
    post("a path as a link", [{ labels: { alertname: "Path" }, generatorURL: "/graph" }]),
    post("an object", { labels }),
    post("a number as a label", [{ labels: { alertname: 1 } }]),
    post("a bad time", [{ labels, startsAt: "yesterday" }]),
    post("a date", [{ labels, startsAt: "2026-01-01" }]),
    post("no JSON", "x"),
    post("cut JSON", "["),
    post("an empty body", ""),
    post("null among alerts", "[null]", { differs: "null among alerts" }),
    post("text/plain", "[]", { type: "text/plain" }),
    post("no content type", "[]", { type: null }),
    post("a content type in capitals with a charset", [], { type: "Application/JSON; charset=utf-8" }),
    post("unknown keys", [{ labels: { alertname: "Unknown" }, status: "firing", more: { deep: 1 } }]),
    post("a resolve", [{ labels: { alertname: "Good" }, startsAt: at(-MINUTE), endsAt: at(-1_000) }]),
    post("a resolve of an unknown alert", [
      { labels: { alertname: "Never" }, startsAt: at(-MINUTE), endsAt: at(-1_000) },
    ]),
    get("after all of these"),
    get("a filter", `?filter=${encodeURIComponent('alertname="Disk"')}`),
    get("two filters without quotes", "?filter=alertname=Disk&filter=instance!=a"),
    get("an expression", `?filter=${encodeURIComponent('alertname=~"Di.*|Zero"')}`),
    get("a label that is missing", `?filter=${encodeURIComponent('nope=""')}&filter=alertname=Disk`),
    get("a bad filter", "?filter=alertname"),
    get("a filter in braces", `?filter=${encodeURIComponent('{alertname="Disk"}')}`),
    get("quotes in a filter", `?filter=${encodeURIComponent('alertname="A1",instance="a"')}`),
    get("a broken expression", `?filter=${encodeURIComponent('alertname=~"("')}`),
    get("a receiver", "?receiver=def.*"),
    get("another receiver", "?receiver=other"),
    get("a broken receiver", `?receiver=${encodeURIComponent("(")}`),
    get("no active ones", "?active=false"),
    get("a word that is no flag", "?active=maybe"),
    get("the last of two flags", "?active=false&active=1"),
    // What Grafana asks: is it one, and of which kind; then what its pages show.
    { name: "Grafana: is it Mimir", path: "/alertmanager/api/v2/status" },
    { name: "Grafana: which kind", path: "/api/v1/status/buildinfo" },
    get("Grafana: alerts", "?silenced=true&active=true&inhibited=true"),
    get(
      "Grafana: alerts by a matcher",
      `?silenced=true&active=true&inhibited=true&filter=${encodeURIComponent('instance=~"b"')}`,
    ),
    {
      name: "Grafana: groups of what is active",
      path: "/api/v2/alerts/groups?silenced=false&inhibited=false&active=true&muted=false",
    },
    { name: "Grafana: receivers", path: "/api/v2/receivers" },
    // What karma asks, whatever is there; it names no media type.
    { name: "karma: groups", path: "/api/v2/alerts/groups", accept: "*/*" },
    { name: "karma: silences", path: "/api/v2/silences", accept: "*/*" },
    get("all flags off", "?active=false&silenced=false&inhibited=false&unprocessed=false"),
    get("unknown parameters", "?nope=1"),
    { name: "groups", path: "/api/v2/alerts/groups" },
    { name: "groups of a filter", path: "/api/v2/alerts/groups?filter=instance=b" },
    { name: "groups of nobody", path: "/api/v2/alerts/groups?receiver=other" },
    post("a name that was invalid", [{ labels: { "bad-name": "x", alertname: "Utf8" } }], { differs: "UTF-8 names" }),
    post("its end", [{ labels: { "bad-name": "x", alertname: "Utf8" }, startsAt: at(-MINUTE), endsAt: at(-1_000) }], {
      differs: "UTF-8 names",
    }),
    { name: "receivers", path: "/api/v2/receivers" },
    { name: "status", path: "/api/v2/status", differs: "status" },
    { name: "another type is accepted", path: "/api/v2/receivers", accept: "text/plain" },
    silencing("Grafana: a silence with keys of its own", {
      ...silence({ matchers: [{ name: "team", value: "x|y", isRegex: true, isEqual: true, operator: "=~" }] }),
      timeZone: "browser",
      duration: "2h",
      id: "",
    }),
    silencing("a silence", silence()),
    get("suppressed alerts", "?filter=instance=a"),
    get("no suppressed ones", "?silenced=false&filter=alertname=Disk"),
    { name: "silences", path: "/api/v2/silences" },
    { name: "silences of a filter", path: "/api/v2/silences?filter=instance=a" },
    { name: "silences of another filter", path: "/api/v2/silences?filter=instance=b" },
    { name: "a bad filter of silences", path: "/api/v2/silences?filter=x" },
    { name: "one silence", path: "/api/v2/silence/{silence:0}" },
    silencing("edited in place", silence({ id: "{silence:0}", startsAt: "{startsAt:0}", comment: "more work" })),
    silencing(
      "edited into a new one",
      silence({ id: "{silence:0}", matchers: [{ name: "instance", value: "b", isRegex: false }] }),
    ),
    { name: "silences after both", path: "/api/v2/silences" },
    silencing("a pending one", silence({ startsAt: at(30 * MINUTE) })),
    silencing("an unknown id", silence({ id: "nope" })),
    silencing("no matchers", silence({ matchers: [] })),
    silencing("matchers missing", silence({ matchers: undefined })),
    silencing("no comment", silence({ comment: undefined })),
    silencing("an empty comment", silence({ comment: "" })),
    silencing("no author", silence({ createdBy: undefined })),
    silencing("no start", silence({ startsAt: undefined })),
    silencing("no end", silence({ endsAt: undefined })),
    silencing("isRegex missing", silence({ matchers: [{ name: "a", value: "b" }] })),
    silencing("an end before the start", silence({ endsAt: at(-2 * MINUTE) })),
    silencing("an end in the past", silence({ startsAt: at(-3 * MINUTE), endsAt: at(-2 * MINUTE) })),
    silencing("only empty matches", silence({ matchers: [{ name: "a", value: ".*", isRegex: true }] })),
    silencing(
      "an empty match beside another",
      silence({
        matchers: [
          { name: "a", value: ".*", isRegex: true },
          { name: "zone", value: "x", isRegex: false },
        ],
      }),
    ),
    silencing("an inequality", silence({ matchers: [{ name: "nope", value: "", isRegex: false, isEqual: false }] })),
    silencing("a broken expression in a silence", silence({ matchers: [{ name: "a", value: "(", isRegex: true }] })),
    silencing("no JSON as a silence", "x"),
    silencing("an empty body as a silence", ""),
    { name: "no uuid", path: "/api/v2/silence/abc" },
    { name: "a prototype's name", method: "DELETE", path: "/api/v2/silence/__proto__" },
    { name: "an unknown uuid", path: "/api/v2/silence/00000000-0000-4000-8000-000000000000" },
    {
      name: "delete an unknown one",
      method: "DELETE",
      path: "/api/v2/silence/00000000-0000-4000-8000-000000000000",
      differs: "unknown silence",
    },
    { name: "delete", method: "DELETE", path: "/api/v2/silence/{silence:1}" },
    { name: "delete again", method: "DELETE", path: "/api/v2/silence/{silence:1}" },
    { name: "silences at the end", path: "/api/v2/silences" },
    silencing(
      "a name that was invalid in a silence",
      silence({ matchers: [{ name: "a-b", value: "x", isRegex: false }] }),
      { differs: "UTF-8 names" },
    ),
    { name: "an unknown path", path: "/api/v2/nope" },
    { name: "a wrong method", method: "PUT", path: "/api/v2/alerts" },
    { name: "a wrong method on a silence", method: "POST", path: "/api/v2/silence/abc" },
    { name: "HEAD", method: "HEAD", path: "/api/v2/alerts" },
    { name: "OPTIONS", method: "OPTIONS", path: "/api/v2/alerts" },
    { name: "a slash at the end", path: "/api/v2/receivers/" },
    { name: "two slashes", path: "//api/v2/receivers", differs: "redirects" },
    { name: "the bare API", path: "/api/v2", differs: "redirects" },
    { name: "nowhere", path: "/nope" },
    { name: "healthy", path: "/-/healthy" },
    { name: "ready", path: "/-/ready" },
    { name: "HEAD of healthy", method: "HEAD", path: "/-/healthy" },
    { name: "POST healthy", method: "POST", path: "/-/healthy", differs: "allowed methods" },
    { name: "GET reload", path: "/-/reload", differs: "allowed methods" },
    { name: "reload", method: "POST", path: "/-/reload", differs: "reload" },
  ];
}
