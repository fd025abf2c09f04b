import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { ROOT } from "./code-blocks.ts";

test("the API reference is what its script makes of the built types", () => {
  const { status, stderr } = spawnSync(process.execPath, ["scripts/api-reference.mjs", "--check"], {
    cwd: ROOT,
    encoding: "utf8",
  });
  expect(stderr).toBe("");
  expect(status).toBe(0);
});
