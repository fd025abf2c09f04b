import { describe, expect, test } from "vitest";
import { type AlertInput, toReceipt } from "../../src/formats/alert-input.ts";

const receivedAtMs = Date.parse("2026-11-23T06:50:00Z");
const startsAtMs = Date.parse("2026-11-23T06:49:00Z");

function alertOf(input: unknown): ReturnType<typeof toReceipt> {
  return toReceipt(input as AlertInput, { receivedAtMs });
}

describe("an alert that a program gives", () => {
  test.each([["2026-11-23T06:49:00Z"], [new Date(startsAtMs)], [startsAtMs]])("may start at %j", (startsAt) => {
    expect(alertOf({ labels: { a: "1" }, startsAt })).toMatchObject({
      startsAtMs,
      endsAtMs: null,
      status: "firing",
      annotations: {},
    });
  });

  test("has no start of its own, if it does not say", () => {
    expect(alertOf({ labels: { a: "1" } }).startsAtMs).toBeNull();
  });

  test("with a status fires until it is resolved, and without one for as long as its lease", () => {
    expect(alertOf({ labels: { a: "1" }, status: "firing" }).form).toBe("v4");
    expect(alertOf({ labels: { a: "1" } }).form).toBe("v2");
  });

  test("is resolved when it says so, or else when endsAt has passed", () => {
    expect(alertOf({ labels: { a: "1" }, startsAt: startsAtMs, status: "resolved" }).status).toBe("resolved");
    expect(alertOf({ labels: { a: "1" }, startsAt: startsAtMs, endsAt: receivedAtMs }).status).toBe("resolved");
    expect(alertOf({ labels: { a: "1" }, startsAt: startsAtMs, endsAt: receivedAtMs + 1 }).status).toBe("firing");
  });

  test("that is an Alert already stays the same, but for a fingerprint that is wrong", () => {
    const alert = alertOf({
      labels: { a: "1" },
      startsAt: startsAtMs,
      endsAt: startsAtMs + 5,
      generatorURL: "http://g",
      status: "firing",
    });
    expect(alertOf(alert)).toEqual(alert);
    expect(alertOf({ ...alert, fingerprint: "0000000000000000" })).toEqual(alert);
  });

  test.each<[unknown, string]>([
    [null, "shape"],
    ["x", "shape"],
    [{}, "labels"],
    [{ labels: { a: "1" }, status: "maybe" }, "status"],
    [{ labels: { a: "1" }, startsAt: new Date(Number.NaN) }, "starts_at"],
    [{ labels: { a: "1" }, endsAt: "x" }, "ends_at"],
  ])("%j is refused with a code", (input, code) => {
    expect(() => alertOf(input)).toThrow(expect.objectContaining({ code: "BECALM_ALERT_INVALID", details: { code } }));
  });
});
