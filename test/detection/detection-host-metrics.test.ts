import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { detectRecording, NAB_MARK, RECORDING_START, resultsPage } from "../../scripts/detection-results.ts";

const results = detectRecording();

describe("the recording of a real host", () => {
  test("is caught in all its incidents by the example strategies, with these delays", () => {
    const told = results.findings.map(({ incident, strategy, delays, alertCount }) => [
      incident,
      strategy,
      delays.map(({ severity, delaySeconds }) => `${severity} ${delaySeconds}`).join(", "),
      alertCount,
    ]);
    expect(told).toEqual([
      ["one core busy", "cpu-core-busy", "warning 4, critical 19", 2],
      ["both cores busy", "cpu-core-busy", "warning 4, critical 19", 4],
      ["heavy disk writes", "disk-writes-heavy", "warning 2", 1],
      ["memory filled (one core busy at its start)", "memory-filling", "warning 10, critical 23", 2],
      ["memory filled (one core busy at its start)", "cpu-core-busy", "warning 4, critical 19", 2],
      ["CPU burst, first", "cpu-core-busy", "warning 4", 2],
      ["CPU burst, second", "cpu-core-busy", "warning 4", 2],
      ["CPU burst, third", "cpu-core-busy", "warning 4", 2],
    ]);
  });

  test("raises no false alarm, and every alert that fired is resolved", () => {
    expect(results.falseAlarms).toEqual([]);
    const open = new Set<string>();
    for (const { alert } of results.alerts) {
      const episode = `${alert.fingerprint} ${alert.startsAtMs}`;
      if (alert.status === "firing") open.add(episode);
      else expect(open.delete(episode)).toBe(true);
    }
    expect(open.size).toBe(0);
  });

  test("is dated by its own time, whenever it is read", () => {
    const times = results.alerts.map(({ alert }) => alert.startsAtMs / 1000 - RECORDING_START);
    expect(Math.min(...times)).toBe(104);
    expect(Math.max(...times)).toBe(544);
  });

  test("is described in docs/detection-results.md as it is found", () => {
    const page = readFileSync(new URL("../../docs/detection-results.md", import.meta.url), "utf8");
    expect(page.split(`\n${NAB_MARK}`)[0]).toBe(resultsPage(results));
  });
});
