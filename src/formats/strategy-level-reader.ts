/** The levels of a strategy: conditions, triggers, recoveries. */
import { type Condition, limitFamilies, parseCondition } from "../detection/core/condition.ts";
import { RECOVERY_COUNT_MAX, TRIGGER_WINDOW_COUNT_MAX } from "../detection/core/detection-limits.ts";
import type { Level } from "../detection/core/strategy.ts";
import { unitOf } from "../detection/records/units.ts";
import { messageOf } from "../model/errors.ts";
import {
  type Field,
  type Fields,
  type MistakeReport,
  readFields,
  readList,
  readNumber,
  readText,
} from "./field-reader.ts";
import { optional, readName, readSeconds, reportRepetitions } from "./strategy-fields.ts";
import { STRATEGY_FILE_KEYS } from "./strategy-keys.ts";

export const LEVEL_COUNT_MAX = 10;
const SILENCE_SECONDS_MAX = 31 * 86_400;

export type StrategyFields = Fields<(typeof STRATEGY_FILE_KEYS.strategy)[number]>;

export function readLevels(
  fields: StrategyFields,
  unit: string | null | undefined,
  report: MistakeReport,
): Level[] | undefined {
  const defaults: LevelDefaults = {
    trigger: optional(fields.get("trigger"), { count: 1, window: 1 }, (one) => readTrigger(one, report)),
    recovery: optional<Level["recovery"]>(fields.get("recovery"), { count: 1 }, (one) =>
      readRecovery(one, unit, report),
    ),
    unit,
  };
  const field = fields.get("levels");
  if (field.value === undefined) return [];
  const items = readList(field, report, { expected: "a list of levels, the highest first", countMax: LEVEL_COUNT_MAX });
  const levels = items?.map((item) => readLevel(item, defaults, report));
  reportRepetitions(
    items ?? [],
    { key: "severity", expected: "a severity that no other level of the strategy has" },
    report,
  );
  return levels?.every((level) => level !== undefined) ? levels : undefined;
}

type LevelDefaults = {
  readonly trigger: Level["trigger"] | undefined;
  readonly recovery: Level["recovery"] | undefined;
  /** The query's unit; undefined: it could not be read. */
  readonly unit: string | null | undefined;
};

function readLevel(field: Field, defaults: LevelDefaults, report: MistakeReport): Level | undefined {
  const fields = readFields(field, STRATEGY_FILE_KEYS.level, report);
  if (fields === undefined) return undefined;
  const severity = readName(fields.get("severity"), report);
  const when = readCondition(fields.get("when"), defaults.unit, report);
  const trigger = optional(fields.get("trigger"), defaults.trigger, (one) => readTrigger(one, report));
  const recovery = optional(fields.get("recovery"), defaults.recovery, (one) =>
    readRecovery(one, defaults.unit, report),
  );
  if (severity === undefined || when === undefined || trigger === undefined || recovery === undefined) return undefined;
  return { severity, when, trigger, recovery };
}

function readCondition(field: Field, unit: string | null | undefined, report: MistakeReport): Condition | undefined {
  const expected = `a condition such as "> 90", "> 500ms", ">= 10 and < 20 or == 0" or "change > 50%"`;
  const text = readText(field, report, expected);
  if (text === undefined) return undefined;
  try {
    return requireUnits(parseCondition(text), { field, unit }, report);
  } catch (error) {
    return report.add(field, expected, messageOf(error));
  }
}

/** A limit's unit must measure what the values measure. */
function requireUnits(
  condition: Condition,
  { field, unit }: { field: Field; unit: string | null | undefined },
  report: MistakeReport,
): Condition | undefined {
  const families = limitFamilies(condition);
  if (unit === undefined || families.length === 0) return condition;
  const own = unit === null ? null : unitOf(unit)?.family;
  const other = families.find((family) => family !== own);
  if (other === undefined) return condition;
  const expected = unit === null ? "query.unit, for limits that have one" : `limits in a unit of ${own}, as ${unit} is`;
  return report.add(field, expected, `a limit in ${other}`);
}

function readTrigger(field: Field, report: MistakeReport): Level["trigger"] | undefined {
  const fields = readFields(field, STRATEGY_FILE_KEYS.trigger, report);
  if (fields === undefined) return undefined;
  const count = readNumber(fields.get("count"), { min: 1, max: TRIGGER_WINDOW_COUNT_MAX, isWhole: true }, report);
  if (count === undefined) return undefined;
  const window = optional(fields.get("window"), count, (one) =>
    readNumber(one, { min: count, max: TRIGGER_WINDOW_COUNT_MAX, isWhole: true }, report),
  );
  return window === undefined ? undefined : { count, window };
}

function readRecovery(
  field: Field,
  unit: string | null | undefined,
  report: MistakeReport,
): Level["recovery"] | undefined {
  const fields = readFields(field, STRATEGY_FILE_KEYS.recovery, report);
  if (fields === undefined) return undefined;
  const isAlone = fields.get("when").value === undefined && fields.get("silence").value === undefined;
  const count = optional(fields.get("count"), isAlone ? undefined : 1, (one) =>
    readNumber(one, { min: 1, max: RECOVERY_COUNT_MAX, isWhole: true }, report),
  );
  if (isAlone && fields.get("count").value === undefined)
    return report.add(fields.get("count"), "a whole number from 1", "nothing");
  const when = optional<Condition | null>(fields.get("when"), null, (one) => readCondition(one, unit, report));
  const silenceSeconds = optional<number | null>(fields.get("silence"), null, (one) =>
    readSeconds(one, { min: 1, max: SILENCE_SECONDS_MAX }, report),
  );
  if (count === undefined || when === undefined || silenceSeconds === undefined) return undefined;
  return {
    count,
    ...(when === null ? {} : { when }),
    ...(silenceSeconds === null ? {} : { silenceSeconds }),
  };
}
