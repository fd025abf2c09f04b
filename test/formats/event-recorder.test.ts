import { describe, expect, test } from "vitest";
import { parseRequestLine, type RequestLine } from "../../src/formats/request-line.ts";
import { fingerprintOf } from "../../src/model/fingerprint.ts";

const LABELS = { alertname: "UnitDown", unit: "u7" };
const TIMES = { startsAt: "2026-11-23T09:59:00.413Z", endsAt: "2026-11-23T10:04:00Z" };
const FINGERPRINT = BigInt(`0x${fingerprintOf(LABELS)}`).toString();

function pairs(map: Readonly<Record<string, string>>) {
  return { labels: Object.entries(map).map(([key, value]) => ({ key, value })) };
}

/** As protojson writes it: an unset field is left out, a 64-bit number is a text. */
const recorded = {
  v1: {
    fingerprint: FINGERPRINT,
    name: "UnitDown",
    labels: pairs(LABELS),
    annotations: pairs({ summary: "s" }),
    ...TIMES,
  },
  v2: { fingerprint: FINGERPRINT, name: "UnitDown", labels: LABELS, annotations: { summary: "s" }, ...TIMES },
};

function event(data: object): object {
  return { "@timestamp": "2026-11-23T10:00:00.123456789Z", instance: "am-1", data, clusterPosition: 1 };
}

function read(value: object): RequestLine {
  const request = parseRequestLine(JSON.stringify(value));
  if ("rejected" in request) throw new Error(request.reason);
  return request;
}

describe.each(["v1", "v2"] as const)("Alertmanager's event recorder, schema events/%s", (schema) => {
  const alert = recorded[schema];
  const grouped = { hash: FINGERPRINT, details: alert };

  test.each<[string, object]>([
    ["alertCreated", { alertCreated: { alert } }],
    ["alertGrouped", { alertGrouped: { alert: grouped, groupInfo: {} } }],
    ["notification", { notification: { alerts: [grouped], firingAlerts: [{ hash: FINGERPRINT }], reason: "x" } }],
  ])("%s brings its alert, dated when it was recorded", (_, data) => {
    expect(read(event(data))).toMatchObject({
      receivedAtMs: Date.parse("2026-11-23T10:00:00.123Z"),
      rejections: [],
      alerts: [
        {
          labels: LABELS,
          annotations: { summary: "s" },
          startsAtMs: Date.parse(TIMES.startsAt),
          status: "firing",
          fingerprint: fingerprintOf(LABELS),
        },
      ],
    });
  });

  test("alertResolved resolves it", () => {
    const ended = { ...grouped, details: { ...alert, resolved: true } };
    expect(read(event({ alertResolved: { alert: ended } })).alerts).toMatchObject([{ status: "resolved" }]);
  });
});

describe("Alertmanager's event recorder", () => {
  test("an alert of a group without details around it, as events/v2 has it later on", () => {
    const request = read(event({ notification: { alerts: [recorded.v2, { ...recorded.v2, resolved: true }] } }));
    expect(request.alerts.map(({ status }) => status)).toEqual(["firing", "resolved"]);
  });

  test.each(["alertmanagerStartupEvent", "silenceCreated", "silenceMutedAlert", "inhibitionMutedAlert"])(
    "%s brings no alert and is no mistake",
    (kind) => {
      expect(read(event({ [kind]: {} }))).toMatchObject({ alerts: [], rejections: [] });
    },
  );

  test("an alert of which only the hash was recorded is refused, as is an event of an unknown kind", () => {
    expect(read(event({ notification: { alerts: [{ hash: "1" }] } })).rejections).toMatchObject([{ code: "labels" }]);
    expect(parseRequestLine(JSON.stringify(event({ alertTeleported: {} })))).toMatchObject({
      rejected: "shape",
      reason: expect.stringContaining("alertTeleported"),
    });
  });
});
