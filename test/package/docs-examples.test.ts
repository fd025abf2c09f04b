import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { codeBlocks, documents, ROOT } from "./code-blocks.ts";

/**
 * Every `ts` block of README.md and docs/ is type-checked against the build; those that import from "becalm" are run too,
 * unless their fence says `ts no-run` (a program that waits for requests, for example). A folder inside the project, so that
 * "becalm" resolves to the package itself.
 */
const FOLDER = join(ROOT, ".examples");
const TSC = join(ROOT, "node_modules/typescript/bin/tsc");
const RUN_MS_MAX = 15_000;

const examples = documents().flatMap((path) => codeBlocks(path));
let folder = "";

beforeAll(() => {
  mkdirSync(FOLDER, { recursive: true });
  folder = mkdtempSync(join(FOLDER, "run-"));
  for (const { name, code } of examples) writeFileSync(join(folder, `${name}.ts`), code);
  const compilerOptions = {
    rootDir: ".",
    outDir: "out",
    noEmit: false,
    noUnusedLocals: false,
    moduleDetection: "force",
  };
  writeFileSync(
    join(folder, "tsconfig.json"),
    JSON.stringify({ extends: "../../tsconfig.json", compilerOptions, include: ["*.ts"] }),
  );
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.skipIf(examples.length === 0)("the examples of the documentation", () => {
  test("compile as they are printed", () => {
    const { stdout } = spawnSync(process.execPath, [TSC, "-p", folder, "--pretty", "false"], {
      cwd: folder,
      encoding: "utf8",
    });
    expect(stdout).toBe("");
  });

  const runnable = examples.filter(({ code, info }) => code.includes('from "becalm') && !info.includes("no-run"));
  test.each(runnable)("$place runs to its end", ({ name }) => {
    const result = spawnSync(process.execPath, [join(folder, "out", `${name}.js`)], {
      cwd: ROOT,
      encoding: "utf8",
      timeout: RUN_MS_MAX,
    });
    expect(result.stderr).toBe("");
    expect(result.status).toBe(0);
  });
});
