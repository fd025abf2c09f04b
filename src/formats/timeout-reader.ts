import { ACTION_TIMEOUT_MS_DEFAULT, ACTION_TIMEOUT_MS_MAX } from "../model/limits.ts";
import { type Fields, type MistakeReport, readDuration } from "./field-reader.ts";

/** How long one attempt may take. */
export function readTimeout(fields: Fields<"timeout">, report: MistakeReport): number | undefined {
  const field = fields.get("timeout");
  if (field.value === undefined) return ACTION_TIMEOUT_MS_DEFAULT;
  return readDuration(field, { minMs: 1, maxMs: ACTION_TIMEOUT_MS_MAX }, report);
}
