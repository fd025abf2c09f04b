import { describe, expect, test } from "vitest";
import { parseRequestLine, type RequestLine, requestsOf } from "../../src/formats/request-line.ts";

const RECEIVED_AT = "2026-11-23T07:00:00.000Z";
const STARTS_AT = "2026-11-23T06:49:00Z";

function read(value: unknown): RequestLine {
  const request = parseRequestLine(JSON.stringify(value));
  if ("rejected" in request) throw new Error(`${request.rejected}: ${request.reason}`);
  return request;
}

function refusal(value: unknown): string {
  const request = parseRequestLine(JSON.stringify(value));
  return "rejected" in request ? `${request.rejected}: ${request.reason}` : "it was taken";
}

function captured(body: unknown): object {
  return { receivedAt: RECEIVED_AT, body };
}

function names(request: RequestLine): (string | undefined)[] {
  return request.alerts.map(({ labels }) => labels["alertname"]);
}

const down = { labels: { alertname: "Down" }, startsAt: STARTS_AT };
const webhook = { version: "4", receiver: "becalm", status: "firing", alerts: [{ ...down, status: "firing" }] };

describe("a request is read in every shape that people have", () => {
  test.each<[string, unknown]>([
    ["API v2", [down]],
    ["a webhook", webhook],
    ["one alert", down],
    ["a captured request", captured(webhook)],
    ["a captured single alert", captured(down)],
    ["a captured JSON text", captured(JSON.stringify(webhook))],
    [
      "GET /api/v2/alerts",
      [{ ...down, status: { state: "active" }, receivers: [{ name: "a" }], updatedAt: STARTS_AT }],
    ],
    [
      "GET /api/v2/alerts/groups",
      [{ labels: {}, receiver: { name: "a" }, alerts: [{ ...down, status: { state: "active" } }] }],
    ],
    ["a list of webhooks", captured([webhook])],
  ])("%s", (_, value) => {
    expect(names(read(value))).toEqual(["Down"]);
  });

  test("a list of webhooks, captured requests or events is one of requests; a list of alerts is a body", () => {
    const event = { "@timestamp": STARTS_AT, data: {} };
    for (const one of [webhook, captured([]), event]) expect(requestsOf([one, down])).toEqual([one, down]);
    expect(requestsOf([down, down])).toEqual([[down, down]]);
    expect(requestsOf(webhook)).toEqual([webhook]);
  });
});

describe("what says whether an alert fires", () => {
  const status = (value: unknown) => read(value).alerts[0]?.status;
  const past = { ...down, endsAt: "2026-11-23T06:50:00Z" };
  const future = { ...down, endsAt: "2026-11-23T07:30:00Z" };

  test.each<[string, unknown, string]>([
    [
      "its own status, whatever its webhook and endsAt say",
      { alerts: [{ ...past, status: "firing" }], status: "resolved" },
      "firing",
    ],
    ["its webhook's, if it has none and no endsAt", { alerts: [down], status: "resolved" }, "resolved"],
    ["its webhook's, if it has none and endsAt lies ahead", { alerts: [future], status: "firing" }, "firing"],
    ["an endsAt that has passed, if it has none", { alerts: [past], status: "firing" }, "resolved"],
    ["its own status in a plain array too", [{ ...past, status: "firing" }], "firing"],
    ["its own status in a plain array too: resolved", [{ ...down, status: "resolved" }], "resolved"],
    ["an endsAt that has passed, in a plain array", [past], "resolved"],
    ["an empty status is none", [{ ...past, status: "" }], "resolved"],
  ])("%s", (_, body, expected) => {
    expect(status(captured(body))).toBe(expected);
  });

  test("without receivedAt the line's own time decides what has ended", () => {
    const later = { ...down, startsAt: "2026-11-23T06:55:00Z" };
    const body = { status: "firing", alerts: [past, { ...past, status: "firing" }, later] };
    expect(read(body).alerts.map((alert) => alert.status)).toEqual(["resolved", "firing", "firing"]);
  });

  test("nothing: an alert without a status in a webhook without one is refused", () => {
    expect(read(captured({ alerts: [down, ...webhook.alerts] })).rejections).toMatchObject([
      { index: 0, code: "status" },
    ]);
  });
});

describe("what Alertmanager held back is not taken for an alert that fires", () => {
  const suppressed = { ...down, status: { state: "suppressed", silencedBy: ["810ccf7f"], inhibitedBy: [] } };

  test.each<[string, unknown]>([
    ["in GET /api/v2/alerts", [suppressed, { ...down, status: { state: "active" } }]],
    [
      "in a group",
      [{ labels: {}, receiver: { name: "a" }, alerts: [suppressed, { ...down, status: { state: "active" } }] }],
    ],
  ])("%s", (_, value) => {
    const request = read(value);
    expect(request.alerts).toHaveLength(1);
    expect(request.rejections).toMatchObject([
      { index: 0, code: "suppressed", reason: expect.stringContaining("810ccf7f") },
    ]);
  });
});

describe("what is left out by the sender is counted", () => {
  test("truncatedAlerts of a webhook, and of each in a list", () => {
    expect(read({ ...webhook, truncatedAlerts: 19 }).truncated).toBe(19);
    expect(
      read(
        captured([
          { ...webhook, truncatedAlerts: 19 },
          { ...webhook, truncatedAlerts: 2 },
        ]),
      ).truncated,
    ).toBe(21);
    for (const truncatedAlerts of [0, -1, 1.5, "3", null])
      expect(read({ ...webhook, truncatedAlerts }).truncated).toBe(0);
  });
});

describe("what is something else is said to be it", () => {
  test.each<[string, unknown, RegExp]>([
    [
      "Prometheus' alerts",
      { status: "success", data: { alerts: [] } },
      /^shape: this is Prometheus' GET \/api\/v1\/alerts/,
    ],
    ["Prometheus' alerts, one by one", { labels: { a: "1" }, state: "firing", activeAt: STARTS_AT }, /no startsAt/],
    ["Prometheus' rules", { status: "success", data: { groups: [] } }, /GET \/api\/v1\/rules/],
    ["a query's answer", { status: "success", data: { resultType: "vector", result: [] } }, /query/],
    ["Alertmanager's API v1", { status: "success", data: [down] }, /API v1/],
    ["Grafana's old webhook", { ruleId: 1, ruleName: "x", evalMatches: [], state: "alerting" }, /Grafana/],
    ["a silence", [{ matchers: [], startsAt: STARTS_AT, endsAt: STARTS_AT }], /silence/],
    ["a log line", { time: STARTS_AT, msg: "webhook", payload: webhook }, /the keys "time", "msg", "payload"/],
    ["a list of something else", [1, 2, 3], /got 1/],
    ["a list of objects of another kind", [{ x: 1 }, { x: 2 }], /the keys "x"/],
    ["many keys", Object.fromEntries([..."abcdefghij"].map((key) => [key, 1])), /"h", \.\.\.$/],
  ])("%s", (_, value, reason) => {
    expect(refusal(value)).toMatch(reason);
  });
});

describe("every form of time that Alertmanager takes", () => {
  const read2 = (startsAt: unknown) => read(captured([{ ...down, startsAt }])).alerts[0]?.startsAtMs;

  test.each([
    ["2026-11-23T06:49:00Z"],
    ["2026-11-23T06:49:00.000000000Z"],
    ["2026-11-23T14:49:00+08:00"],
    ["2026-11-23T14:49:00.000+0800"],
    ["2026-11-23T06:49:00"],
    ["2026-11-23T06:49:00.000000"],
    ["2026-11-23T06:49:00,000Z"],
    ["2026-11-23T06:49Z"],
    ["2026-11-23T06:49"],
    ["2026-11-23 06:49:00"],
    ["2026-11-23 06:49:00.000"],
  ])("%s", (text) => {
    expect(read2(text)).toBe(Date.parse("2026-11-23T06:49:00Z"));
  });

  test("a date alone is its midnight", () => {
    expect(read2("2026-11-23")).toBe(Date.parse("2026-11-23T00:00:00Z"));
  });

  test.each([["0001-01-01T00:00:00Z"], ["0001-01-01T00:00:00"], ["0001-01-01 00:00:00"], ["0001-01-01"], [""], [null]])(
    "%s is no time, and no mistake",
    (text) => {
      expect(read2(text)).toBeNull();
    },
  );

  test.each([["2026-11-23T25:00"], ["2026-02-30"], ["23.11.2026"], ["2026-11-23T06"], ["2026-11-23Z"], ["1795416600"]])(
    "%s is refused",
    (text) => {
      expect(read(captured([{ ...down, startsAt: text }, down])).rejections).toMatchObject([{ code: "starts_at" }]);
    },
  );

  test("receivedAt has the same forms", () => {
    expect(read({ receivedAt: "2026-11-23 07:00", body: [down] }).receivedAtMs).toBe(Date.parse(RECEIVED_AT));
  });
});
