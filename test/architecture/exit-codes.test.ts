import { expect, test } from "vitest";
import { EXIT_CODES } from "../../src/cli/exit-codes.ts";
import { readText } from "./source-files.ts";

const ROW = /^\| `(BECALM_[A-Z_]+)` \| .+ \| .+ \| (\d) \|$/gm;

test("the exit code of each error is the documented one", () => {
  const documented = [...readText("docs/errors.md").matchAll(ROW)].map(([, code, exit]) => [code, Number(exit)]);
  expect(documented).toEqual(Object.entries(EXIT_CODES));
});
