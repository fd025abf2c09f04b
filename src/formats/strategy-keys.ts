/**
 * Every key that a strategy file may have, by the map that has it. The reader refuses all others, and a test keeps
 * docs/schema/strategies.schema.json equal to this table.
 */
export const STRATEGY_FILE_KEYS = {
  file: ["strategies"],
  strategy: [
    "name",
    "query",
    "interval",
    "lateness",
    "levels",
    "trigger",
    "recovery",
    "no_data",
    "resend",
    "labels",
    "annotations",
  ],
  query: ["filter", "value", "time", "time_format", "dimensions", "unit", "precision", "no_value"],
  filter: ["not"],
  level: ["severity", "when", "trigger", "recovery"],
  trigger: ["count", "window"],
  recovery: ["count", "when", "silence"],
  no_data: ["intervals", "severity", "keep", "expect"],
} as const satisfies Record<string, readonly string[]>;
