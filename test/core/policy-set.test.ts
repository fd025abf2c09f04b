import { describe, expect, test } from "vitest";
import { compilePolicySet } from "../../src/core/policy-set.ts";
import { policySetFrom } from "../../src/formats/policy-file.ts";

const at = (iso: string): number => Date.parse(`2026-11-23T${iso}Z`);

const compiled = compilePolicySet(
  policySetFrom({
    policies: [
      { name: "disks", match: ['alertname=~"Disk.*"'], action: { log: {} } },
      { name: "critical", match: ['severity="critical"'], action: { log: {} } },
      { name: "all", match: [], action: { log: {} } },
    ],
    silences: [
      {
        match: ['rack="r1"'],
        from: "2026-11-23T06:00:00Z",
        to: "2026-11-23T07:00:00Z",
        author: "ops",
        comment: "first",
      },
      {
        match: ['rack=~"r.*"'],
        from: "2026-11-23T06:30:00Z",
        to: "2026-11-23T08:00:00Z",
        author: "ops",
        comment: "second",
      },
    ],
  }),
);

describe("which policies an alert meets", () => {
  test("all that match, in the order of the file", () => {
    const names = (labels: Record<string, string>): string[] => compiled.policiesFor(labels).map(({ name }) => name);
    expect(names({ alertname: "DiskFull", severity: "critical" })).toEqual(["disks", "critical", "all"]);
    expect(names({ alertname: "Down", severity: "warning" })).toEqual(["all"]);
    expect(compiled.policyNamed("disks")?.name).toBe("disks");
    expect(compiled.policyNamed("gone")).toBeNull();
  });
});

describe("which silence an alert meets", () => {
  test.each([
    ["05:59:59.999", null],
    ["06:00:00", "first"],
    ["06:59:59.999", "first"],
    ["07:00:00", "second"],
    ["08:00:00", null],
  ])("at %s: %s (from is inside, to is outside, the first in the file wins)", (time, comment) => {
    expect(compiled.silenceFor({ rack: "r1" }, at(time))?.comment ?? null).toBe(comment);
  });

  test("none, when its matchers do not hold", () => {
    expect(compiled.silenceFor({ rack: "x" }, at("06:45:00"))).toBeNull();
  });
});
