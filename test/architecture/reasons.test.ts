import { expect, test } from "vitest";
import { REASONS } from "../../src/model/reasons.ts";
import { readText } from "./source-files.ts";

const ROW = /^\| `([a-z_]+)` \| (.+?) \| (.+?) \| .+ \|$/gm;

test("the documented reason codes are those of the program, each with its sentences, in their order", () => {
  const documented = [...readText("docs/reasons.md").matchAll(ROW)].map(([, code, en, zh]) => [code, { en, zh }]);
  expect(documented).toEqual(Object.entries(REASONS));
});
