/** The time of a record before any strategy takes it: what files are sorted and merged by. */
import type { Strategy } from "../detection/core/strategy.ts";
import { at, type FieldPath, fieldPath } from "../detection/records/record.ts";
import type { TimeFormat } from "../detection/records/record-types.ts";
import { convertTime } from "../detection/records/record-value.ts";
import type { RecordRow } from "../formats/record-row.ts";

export type RowTime = (row: RecordRow) => number | null;

/** By the time fields of the strategies, in their order; null: none of them can be read. */
export function rowTimeOf(strategies: readonly Strategy[]): RowTime {
  const ways = new Map<string, { path: FieldPath; format: TimeFormat | undefined }>();
  for (const { query } of strategies)
    ways.set(`${query.timeFormat ?? ""} ${query.time}`, { path: fieldPath(query.time), format: query.timeFormat });
  const fields = [...ways.values()];
  return (row) => {
    if ("rejected" in row) return null;
    for (const { path, format } of fields) {
      const raw = at(row.record, path);
      const time = raw === null ? null : convertTime(raw, path.name, format);
      if (typeof time === "number") return time;
    }
    return null;
  };
}
