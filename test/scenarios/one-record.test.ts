import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { oneRecordPage } from "../../scripts/one-record.ts";

test("docs/one-record.md follows its record as the code does, value by value", async () => {
  const page = readFileSync(new URL("../../docs/one-record.md", import.meta.url), "utf8");
  expect(await oneRecordPage()).toBe(page);
});
