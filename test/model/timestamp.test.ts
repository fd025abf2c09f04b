import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isZeroTime, parseTimestamp } from "../../src/model/timestamp.ts";

describe("a timestamp", () => {
  test("in UTC with milliseconds equals what Date says, for every instant of the years 0001 to 9999", () => {
    const dates = fc.date({
      min: new Date("0001-01-02T00:00:00Z"),
      max: new Date("9999-12-31T23:59:59.999Z"),
      noInvalidDate: true,
    });
    fc.assert(
      fc.property(dates, (date) => parseTimestamp(date.toISOString()) === date.getTime()),
      { numRuns: 1_000 },
    );
  });

  test.each([
    ["2026-11-23T06:49:54Z", "2026-11-23T06:49:54.000Z"],
    ["2026-11-23T06:49:54.7Z", "2026-11-23T06:49:54.700Z"],
    ["2026-11-23T06:49:54.757999999Z", "2026-11-23T06:49:54.757Z"],
    ["2026-11-23T14:49:54.757+08:00", "2026-11-23T06:49:54.757Z"],
    ["2026-11-22T23:19:54-07:30", "2026-11-23T06:49:54.000Z"],
    ["2026-11-23t06:49:54z", "2026-11-23T06:49:54.000Z"],
    ["2024-02-29T00:00:00Z", "2024-02-29T00:00:00.000Z"],
    ["1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z"],
  ])("%s is %s", (text, iso) => {
    expect(parseTimestamp(text)).toBe(Date.parse(iso));
  });

  test.each([
    "",
    "now",
    "2026-11-23",
    "2026-11-23T06:49:54",
    "2026-11-23 06:49:54Z",
    "2026-11-23T06:49Z",
    "2026-13-01T00:00:00Z",
    "2026-00-01T00:00:00Z",
    "2026-02-29T00:00:00Z",
    "2100-02-29T00:00:00Z",
    "2026-04-31T00:00:00Z",
    "2026-11-23T24:00:00Z",
    "2026-11-23T06:60:00Z",
    "2026-11-23T06:49:60Z",
    "2026-11-23T06:49:54.Z",
    "2026-11-23T06:49:54+8:00",
    "2026-11-23T06:49:54+24:00",
    "2026-11-23T06:49:54Z ",
    "2026-11-23T06:49:54Zjunk",
    "+026-11-23T06:49:54Z",
    "2026-1a-23T06:49:54Z",
  ])("%j names no instant", (text) => {
    expect(parseTimestamp(text)).toBeNull();
    expect(isZeroTime(text)).toBe(false);
  });

  test.each(["0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z", "0001-01-01T00:00:00+00:00"])(
    "%s is Go's way to say none",
    (text) => {
      expect(parseTimestamp(text)).toBeNull();
      expect(isZeroTime(text)).toBe(true);
    },
  );
});
