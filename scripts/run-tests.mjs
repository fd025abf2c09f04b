// Runs vitest and ends with one plain line, `N passed, N failed`, made from vitest's own JSON report.
// Arguments go to vitest: npm test -- test/instance
import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { summarise } from "./test-summary.mjs";

const REPORT = "node_modules/.cache/becalm/test-report.json";
process.chdir(fileURLToPath(new URL("..", import.meta.url)));
rmSync(REPORT, { force: true });

const { status } = spawnSync(
  process.execPath,
  [
    "node_modules/vitest/vitest.mjs",
    "run",
    "--reporter=default",
    "--reporter=json",
    `--outputFile.json=${REPORT}`,
    ...process.argv.slice(2),
  ],
  { stdio: ["ignore", "inherit", "inherit"] },
);
console.log(summarise(REPORT, { runPassed: status === 0 }));
process.exit(status ?? 1);
