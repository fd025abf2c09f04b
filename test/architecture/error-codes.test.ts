import { describe, expect, test } from "vitest";
import { ERROR_CODES } from "../../src/model/errors.ts";
import { readText, sourceFiles } from "./source-files.ts";

const ROW = /^\| `(BECALM_[A-Z_]+)` \| (.+) \| (.+) \| (\d) \|$/gm;
const documented = [...readText("docs/errors.md").matchAll(ROW)].map((match) => match[1] as string);

describe("error codes", () => {
  test("are documented, each once, in the order in which they are declared", () => {
    expect(documented).toEqual(Object.keys(ERROR_CODES));
  });

  test("no source names a code that is not declared", () => {
    const unknown = sourceFiles("src", "machines").flatMap(({ path, code }) =>
      [...code.matchAll(/"(BECALM_[A-Z_]+)"/g)]
        .map((match) => match[1] as string)
        .filter((name) => !(name in ERROR_CODES) && !ENVIRONMENT.includes(name))
        .map((name) => `${path}: ${name}`),
    );
    expect(unknown).toEqual([]);
  });
});

/** Environment variables share the prefix. */
const ENVIRONMENT = [
  "BECALM_DEBUG",
  "BECALM_STORE",
  "BECALM_NAMESPACE",
  "BECALM_SERVER",
  "BECALM_TOKEN_FILE",
  "BECALM_SECRET",
  "BECALM_LANG",
  "BECALM_TZ",
];
