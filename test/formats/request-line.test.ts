import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseRequestLine, type RequestLine, type RequestLineOptions } from "../../src/formats/request-line.ts";
import { fingerprintOf } from "../../src/model/fingerprint.ts";
import type { Receipt } from "../../src/model/receipt.ts";

const RECEIVED_AT = "2026-11-23T06:50:00.000Z";
const RECEIVED_AT_MS = Date.parse(RECEIVED_AT);

function taken(line: unknown, options?: RequestLineOptions): RequestLine {
  const request = parseRequestLine(typeof line === "string" ? line : JSON.stringify(line), options);
  if ("rejected" in request) throw new Error(`${request.rejected}: ${request.reason}`);
  return request;
}

function captured(body: unknown, receivedAt: string | null = RECEIVED_AT): object {
  return { ...(receivedAt === null ? {} : { receivedAt }), path: "/api/v2/alerts", body };
}

function stormLines(name: string): string[] {
  return readFileSync(new URL(`../data/prometheus-storm/${name}`, import.meta.url), "utf8")
    .trim()
    .split("\n");
}

function episodes(alerts: readonly Receipt[]): Set<string> {
  return new Set(alerts.map(({ fingerprint, startsAtMs }) => `${fingerprint}@${startsAtMs}`));
}

const v2 = { labels: { alertname: "Down" }, startsAt: "2026-11-23T06:49:00Z", endsAt: "2026-11-23T06:54:00Z" };
const v4 = {
  status: "firing",
  labels: { alertname: "Down" },
  startsAt: "2026-11-23T06:49:00Z",
  endsAt: "0001-01-01T00:00:00Z",
};

describe("the captured storm", () => {
  const prometheus = stormLines("api-v2-alerts.jsonl").map((line) => taken(line));
  const alertmanager = stormLines("webhook-v4.jsonl").map((line) => taken(line));

  test("is read whole: every alert, no rejection, all 251 episodes", () => {
    expect(prometheus).toHaveLength(183);
    expect(prometheus.flatMap(({ rejections }) => rejections)).toEqual([]);
    const alerts = prometheus.flatMap((request) => request.alerts);
    expect(alerts).toHaveLength(1_594);
    expect(episodes(alerts).size).toBe(251);
    expect(alertmanager.flatMap((request) => request.alerts)).toHaveLength(836);
    expect(alertmanager.flatMap(({ rejections }) => rejections)).toEqual([]);
  });

  test("names the same episodes whether Prometheus or Alertmanager sent it", () => {
    const sent = episodes(prometheus.flatMap((request) => request.alerts));
    for (const episode of episodes(alertmanager.flatMap((request) => request.alerts))) expect(sent).toContain(episode);
  });

  test("reads the same from bare bodies whose time the caller gives", () => {
    for (const line of stormLines("api-v2-alerts.jsonl").slice(0, 60)) {
      const { body, receivedAt } = JSON.parse(line) as { body: unknown; receivedAt: string };
      expect(taken(body, { receivedAtMs: Date.parse(receivedAt) })).toEqual(taken(line));
    }
  });
});

describe("which alert counts as resolved", () => {
  test.each([
    ["2026-11-23T06:50:00.001Z", "firing"],
    ["2026-11-23T06:50:00.000Z", "resolved"],
    ["2026-11-23T06:49:59Z", "resolved"],
    ["0001-01-01T00:00:00Z", "firing"],
    [null, "firing"],
    [undefined, "firing"],
    ["", "firing"],
  ])("v2: endsAt %s, received at 06:50: %s", (endsAt, status) => {
    expect(taken(captured([{ ...v2, endsAt }])).alerts[0]?.status).toBe(status);
  });

  test("v4: its own status says so, whatever endsAt, the group and the receipt say", () => {
    const body = {
      status: "firing",
      alerts: [
        { ...v4, status: "resolved" },
        { ...v4, endsAt: "2026-11-23T06:49:30Z" },
      ],
    };
    expect(taken(captured(body)).alerts.map(({ status }) => status)).toEqual(["resolved", "firing"]);
  });

  test("v2 without receivedAt: the line's time decides, which is its greatest startsAt", () => {
    const later = {
      ...v2,
      labels: { alertname: "Later" },
      startsAt: "2026-11-23T06:54:00Z",
      endsAt: "2026-11-23T06:58:00Z",
    };
    const line = taken([v2, later]);
    expect(line.receivedAtMs).toBeNull();
    expect(line.atMs).toBe(Date.parse("2026-11-23T06:54:00Z"));
    expect(line.alerts.map(({ status }) => status)).toEqual(["resolved", "firing"]);
    expect(taken([v2]).alerts[0]?.status).toBe("firing");
  });

  test("v2 without receivedAt: the time of a line never falls below the time before", () => {
    const floorMs = Date.parse("2026-11-23T06:54:00Z");
    expect(taken([v2], { floorMs })).toMatchObject({ atMs: floorMs, alerts: [{ status: "resolved" }] });
    expect(taken([v2], { floorMs: floorMs - 1 }).alerts[0]?.status).toBe("firing");
  });
});

describe("what an alert becomes", () => {
  test("labels, annotations, times and a fingerprint of its own; unknown keys are ignored", () => {
    const raw = {
      ...v4,
      annotations: { summary: "s" },
      generatorURL: "http://g",
      fingerprint: "wrong",
      notification_reason: 1,
    };
    expect(taken(captured({ version: "4", routeLabels: {}, alerts: [raw] })).alerts).toEqual([
      {
        labels: { alertname: "Down" },
        annotations: { summary: "s" },
        startsAtMs: Date.parse("2026-11-23T06:49:00Z"),
        endsAtMs: null,
        status: "firing",
        generatorURL: "http://g",
        fingerprint: fingerprintOf({ alertname: "Down" }),
        form: "v4",
      },
    ]);
  });

  test("an empty label is an absent one, an empty annotation stays", () => {
    const [alert] = taken(captured([{ ...v2, labels: { a: "1", b: "" }, annotations: { c: "" } }])).alerts;
    expect(alert).toMatchObject({ labels: { a: "1" }, annotations: { c: "" }, fingerprint: fingerprintOf({ a: "1" }) });
    expect(Object.keys(alert?.labels ?? {})).toEqual(["a"]);
  });

  test("a label named __proto__ is a label like any other", () => {
    const line = `[{"labels":{"__proto__":"x","a":"1"},"startsAt":"2026-11-23T06:49:00Z"}]`;
    const labels = taken(line).alerts[0]?.labels ?? {};
    expect(Object.entries(labels)).toEqual([
      ["__proto__", "x"],
      ["a", "1"],
    ]);
    expect(Object.getPrototypeOf(labels)).toBe(Object.prototype);
  });

  test("half a surrogate pair becomes U+FFFD, as it would in any store", () => {
    const line = `[{"labels":{"a":"\\ud800x\\ud83d\\ude00"},"startsAt":"2026-11-23T06:49:00Z"}]`;
    expect(taken(line).alerts[0]?.labels).toEqual({ a: "\ufffdx\u{1f600}" });
  });

  test("an absent startsAt stays absent: whoever knows the alert's episode knows when it began", () => {
    const { startsAt: _, ...unstarted } = v2;
    expect(taken(captured([unstarted])).alerts[0]?.startsAtMs).toBeNull();
    const ended = { ...unstarted, endsAt: "2026-11-23T06:40:00Z" };
    expect(taken(captured([ended])).alerts[0]).toMatchObject({ startsAtMs: null, status: "resolved" });
    const webhook = {
      alerts: [
        { ...v4, startsAt: undefined },
        { ...v4, startsAt: "0001-01-01T00:00:00Z" },
      ],
    };
    expect(taken(captured(webhook)).alerts.map(({ startsAtMs }) => startsAtMs)).toEqual([null, null]);
  });

  test("v4 in a webhook, from detection and with a status of its own; v2 everywhere else", () => {
    const forms = (line: unknown) => taken(line).alerts.map(({ form }) => form);
    expect(forms(captured([v2, { ...v2, status: "firing" }]))).toEqual(["v2", "v4"]);
    expect(forms({ ...v2 })).toEqual(["v2"]);
    expect(forms(captured({ status: "firing", alerts: [v4, { ...v2, status: undefined }] }))).toEqual(["v4", "v4"]);
    expect(forms({ ...captured([v2]), detection: { strategy: "cpu" } })).toEqual(["v4"]);
  });

  test("a body may be a JSON text, and may be empty", () => {
    expect(taken(captured(JSON.stringify([v2]))).alerts).toHaveLength(1);
    expect(taken(captured([]))).toEqual({
      receivedAtMs: RECEIVED_AT_MS,
      ownAtMs: RECEIVED_AT_MS,
      atMs: RECEIVED_AT_MS,
      alerts: [],
      rejections: [],
      truncated: 0,
    });
  });

  test("times from 1970 to 9999 are taken", () => {
    const old = { ...v2, startsAt: "1970-01-01T00:00:00Z" };
    const future = { ...v2, startsAt: "9999-12-31T23:59:59Z", endsAt: null };
    expect(taken(captured([old, future])).alerts).toHaveLength(2);
  });
});

describe("a bad alert is rejected with its index, and the others are taken", () => {
  const text = (length: number): string => "x".repeat(length);
  const labels = (count: number): object => Object.fromEntries(Array.from({ length: count }, (_, i) => [`l${i}`, "1"]));

  test.each<[string, unknown, string]>([
    ["not an object", 1, "shape"],
    ["a list", [], "shape"],
    ["null", null, "shape"],
    ["no labels", { startsAt: v2.startsAt }, "labels"],
    ["empty labels", { ...v2, labels: {} }, "labels"],
    ["only empty labels", { ...v2, labels: { a: "" } }, "labels"],
    ["labels as a list", { ...v2, labels: ["a"] }, "labels"],
    ["a label that is a number", { ...v2, labels: { a: 1 } }, "labels"],
    ["a label without a name", { ...v2, labels: { "": "x" } }, "labels"],
    ["257 labels", { ...v2, labels: labels(257) }, "limit"],
    ["a label of 16385 bytes", { ...v2, labels: { a: text(16_385) } }, "limit"],
    ["a label of 5462 characters of 3 bytes", { ...v2, labels: { a: "磁".repeat(5_462) } }, "limit"],
    ["a label's name of 1025 bytes", { ...v2, labels: { [text(1_025)]: "1" } }, "limit"],
    ["an annotation of 65537 bytes", { ...v2, annotations: { a: text(65_537) } }, "limit"],
    [
      "more than 384 KiB in all",
      { ...v2, annotations: Object.fromEntries([...Array(30).keys()].map((i) => [`a${i}`, text(16_000)])) },
      "limit",
    ],
    ["a generatorURL of 16385 bytes", { ...v2, generatorURL: text(16_385) }, "limit"],
    ["an annotation that is a number", { ...v2, annotations: { a: 1 } }, "annotations"],
    ["a startsAt that is no time", { ...v2, startsAt: "soon" }, "starts_at"],
    ["a startsAt that is a number", { ...v2, startsAt: 1 }, "starts_at"],
    ["a startsAt before 1970", { ...v2, startsAt: "1969-12-31T23:59:59Z" }, "starts_at"],
    ["an endsAt that is no time", { ...v2, endsAt: "later" }, "ends_at"],
    ["an endsAt before startsAt", { ...v2, endsAt: "2026-11-23T06:48:59Z" }, "ends_at"],
  ])("v2: %s", (_, bad, code) => {
    const line = taken(captured([v2, bad, { ...v2, labels: { alertname: "Other" } }]));
    expect(line.alerts.map((alert) => alert.labels["alertname"])).toEqual(["Down", "Other"]);
    expect(line.rejections).toMatchObject([{ index: 1, code }]);
  });

  test.each<[string, unknown, string]>([
    ["not an object", "x", "shape"],
    ["no status", { ...v4, status: undefined }, "status"],
    ["another status", { ...v4, status: "suppressed" }, "status"],
    ["a startsAt that is no time", { ...v4, startsAt: "soon" }, "starts_at"],
    ["an endsAt that is no time", { ...v4, endsAt: "x" }, "ends_at"],
  ])("v4: %s", (_, bad, code) => {
    const line = taken(captured({ alerts: [bad, v4] }));
    expect(line.alerts).toHaveLength(1);
    expect(line.rejections).toMatchObject([{ index: 0, code }]);
  });

  test("v2 without startsAt and without receivedAt: there is nothing to date it by", () => {
    expect(taken([{ labels: { a: "1" } }])).toMatchObject({
      atMs: null,
      alerts: [],
      rejections: [{ code: "starts_at" }],
    });
  });

  test("an alert at its limits is taken: 256 labels, 16384 bytes a value", () => {
    expect(taken(captured([{ ...v2, labels: labels(256) }])).rejections).toEqual([]);
    expect(taken(captured([{ ...v2, labels: { a: text(16_384) } }])).rejections).toEqual([]);
    expect(taken(captured([{ ...v2, labels: { a: "磁".repeat(5_461) } }])).rejections).toEqual([]);
    expect(taken(captured([{ ...v2, annotations: { a: text(65_536) } }])).rejections).toEqual([]);
  });

  test("an alert of 64 labels of 4096 bytes is taken", () => {
    const full = Object.fromEntries([...Array(64).keys()].map((i) => [`l${i}`, text(4_096)]));
    expect(taken(captured([{ ...v2, labels: full }])).rejections).toEqual([]);
    expect(taken(captured([{ ...v2, labels: { a: "磁".repeat(1_365) } }])).rejections).toEqual([]);
  });
});

describe("a line that cannot be read is rejected whole", () => {
  test.each<[string, string, RegExp]>([
    ["", "json", /ends too early at character 1$/],
    ["{", "json", /ends too early at character 2$/],
    ['[{"a":1,}]', "json", /unexpected "}]" at character 9$/],
    ['{"a" 1}', "json", /character 6$/],
    ["[1 2]", "json", /character 4$/],
    ["[01]", "json", /character 3$/],
    ['["\\x"]', "json", /character 3$/],
    ['["a\tb"]', "json", /character 4$/],
    ["nope", "json", /character 1$/],
    ["[] x", "json", /character 4$/],
    ["[}", "json", /character 2$/],
    ['{"body":"[1"}', "json", /^the body is not JSON/],
    ["3", "shape", /got 3/],
    ["null", "shape", /got null/],
    ["{}", "shape", /an object/],
    ['{"alerts":{}}', "shape", /an object/],
    ['{"receivedAt":"2026-11-23T06:50:00Z","path":"/metrics"}', "shape", /an object/],
    ['{"receivedAt":"yesterday","body":[]}', "received_at", /yesterday/],
    ['{"receivedAt":1,"body":[]}', "received_at", /got 1/],
  ])("%s", (line, rejected, reason) => {
    expect(parseRequestLine(line)).toMatchObject({ rejected, reason: expect.stringMatching(reason) });
  });

  test("more than 128 MiB", () => {
    expect(parseRequestLine(" ".repeat(128 * 1_048_576 + 1))).toMatchObject({ rejected: "limit" });
  });

  test("more than 100,000 alerts", () => {
    const body = (count: number) => JSON.stringify(Array(count).fill({ labels: { a: "1" }, startsAt: v2.startsAt }));
    expect(taken(body(100_000)).alerts).toHaveLength(100_000);
    expect(parseRequestLine(body(100_001))).toMatchObject({
      rejected: "limit",
      reason: expect.stringContaining("100000"),
    });
  });

  test("a text of megabytes that is not closed", () => {
    expect(parseRequestLine(`["${"x".repeat(8 * 1_048_576)}`)).toMatchObject({ rejected: "json" });
  });

  test("whatever it holds: reading never throws, and a cut JSON text is said to end too early", () => {
    fc.assert(fc.property(fc.string({ unit: "binary-ascii" }), (line) => typeof parseRequestLine(line) === "object"));
    fc.assert(
      fc.property(fc.json(), (json) => typeof parseRequestLine(`{"receivedAt":null,"body":${json}}`) === "object"),
    );
    const cuts = fc.tuple(fc.array(fc.jsonValue(), { minLength: 1 }), fc.double({ min: 0, max: 0.99, noNaN: true }));
    fc.assert(
      fc.property(cuts, ([value, share]) => {
        const json = JSON.stringify(value);
        const cut = json.slice(0, Math.floor(json.length * share));
        const line = parseRequestLine(cut);
        expect(line).toMatchObject({ rejected: "json" });
        // A cut inside a number, a word or an escape is found where that token begins.
        const at = Number(/character (\d+)$/.exec("reason" in line ? line.reason : "")?.[1]);
        expect(at).toBeGreaterThan(cut.length - 6);
      }),
    );
  });
});
