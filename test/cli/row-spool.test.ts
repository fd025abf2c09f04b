import { mkdtempSync, readdirSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { RowSpool } from "../../src/cli/row-spool.ts";

const row = fc.record({ id: fc.string({ unit: "grapheme" }), text: fc.string({ minLength: 0, maxLength: 3_000 }) });

test("a spool gives every row back by its slot, in any order, while more are added", () => {
  fc.assert(
    fc.property(fc.array(fc.record({ row, read: fc.nat() }), { maxLength: 400 }), (steps) => {
      const spool = new RowSpool<{ id: string; text: string }>();
      const slots: number[] = [];
      for (const [at, step] of steps.entries()) {
        slots.push(spool.add(step.row));
        const asked = step.read % (at + 1);
        expect(spool.get(slots[asked] as number)).toEqual(steps[asked]?.row);
      }
      for (const [at, slot] of slots.entries()) expect(spool.get(slot)).toEqual(steps[at]?.row);
      spool.close();
    }),
    { numRuns: 30 },
  );
});

test("a spool leaves nothing in the temporary folder while it is open", () => {
  const folder = mkdtempSync(join(tmpdir(), "becalm-spool-test-"));
  vi.stubEnv("TMPDIR", folder);
  const spool = new RowSpool<string>();
  spool.add("x".repeat(1 << 20));
  expect(spool.get(0)).toHaveLength(1 << 20);
  expect(readdirSync(folder)).toEqual([]);
  spool.close();
  vi.unstubAllEnvs();
  rmdirSync(folder);
});
