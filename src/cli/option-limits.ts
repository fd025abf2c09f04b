/** Limits of the command's options. They stand apart from model/limits.ts so that `--help` loads nothing else. */
export const CONCURRENCY_DEFAULT = 16;
export const CONCURRENCY_MAX = 1_000;
export const LIST_COUNT_DEFAULT = 100;
export const LIST_COUNT_MAX = 1_000;
export const INSPECT_COUNT_DEFAULT = 5_000;
export const INSPECT_COUNT_MAX = 100_000;
export const PORT_MAX = 65_535;
/** Changes that `diff` shows people. */
export const DIFF_SHOWN_DEFAULT = 20;
/** Instances that `report` reads. */
export const REPORT_COUNT_DEFAULT = 100_000;
export const REPORT_COUNT_MAX = 10_000_000;
