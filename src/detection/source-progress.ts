/** How far each source is when a batch of rows is durable, and by what its first row is known. */
import type { RecordRow } from "../formats/record-row.ts";
import type { DetectionBatch } from "./detection-batch.ts";
import { md5OfText } from "./records/record-identity.ts";
import type { SourceBatch } from "./source-batch.ts";
import { addCounts, addReasons, NO_COUNTS, type SourcePosition } from "./source-position.ts";

type Advancing = { readonly batch: DetectionBatch; readonly rows: SourceBatch; readonly source: string };

/** Each source by its own rows; what belongs to no single row is counted to the source of the last one. */
export function advancedPositions(
  positionOf: (source: string) => SourcePosition,
  { batch, rows, source }: Advancing,
): Map<string, SourcePosition> {
  const counts = rows.counts();
  const firsts = rows.firsts();
  if (!counts.has(source)) counts.set(source, 0);
  const reasons = new Map<string, Record<string, number>>();
  for (const [index, { reason }] of batch.refused.entries()) {
    const of = rows.sources[batch.refusedRows[index] as number] ?? source;
    const found = reasons.get(of) ?? {};
    found[reason] = (found[reason] ?? 0) + 1;
    reasons.set(of, found);
  }
  const rejectedOf = (one: string) => Object.values(reasons.get(one) ?? {}).reduce((sum, count) => sum + count, 0);
  return new Map(
    [...counts].map(([one, count]) => {
      const before = positionOf(one);
      const own = { ...(one === source ? batch.counts : NO_COUNTS), rejected: rejectedOf(one) };
      const first = firsts.get(one);
      return [
        one,
        {
          ...before,
          rows: before.rows + count,
          first: before.rows === 0 && first !== undefined ? digestOf(first.row) : before.first,
          counts: addCounts(before.counts, own),
          reasons: addReasons(before.reasons, reasons.get(one) ?? {}),
        },
      ];
    }),
  );
}

export function digestOf(row: RecordRow): string {
  if ("rejected" in row) return md5OfText(`${row.reason} ${row.text}`);
  if (typeof row.record !== "object" || row.record === null) return md5OfText(String(row.record));
  // Only names and scalars: what nests may nest deeper than a recursion goes, and a bigint has no form in JSON.
  const cells = Object.entries(row.record).map(([name, value]) => {
    if (typeof value === "bigint") return [name, String(value)];
    return [name, typeof value === "object" ? "" : value];
  });
  return md5OfText(JSON.stringify(cells));
}
