/** The no-data alert of a strategy, and the series that must be there. */
import { NO_DATA_INTERVAL_COUNT_MAX } from "../detection/core/detection-limits.ts";
import type { NoData } from "../detection/core/strategy.ts";
import { type Field, type MistakeReport, readFields, readList, readMapFields, readNumber } from "./field-reader.ts";
import { filterText, optional, readName, readSeconds } from "./strategy-fields.ts";
import { STRATEGY_FILE_KEYS } from "./strategy-keys.ts";

export const EXPECTED_SERIES_COUNT_MAX = 10_000;
export const NO_DATA_KEEP_SECONDS_DEFAULT = 86_400;
const NO_DATA_SEVERITY_DEFAULT = "warning";
const KEEP_SECONDS_MAX = 31 * 86_400;

export function readNoData(
  field: Field,
  { intervalSeconds, dimensions }: { intervalSeconds: number | undefined; dimensions: readonly string[] | undefined },
  report: MistakeReport,
): NoData | null | undefined {
  if (field.value === undefined) return null;
  const fields = readFields(field, STRATEGY_FILE_KEYS.no_data, report);
  if (fields === undefined) return undefined;
  const intervals = readNumber(
    fields.get("intervals"),
    { min: 1, max: NO_DATA_INTERVAL_COUNT_MAX, isWhole: true },
    report,
  );
  const severity = optional(fields.get("severity"), NO_DATA_SEVERITY_DEFAULT, (one) => readName(one, report));
  const silentSeconds = (intervals ?? 1) * (intervalSeconds ?? 1);
  const keepSeconds = optional(fields.get("keep"), Math.max(NO_DATA_KEEP_SECONDS_DEFAULT, 2 * silentSeconds), (one) =>
    readSeconds(one, { min: Math.min(silentSeconds, KEEP_SECONDS_MAX), max: KEEP_SECONDS_MAX }, report),
  );
  const expect = optional(fields.get("expect"), [], (one) => readExpected(one, dimensions, report));
  if (intervals === undefined || severity === undefined || keepSeconds === undefined || expect === undefined)
    return undefined;
  return { intervals, severity, keepSeconds, expect };
}

/** Series by their dimensions; a text is the one dimension that there is. */
function readExpected(
  field: Field,
  dimensions: readonly string[] | undefined,
  report: MistakeReport,
): Record<string, string>[] | undefined {
  const expected = "a list of the series that must be there, each a map of its dimensions";
  const items = readList(field, report, { expected, countMax: EXPECTED_SERIES_COUNT_MAX });
  if (items === undefined || dimensions === undefined) return undefined;
  const series = items.map((item) => readExpectedSeries(item, dimensions, report));
  return series.every((one) => one !== undefined) ? series : undefined;
}

function readExpectedSeries(
  field: Field,
  dimensions: readonly string[],
  report: MistakeReport,
): Record<string, string> | undefined {
  const [only] = dimensions;
  if (field.value?.kind === "scalar" && only !== undefined && dimensions.length === 1) {
    const text = filterText(field, report);
    return text === undefined ? undefined : { [only]: text };
  }
  const entries = readMapFields(field, report, `a map with the dimensions ${dimensions.join(", ")}`);
  if (entries === undefined) return undefined;
  const unknown = [...entries.keys()].find((name) => !dimensions.includes(name));
  const missing = dimensions.find((name) => !entries.has(name));
  if (unknown !== undefined || missing !== undefined) {
    const found = unknown === undefined ? `no ${missing}` : JSON.stringify(unknown);
    return report.add(field, `exactly the dimensions ${dimensions.join(", ")}`, found);
  }
  return Object.fromEntries([...entries].map(([name, one]) => [name, filterText(one, report) ?? ""]));
}
