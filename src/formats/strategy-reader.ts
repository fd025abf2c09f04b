/** Strategies from the values of a file, with all mistakes. */
import { INTERVAL_SECONDS_MAX } from "../detection/core/detection-limits.ts";
import type { Strategy, StrategyQuery } from "../detection/core/strategy.ts";
import { ANNOTATION_COUNT_MAX, LABEL_COUNT_MAX } from "../model/limits.ts";
import { type Field, type MistakeReport, readFields, readList, readMapFields, readText } from "./field-reader.ts";
import type { Located } from "./located-value.ts";
import {
  hasLabelName,
  LABEL_NAME_EXPECTED,
  LEVEL_LABELS,
  optional,
  RESERVED_DIMENSIONS,
  readName,
  readSeconds,
  reportRepetitions,
} from "./strategy-fields.ts";
import { STRATEGY_FILE_KEYS } from "./strategy-keys.ts";
import { readLevels } from "./strategy-level-reader.ts";
import { readNoData } from "./strategy-no-data-reader.ts";
import { readQuery } from "./strategy-query-reader.ts";

export const STRATEGY_COUNT_MAX = 1_000;
export const RESEND_SECONDS_DEFAULT = 300;

/** Reads a whole file; what the report lists makes the result incomplete. */
export function readStrategies(root: Located, report: MistakeReport): Strategy[] {
  const fields = readFields({ path: "", place: root.place ?? null, value: root }, STRATEGY_FILE_KEYS.file, report);
  if (fields === undefined) return [];
  const field = fields.get("strategies");
  const items = readList(field, report, { expected: "a list of strategies", countMax: STRATEGY_COUNT_MAX }) ?? [];
  if (field.value?.kind === "list" && items.length === 0 && field.value.items.length === 0)
    report.add(field, "at least one strategy", "none");
  const strategies = items.map((item) => readStrategy(item, report)).filter((one) => one !== undefined);
  reportRepetitions(items, { key: "name", expected: "a name that no other strategy has" }, report);
  return strategies;
}

function readStrategy(field: Field, report: MistakeReport): Strategy | undefined {
  const fields = readFields(field, STRATEGY_FILE_KEYS.strategy, report);
  if (fields === undefined) return undefined;
  const name = readName(fields.get("name"), report);
  const query = readQuery(fields.get("query"), report);
  const intervalSeconds = readSeconds(fields.get("interval"), { min: 1, max: INTERVAL_SECONDS_MAX }, report);
  const latenessSeconds = optional(fields.get("lateness"), intervalSeconds, (one) =>
    readSeconds(one, { min: 0, max: INTERVAL_SECONDS_MAX }, report),
  );
  const levels = readLevels(fields, query?.unit, report);
  const noData = readNoData(fields.get("no_data"), { intervalSeconds, dimensions: query?.dimensions }, report);
  const resendSeconds = optional(fields.get("resend"), RESEND_SECONDS_DEFAULT, (one) =>
    readSeconds(one, { min: intervalSeconds ?? 1, max: INTERVAL_SECONDS_MAX }, report),
  );
  const labels = readLabels(fields.get("labels"), query?.dimensions ?? [], report);
  const annotations = readAnnotations(fields.get("annotations"), { query, labels }, report);
  if (levels?.length === 0 && noData === null)
    report.add(field, "levels or no_data", "neither: the strategy would never alert");
  if (name === undefined || query === undefined || intervalSeconds === undefined || levels === undefined)
    return undefined;
  if (
    latenessSeconds === undefined ||
    noData === undefined ||
    resendSeconds === undefined ||
    labels === undefined ||
    annotations === undefined
  )
    return undefined;
  return {
    name,
    query,
    intervalSeconds,
    latenessSeconds,
    levels,
    noData,
    resendSeconds: Math.max(resendSeconds, intervalSeconds),
    labels,
    annotations,
  };
}

function readLabels(
  field: Field,
  dimensions: readonly string[],
  report: MistakeReport,
): Record<string, string> | undefined {
  const entries = readTexts(field, { expected: "a map of labels", countMax: LABEL_COUNT_MAX }, report);
  if (entries === undefined) return undefined;
  for (const name of LEVEL_LABELS) {
    if (Object.hasOwn(entries, name))
      return report.add(field, `no label ${name}: it comes from the level`, JSON.stringify(name));
  }
  const repeated = dimensions.find((name) => Object.hasOwn(entries, name));
  if (repeated !== undefined)
    return report.add(field, "no label that is a dimension too: series would share it", JSON.stringify(repeated));
  const count = new Set([...RESERVED_DIMENSIONS, ...dimensions, ...Object.keys(entries)]).size;
  if (count <= LABEL_COUNT_MAX) return entries;
  const expected = `at most ${LABEL_COUNT_MAX}, with the dimensions, ${RESERVED_DIMENSIONS.join(", ")}`;
  return report.add(field, expected, `${count}`);
}

type AnnotationSource = {
  readonly query: StrategyQuery | undefined;
  readonly labels: Readonly<Record<string, string>> | undefined;
};

function readAnnotations(
  field: Field,
  source: AnnotationSource,
  report: MistakeReport,
): Record<string, string> | undefined {
  const annotations = readTexts(field, { expected: "a map of annotations", countMax: ANNOTATION_COUNT_MAX }, report);
  if (annotations === undefined) return undefined;
  const count = new Set(["summary", ...Object.keys(annotations)]).size;
  if (count > ANNOTATION_COUNT_MAX)
    return report.add(field, `at most ${ANNOTATION_COUNT_MAX}, with the summary`, `${count}`);
  if (source.query === undefined || source.labels === undefined) return annotations;
  const known = ["value", "alertname", "severity", ...source.query.dimensions, ...Object.keys(source.labels)];
  for (const text of Object.values(annotations)) {
    for (const [, name = ""] of text.matchAll(/\{\{\s*(.*?)\s*\}\}/g)) {
      if (!known.includes(name)) report.add(field, `only {{ name }} with one of ${known.join(", ")}`, `{{ ${name} }}`);
    }
  }
  return annotations;
}

function readTexts(
  field: Field,
  what: { expected: string; countMax: number },
  report: MistakeReport,
): Record<string, string> | undefined {
  if (field.value === undefined) return {};
  const entries = readMapFields(field, report, what.expected);
  if (entries === undefined) return undefined;
  if (entries.size > what.countMax) return report.add(field, `at most ${what.countMax} entries`, `${entries.size}`);
  for (const [name, one] of entries)
    if (!hasLabelName(name)) report.add(one, LABEL_NAME_EXPECTED, `${name.length} characters`);
  return Object.fromEntries([...entries].map(([name, one]) => [name, readText(one, report, "a text") ?? ""]));
}
