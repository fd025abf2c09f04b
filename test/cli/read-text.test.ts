import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { readText } from "../../src/cli/read-text.ts";

const folder = mkdtempSync(join(tmpdir(), "becalm-text-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const textOf = (bytes: Buffer): Promise<string> => {
  const path = join(folder, "policies.yaml");
  writeFileSync(path, bytes);
  return readText(path);
};
const refused = (message: RegExp) =>
  expect.objectContaining({ code: "BECALM_ARGUMENT_INVALID", message: expect.stringMatching(message) });

test("a file that is not UTF-8 is refused with its line, and never read with other characters than it has", async () => {
  const written = 'policies:\n  - name: "ü�"\n';
  expect(await textOf(Buffer.from(written))).toBe(written);
  await expect(textOf(Buffer.from('a: 1\nb: "ü"\nc: 2', "latin1"))).rejects.toEqual(refused(/not UTF-8.*line 2 holds/));
  await expect(textOf(Buffer.from("a: 1\nb: ü", "latin1"))).rejects.toEqual(refused(/line 2 holds other bytes/));
  await expect(textOf(Buffer.from([0x80]))).rejects.toEqual(refused(/line 1 holds other bytes/));
  await expect(textOf(Buffer.from("\ufeffa: 1", "utf16le"))).rejects.toEqual(refused(/begins as UTF-16 does.*Save it/));
});
