/**
 * That what is removed from a namespace is exported: a mark in each partition, which outlives whoever made it.
 *
 * An engine that exports marks every partition when it starts. Whoever exports nothing removes an instance only if its
 * partition is still as unmarked as when it was looked at, which the store compares in the removal itself: so once the
 * mark is written, nothing of that partition goes without an export. The mark stays until a person takes it away
 * (`becalm doctor --allow-unexported-removal`), which is noted in its place.
 */
import { BecalmError } from "../../model/errors.ts";
import type { Store } from "../../stores/store.ts";
import { untilWritten } from "../commit/back-off.ts";
import { readMembers } from "../owners/membership.ts";
import type { Runtime } from "../runtime.ts";

/** Beside the records of episodes, in each partition; no alert's key begins so. */
const EXPORTS_KEY = "!exports";

/** `to`: the folder of the engine that started last. `by`, `sinceMs`: who exported first, or who took the mark away. */
export type ExportMark = {
  readonly isExported: boolean;
  readonly by: string;
  readonly sinceMs: number;
  readonly to?: string;
};

/** As the store has it; both null: nobody ever exported. */
export type StoredMark = { readonly text: string | null; readonly mark: ExportMark | null };

export async function readMark(store: Store, partition: number): Promise<StoredMark> {
  const request = { partition, groupId: null, instanceIds: [], episodeKeys: [EXPORTS_KEY] };
  const text = (await store.load(request)).episodes.get(EXPORTS_KEY) ?? null;
  return { text, mark: text === null ? null : (JSON.parse(text) as ExportMark) };
}

/** What must hold of a removal that is not exported. */
export function unchanged({ text }: StoredMark): { readonly key: string; readonly expected: string | null } {
  return { key: EXPORTS_KEY, expected: text };
}

/** The namespace's mark: one partition that has it, as after a crash in between, is enough. */
export async function namespaceMark({ store, partitions }: Runtime): Promise<ExportMark | null> {
  const all = await Promise.all(Array.from({ length: partitions }, (_, partition) => readMark(store, partition)));
  const marks = all.flatMap(({ mark }) => mark ?? []);
  return marks.find(({ isExported }) => isExported) ?? marks[0] ?? null;
}

/** Resolves when no engine that exports nothing can remove anything any longer. */
export function markExported(
  runtime: Runtime,
  { by, to }: { readonly by: string; readonly to: string },
): Promise<void> {
  const sinceMs = runtime.clock.now();
  return changeAll(runtime, (mark) =>
    mark?.isExported === true ? { ...mark, to } : { isExported: true, by, sinceMs, to },
  );
}

/**
 * Takes the mark away: engines that export nothing remove again, without a trace. Gives the mark that held; null: none.
 * @throws BECALM_EVENT_REFUSED while an engine lives that exports: it would make the mark again
 */
export async function allowUnexported(runtime: Runtime, by: string): Promise<ExportMark | null> {
  const names = await livingExporters(runtime.store);
  if (names.length > 0) {
    const what = `${names.join(", ")} exports what is removed, and would say so again. Stop it, or start it without an export, and then take the mark away.`;
    throw new BecalmError("BECALM_EVENT_REFUSED", what, { details: { exporters: names } });
  }
  const mark = await namespaceMark(runtime);
  if (mark?.isExported !== true) return null;
  const sinceMs = runtime.clock.now();
  await changeAll(runtime, (held) => (held?.isExported === true ? { isExported: false, by, sinceMs } : held));
  return mark;
}

/** Names of the engines that live and export. */
export async function livingExporters({ processes }: Pick<Store, "processes">): Promise<readonly string[]> {
  const living = (await processes?.living()) ?? [];
  return readMembers(living).flatMap(({ record }) => (record.exports === true ? record.name : []));
}

/** `change` answers null: nothing is written where there is nothing. */
async function changeAll(runtime: Runtime, change: (mark: ExportMark | null) => ExportMark | null): Promise<void> {
  const all = Array.from({ length: runtime.partitions }, (_, partition) => changeOne(runtime, partition, change));
  await Promise.all(all);
}

async function changeOne(
  runtime: Runtime,
  partition: number,
  change: (mark: ExportMark | null) => ExportMark | null,
): Promise<void> {
  const { store } = runtime;
  await untilWritten(runtime, `the mark of partition ${partition} that removals are exported`, async () => {
    const { text, mark } = await readMark(store, partition);
    const changed = change(mark);
    const value = changed === null ? text : JSON.stringify(changed);
    if (value === text || value === null) return true;
    return (
      (await store.renewEpisodes({ partition, writes: [{ key: EXPORTS_KEY, expected: text, value }] })) === "applied"
    );
  });
}
