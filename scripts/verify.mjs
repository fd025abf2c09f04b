// Everything that must hold before a change is done. Every check runs, also after one has failed; the tests come last,
// so that the output ends with their summary and the line `N passed, N failed` (a failed check counts as a failure).
import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { summarise } from "./test-summary.mjs";

const REPORT = "node_modules/.cache/becalm/test-report.json";
// The speed's guards are far below what is measured, but a busy desk is no place for them.
const CHECKS = ["types", "lint", "build", "package", ...(process.env.CI === undefined ? [] : ["guards"])];
process.chdir(fileURLToPath(new URL("..", import.meta.url)));

// A build that breaks ends the tests before they write a report; an old one must not speak for them.
rmSync(REPORT, { force: true });
const failed = CHECKS.filter((check) => !passes(["run", check]));
const testsPass = passes(["test"]);
if (failed.length > 0) console.error(`failed checks: ${failed.join(", ")}`);
console.log(summarise(REPORT, { runPassed: testsPass, failedCheckCount: failed.length }));
process.exit(failed.length === 0 && testsPass ? 0 : 1);

function passes(args) {
  return spawnSync("npm", args, { stdio: ["ignore", "inherit", "inherit"] }).status === 0;
}
