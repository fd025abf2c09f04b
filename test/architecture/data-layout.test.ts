import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { CHECKPOINT_KEY_NAMES, registerKeysWithConfig } from "../../src/detection/core/checkpoint-keys.ts";
import { detectionKeys } from "../../src/stores/redis/keys.ts";

const page = readFileSync(new URL("../../docs/data-layout.md", import.meta.url), "utf8");
const MINUTE_MS = 60_000;
const UNITS = [
  ["w", 7 * 24 * 60 * MINUTE_MS],
  ["h", 60 * MINUTE_MS],
  ["min", MINUTE_MS],
] as const;

function lifeText(ttlMs: number): string {
  const [name, ms] = UNITS.find(([, unitMs]) => ttlMs % unitMs === 0) as (typeof UNITS)[number];
  return `${ttlMs / ms} ${name}`;
}

describe("docs/data-layout.md", () => {
  test("tells every key of the table of checkpoint keys as it is, and no other one", () => {
    const keys = registerKeysWithConfig();
    const rows = CHECKPOINT_KEY_NAMES.map((name) => {
      const definition = keys[name];
      const field = "fieldTemplate" in definition ? `\`${definition.fieldTemplate}\` ` : "";
      const { type, template, ttlMs, label } = definition;
      return `| ${name} | ${type} | \`${template}\` | ${field}| ${lifeText(ttlMs)} | ${label} |`;
    });
    const told = page.split("\n").filter((line) => /^\| [A-Z_]+ \|/.test(line));
    expect(told).toEqual(rows);
  });

  test("tells where a stream's keys begin, and each of its own keys", () => {
    const { head, ...own } = detectionKeys({ prefix: "<prefix>", namespace: "<ns>" }, "<stream>");
    expect(page).toContain(`\`${head}\``);
    for (const key of Object.values(own)) expect(page).toContain(`\`${key.slice(head.length)}\``);
  });
});
