import { describe, expect, test } from "vitest";
import { type ListedRow, listText } from "../../src/cli/list-text.ts";
import { ENGLISH_UTC, readerOf } from "../../src/present/reader.ts";
import { columnsOf } from "../../src/present/text-width.ts";
import { timesIn, UTC } from "../../src/present/time-text.ts";

const plain = (text: string) => text;
const colors = {
  bold: plain,
  dim: plain,
  red: plain,
  green: plain,
  yellow: plain,
  cyan: plain,
  blue: plain,
  magenta: plain,
} as never;

function row(number: number, labels: Record<string, string> | null): ListedRow {
  const instance = {
    id: `03-${String(number).padStart(24, "0")}`,
    snapshot: { state: "Skipped" },
    policy: "restart-host",
    reason: "limit_reached",
    createdAtMs: 1_700_000_000_000 + number * 1_000,
  };
  const birth = labels === null ? { kind: "summary", alert: null } : { kind: "action", alert: { labels } };
  return { instance, birth } as unknown as ListedRow;
}

const NAMES = new Map([["aaaaaaaa", "web-1:4711"]]);

const HOSTS = Array.from({ length: 6 }, (_, at) =>
  row(at, { alertname: "HostDown", cluster: "core", host: `web-${at}.example.org`, rack: `r${at % 2}`, job: "node" }),
);

describe("rows of a list", () => {
  test("show the labels that tell them apart, those with the most values first, and none that all have", () => {
    const [, first] = listText(HOSTS, { colors, columns: Number.POSITIVE_INFINITY, reader: ENGLISH_UTC, names: NAMES });
    expect(first).toMatch(/HostDown host=web-0\.example\.org rack=r0$/);
    expect(first).not.toContain("core");
    expect(first).toContain("2023-11-14 22:13:20");
  });

  test.each([60, 80, 100, 120])("fit into %i columns, one line each, with the host in every row", (columns) => {
    const lines = listText(HOSTS, { colors, columns, reader: ENGLISH_UTC, names: NAMES });
    expect(lines).toHaveLength(7);
    expect(Math.max(...lines.map(columnsOf))).toBeLessThanOrEqual(columns);
    for (const [at, line] of lines.slice(1).entries()) {
      expect(line).toContain("HostDown");
      if (columns >= 80) expect(line).toContain(`host=web-${at}`);
    }
  });

  test("name the process that decided last, by its id if its name is not kept, where any is recorded", () => {
    const by = (process: string | undefined) => ({ ...(HOSTS[0] as ListedRow), process });
    const shown = { colors, columns: Number.POSITIVE_INFINITY, reader: ENGLISH_UTC, names: NAMES };
    const [head, ...rows] = listText([by("aaaaaaaa"), by("bbbbbbbb"), by(undefined)], shown);
    expect(head).toContain("decided by");
    expect(rows).toEqual([
      expect.stringContaining("  web-1:4711  "),
      expect.stringContaining("  bbbbbbbb    "),
      expect.stringContaining("  -           "),
    ]);
    expect(listText([by(undefined)], shown)[0]).not.toContain("decided by");
  });

  test("have their times in the reader's zone, which the head names", () => {
    const reader = readerOf("en", timesIn("Asia/Shanghai") ?? UTC);
    const [head, first] = listText(HOSTS, { colors, columns: Number.POSITIVE_INFINITY, reader, names: NAMES });
    expect([head, first]).toEqual([
      expect.stringContaining("created (Asia/Shanghai)"),
      expect.stringContaining("2023-11-15 06:13:20"),
    ]);
  });

  test("say of a request which alert it asks about", () => {
    const [other] = HOSTS.slice(1);
    const request = { ...row(9, null), about: { alertname: "HostDown", host: "db-1" } };
    const shown = { colors, columns: Number.POSITIVE_INFINITY, reader: ENGLISH_UTC, names: NAMES };
    const [, first] = listText([request, other as ListedRow], shown);
    expect(first).toMatch(/\(summary\) HostDown host=db-1$/);
  });

  test("compare labels among alerts of one name only, and name what is not an alert", () => {
    const disk = row(9, { alertname: "DiskFull", path: "/var" });
    const lines = listText([...HOSTS, disk, row(10, null)], {
      colors,
      columns: Number.POSITIVE_INFINITY,
      reader: ENGLISH_UTC,
      names: NAMES,
    });
    expect(lines.at(-2)).toMatch(/DiskFull$/);
    expect(lines.at(-1)).toMatch(/\(summary\)$/);
  });
});
