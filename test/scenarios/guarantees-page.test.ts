import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";

const ROW = /^\| .* \| (.+) \| `(test\/[^`]+)` \|$/;
const page = readFileSync("docs/guarantees.md", "utf8");

describe("docs/guarantees.md", () => {
  test("names tests that are there, by words of their own names", () => {
    const rows = page.split("\n").flatMap((line) => {
      const [, name, path] = ROW.exec(line) ?? [];
      return name === undefined || path === undefined ? [] : [{ name, path }];
    });
    expect(rows.length).toBeGreaterThan(30);
    const missing = rows.filter(({ name, path }) => !readFileSync(path, "utf8").includes(name));
    expect(missing).toEqual([]);
  });
});
