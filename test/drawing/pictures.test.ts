import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { ROOT } from "../package/code-blocks.ts";

test("the pictures of the README and of docs are those that their script draws from the captured storm", () => {
  const { status, stderr } = spawnSync(process.execPath, ["scripts/draw-pictures.mjs", "--check"], {
    cwd: ROOT,
    encoding: "utf8",
  });
  expect(stderr).toBe("");
  expect(status).toBe(0);
});
