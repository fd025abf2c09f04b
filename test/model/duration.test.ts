import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatDuration, parseDuration } from "../../src/model/duration.ts";

describe("a duration", () => {
  test.each([
    ["0", 0],
    ["0s", 0],
    ["250ms", 250],
    ["30s", 30_000],
    ["5m", 300_000],
    ["1h30m", 5_400_000],
    ["1d", 86_400_000],
    ["1w", 604_800_000],
    ["1y", 31_536_000_000],
    ["1m30s5ms", 90_005],
  ])("%s is %d ms", (text, durationMs) => {
    expect(parseDuration(text)).toBe(durationMs);
  });

  test.each(["", "5", "300", "-5m", "1.5h", "5 m", "30m1h", "5m5m", "5M", "m", "99999999999999999y"])(
    "%j is refused",
    (text) => {
      expect(() => parseDuration(text)).toThrow(/is not a duration/);
    },
  );

  test("without its unit is refused with the spelling that was probably meant", () => {
    expect(() => parseDuration("300")).toThrow(/did you mean 300s/);
  });

  test("is read back from its own spelling", () => {
    fc.assert(
      fc.property(fc.nat({ max: 2 ** 47 }), (durationMs) => parseDuration(formatDuration(durationMs)) === durationMs),
    );
  });

  test("is spelled as people write it", () => {
    expect([0, 90_000, 5_400_000, 86_400_000, 1].map(formatDuration)).toEqual(["0s", "1m30s", "1h30m", "1d", "1ms"]);
  });
});
