import { readFileSync } from "node:fs";

/**
 * Counts of a vitest JSON report. A file that failed before its tests ran counts as one failure, and so does a missing report:
 * a run that broke never reads as "0 failed". `extraFailedCount` adds failures of checks that are no tests.
 */
export function summarise(reportPath, extraFailedCount = 0) {
  const { passedCount, failedCount } = counts(reportPath);
  const failedTotal = failedCount + extraFailedCount;
  return { line: `${passedCount} passed, ${failedTotal} failed`, failedCount: failedTotal };
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
  const failedCount = report.numFailedTests + brokenFiles.length;
  return { passedCount: report.numPassedTests, failedCount: report.success ? failedCount : Math.max(failedCount, 1) };
}
