import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { ROOT } from "../package/code-blocks.ts";

test("the page of an example from a bad rule to its gate, and its plot, are what the commands print", () => {
  const { status, stderr } = spawnSync(process.execPath, ["scripts/what-if-example.mjs", "--check"], {
    cwd: ROOT,
    encoding: "utf8",
  });
  expect(stderr).toBe("");
  expect(status).toBe(0);
});
