import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { StormView } from "../../src/server/console/storm-view.ts";
import { ROOT } from "../support/command.ts";

const MINUTE_MS = 60_000;
const GZIP_BYTES_MAX = 60 * 1_024;
const step = (more: object) =>
  ({
    id: "00-a",
    policy: "p",
    group: "g",
    version: 1,
    atMs: 0,
    event: "start",
    from: null,
    verdict: null,
    ...more,
  }) as never;

type Storm = {
  readonly totals: Record<string, number>;
  readonly buckets: readonly { alerts: number; executed: number; skipped: number }[];
  readonly reasons: readonly { reason: string; count: number }[];
  readonly groups: readonly { id: string; instances: number }[];
};

describe("the console's numbers", () => {
  test("count alerts in, actions out, and why nothing was done, by the minute", () => {
    let nowMs = 1_000 * MINUTE_MS;
    const view = new StormView(() => nowMs);
    view.received(5);
    view.stepped([step({ to: "Processing" }), step({ to: "Skipped", reason: "limit_reached" })]);
    nowMs += MINUTE_MS;
    view.received(2);
    view.stepped([step({ from: "Waiting", to: "Skipped", reason: "approval_denied" })]);
    const { totals, buckets, reasons, groups } = view.json(3) as Storm;
    expect(totals).toEqual({ alerts: 7, executed: 1, skipped: 2 });
    expect(buckets.slice(-2).map(({ alerts, executed, skipped }) => [alerts, executed, skipped])).toEqual([
      [5, 1, 1],
      [2, 0, 1],
    ]);
    expect(reasons.map(({ reason, count }) => [reason, count])).toEqual([
      ["limit_reached", 1],
      ["approval_denied", 1],
    ]);
    expect(groups.map(({ id, instances }) => [id, instances])).toEqual([["g", 2]]);
  });

  test("forget what is older than three hours, and keep a bounded number of groups", () => {
    let nowMs = 1_000 * MINUTE_MS;
    const view = new StormView(() => nowMs);
    view.received(9);
    view.stepped(Array.from({ length: 3_000 }, (_, index) => step({ group: `g${index}`, to: "Success" })));
    nowMs += 181 * MINUTE_MS;
    const { totals, buckets, groups } = view.json(0) as Storm;
    expect(totals["alerts"]).toBe(0);
    expect(buckets.length).toBeLessThanOrEqual(180);
    expect(groups[0]?.id).toBe("g2999");
  });
});

describe("the console's files", () => {
  const read = (name: string) => readFileSync(join(ROOT, "dist/src/console", name));

  test("are at most 60 KB, compressed", () => {
    const files = ["index.html", "app.css", "app.js"].map(read);
    expect(files.reduce((sum, file) => sum + gzipSync(file).length, 0)).toBeLessThan(GZIP_BYTES_MAX);
  });

  test("name nothing on another host", () => {
    const addresses = ["index.html", "app.css", "app.js"].flatMap(
      (name) =>
        read(name)
          .toString("utf8")
          .match(/https?:\/\/[^"'`\s)]+/g) ?? [],
    );
    // Names of XML vocabularies are no addresses that anything asks.
    expect(addresses.filter((address) => !address.startsWith("http://www.w3.org/"))).toEqual([]);
  });
});
