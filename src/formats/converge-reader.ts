import { TRAITS } from "../convergence/traits.ts";
import { CONVERGENCE_FUNCTIONS, type ConvergenceRule, type DimensionValue } from "../model/convergence-rule.ts";
import { formatDuration } from "../model/duration.ts";
import {
  DIMENSION_COUNT_MAX,
  DIMENSION_VALUE_COUNT_MAX,
  RULE_COUNT_MAX,
  SUMMARY_DELAY_MS_MAX,
  WINDOW_MS_MAX,
} from "../model/limits.ts";
import {
  describe,
  type Field,
  type Fields,
  MistakeReport,
  readDuration,
  readFields,
  readList,
  readMapFields,
  readNumber,
  readText,
  readWord,
} from "./field-reader.ts";
import { POLICY_FILE_KEYS } from "./policy-keys.ts";

type ConvergeFields = Fields<(typeof POLICY_FILE_KEYS.converge)[number]>;

/** A policy's rule; an absent `converge` (or null) is no rule. */
export function readConverge(field: Field, report: MistakeReport): ConvergenceRule | null | undefined {
  if (field.value === undefined || (field.value.kind === "scalar" && field.value.value === null)) return null;
  const fields = readFields(field, POLICY_FILE_KEYS.converge, report);
  if (fields === undefined) return undefined;
  const parts = {
    function: readWord(fields.get("function"), CONVERGENCE_FUNCTIONS, report),
    by: readBy(fields.get("by"), report),
    where: readWhere(fields.get("where"), report),
    count: readCount(fields.get("count"), report),
    windowMs: readDuration(fields.get("window"), { minMs: 1, maxMs: WINDOW_MS_MAX }, report),
    maxWindowMs: readMaxWindow(fields, report),
    summaryDelayMs: readSummaryDelay(fields, report),
  };
  return isComplete(parts) ? ruleOf(parts) : undefined;
}

/** undefined: a mistake was reported; null: the key is absent. */
type Parts = {
  function: ConvergenceRule["function"] | undefined;
  by: string[] | null | undefined;
  where: Record<string, DimensionValue[]> | null | undefined;
  count: number | undefined;
  windowMs: number | undefined;
  maxWindowMs: number | null | undefined;
  summaryDelayMs: number | null | undefined;
};

type CompleteParts = { [Key in keyof Parts]: Exclude<Parts[Key], undefined> };

function isComplete(parts: Parts): parts is CompleteParts {
  return Object.values(parts).every((part) => part !== undefined);
}

/** Absent keys stay absent, so that a rule's version does not depend on how "absent" is written. */
function ruleOf(parts: CompleteParts): ConvergenceRule {
  return {
    function: parts.function,
    ...(parts.by === null ? {} : { by: parts.by }),
    ...(parts.where === null ? {} : { where: parts.where }),
    count: parts.count,
    windowMs: parts.windowMs,
    ...(parts.maxWindowMs === null ? {} : { maxWindowMs: parts.maxWindowMs }),
    ...(parts.summaryDelayMs === null ? {} : { summaryDelayMs: parts.summaryDelayMs }),
  };
}

function readCount(field: Field, report: MistakeReport): number | undefined {
  return field.value === undefined ? 1 : readNumber(field, { min: 1, max: RULE_COUNT_MAX, isWhole: true }, report);
}

function readBy(field: Field, report: MistakeReport): string[] | null | undefined {
  if (field.value === undefined) return null;
  const items = readList(field, report, { expected: "a list of labels' names", countMax: DIMENSION_COUNT_MAX });
  const names = items?.map((item) => readText(item, report, "a label's name"));
  if (names === undefined || !names.every((name) => name !== undefined)) return undefined;
  const repeated = names.find((name, i) => names.indexOf(name) !== i);
  return repeated === undefined ? names : report.add(field, "each label once", `${JSON.stringify(repeated)} twice`);
}

function readWhere(field: Field, report: MistakeReport): Record<string, DimensionValue[]> | null | undefined {
  if (field.value === undefined) return null;
  const fields = readMapFields(field, report, "a map of labels and lists of their allowed values");
  if (fields === undefined) return undefined;
  if (fields.size > DIMENSION_COUNT_MAX)
    return report.add(field, `at most ${DIMENSION_COUNT_MAX} labels`, `${fields.size}`);
  const entries = [...fields].map(([name, list]) => [name, readAllowed(list, report)] as const);
  const isRead = entries.every((entry): entry is readonly [string, DimensionValue[]] => entry[1] !== undefined);
  return isRead ? Object.fromEntries(entries) : undefined;
}

function readAllowed(field: Field, report: MistakeReport): DimensionValue[] | undefined {
  const options = { expected: "a list of the label's allowed values", countMax: DIMENSION_VALUE_COUNT_MAX };
  const items = readList(field, report, options);
  if (items === undefined) return undefined;
  if (items.length === 0)
    return report.add(field, "at least one allowed value (none would let the rule govern nothing)", "an empty list");
  const values = items.map((item) => readAllowedValue(item, report));
  return values.every((value) => value !== undefined) ? values : undefined;
}

/**
 * Labels are text, so a bare `true` would never match the label "true": better a mistake than a rule that governs
 * nothing.
 */
function readAllowedValue(field: Field, report: MistakeReport): string | number | undefined {
  const value = field.value?.kind === "scalar" ? field.value.value : undefined;
  if (typeof value === "string" || (typeof value === "number" && Number.isFinite(value))) return value;
  return report.add(
    field,
    'text or a number (labels are text: quote words like "true" and "null")',
    describe(field.value),
  );
}

function readMaxWindow(fields: ConvergeFields, report: MistakeReport): number | null | undefined {
  const field = fields.get("max_window");
  if (field.value === undefined) return null;
  const maxWindowMs = readDuration(field, { minMs: 1, maxMs: WINDOW_MS_MAX }, report);
  // Read again only to compare; a mistake in `window` itself is reported once, by its own reader.
  const windowMs = readDuration(
    fields.get("window"),
    { minMs: 1, maxMs: WINDOW_MS_MAX },
    new MistakeReport(report.file),
  );
  if (maxWindowMs === undefined || windowMs === undefined || maxWindowMs >= windowMs) return maxWindowMs;
  return report.add(field, `at least the window, ${formatDuration(windowMs)}`, describe(field.value));
}

function readSummaryDelay(fields: ConvergeFields, report: MistakeReport): number | null | undefined {
  const field = fields.get("summary_delay");
  if (field.value === undefined) return null;
  const word = fields.get("function").value;
  const fn = CONVERGENCE_FUNCTIONS.find((name) => word?.kind === "scalar" && word.value === name);
  if (fn === undefined || !TRAITS[fn].summarises)
    return report.add(field, "no summary_delay: only collect and collect_alarm send summaries", describe(field.value));
  return readDuration(field, { minMs: 0, maxMs: SUMMARY_DELAY_MS_MAX }, report);
}
