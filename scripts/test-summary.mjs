import { readFileSync } from "node:fs";

/**
 * The line `N passed, N failed` of a vitest JSON report. A run that broke never reads as "0 failed": a file that failed
 * before its tests ran counts as one failure, and so does a missing report or an error outside of every test
 * (`runPassed` is false then). `failedCheckCount` adds the failures of checks that are no tests.
 */
export function summarise(reportPath, { runPassed, failedCheckCount = 0 }) {
  const { passedCount, failedCount } = counts(reportPath);
  const failedTestCount = runPassed ? failedCount : Math.max(failedCount, 1);
  return `${passedCount} passed, ${failedTestCount + failedCheckCount} failed`;
}

function counts(reportPath) {
  let report;
  try {
    report = JSON.parse(readFileSync(reportPath, "utf8"));
  } catch {
    return { passedCount: 0, failedCount: 1 };
  }
  const brokenFiles = report.testResults.filter(
    (file) => file.status === "failed" && !file.assertionResults.some((test) => test.status === "failed"),
  );
  return { passedCount: report.numPassedTests, failedCount: report.numFailedTests + brokenFiles.length };
}
