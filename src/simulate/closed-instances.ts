/**
 * What a run in memory is done with: instances at rest, to which nothing can happen any more but what a person does.
 * Their rows are put away and they are dropped from the store, so that its memory grows with what is open.
 *
 * Nobody misses them: a group counts its peers by itself and reads only those in progress and those who wait, an
 * episode is known by its record, and what is told to an instance at rest changes nothing.
 */
import { decodeCheckpoint } from "../instance/checkpoint.ts";
import type { Decision } from "../instance/decide.ts";
import { isAtRest } from "../instance/open-index.ts";
import { partitionOfId } from "../model/ids.ts";
import type { InstanceReader } from "../runtime/instance-reader.ts";
import { instanceLine, type Row, summariesOf } from "./instance-rows.ts";
import type { RowStore } from "./row-store.ts";

const DROPPED_AT_ONCE = 1_024;

export class ClosedInstances {
  /** Of notices that were sent. */
  summaries = 0;
  readonly #rows: RowStore<Row>;
  readonly #slots = new Map<string, number>();
  #resting = new Set<string>();

  readonly #atOnce: number;

  constructor(rows: RowStore<Row>, { atOnce = DROPPED_AT_ONCE }: { atOnce?: number } = {}) {
    this.#rows = rows;
    this.#atOnce = atOnce;
  }

  /** Hears of commits. */
  committed({ instances }: Decision): void {
    for (const { instance } of instances) if (isAtRest(instance)) this.#resting.add(instance.id);
  }

  /** null: it is in the store still, or was never made. */
  rowOf(id: string): Row | null {
    const slot = this.#slots.get(id);
    return slot === undefined ? null : this.#rows.get(slot);
  }

  /** Between lines, when nothing is under way. */
  async drop(instances: InstanceReader): Promise<void> {
    if (this.#resting.size < this.#atOnce) return;
    const { runtime } = instances;
    const ids = this.#resting;
    this.#resting = new Set();
    for (const id of ids) {
      const request = { partition: partitionOfId(id) ?? 0, groupId: null, instanceIds: [id] };
      const stored = (await runtime.store.load(request)).instances.get(id);
      if (stored === undefined) continue;
      const instance = decodeCheckpoint(stored, runtime.versions);
      if (!isAtRest(instance)) continue;
      if (instance.kind === "action") {
        const history = await instances.history(id);
        const row = { line: instanceLine(instance, history), summaries: summariesOf(history) };
        this.#slots.set(id, this.#rows.add(row));
      } else if (instance.kind === "summary" && instance.snapshot.context.attempt > 0) this.summaries += 1;
      await runtime.store.remove(id, stored.version);
    }
  }
}
