import type { TimerKey, TimerLane, TimerRow, TimersRequest } from "../store.ts";
import { compareTimers } from "../store-rules.ts";
import { SortedList } from "./sorted-list.ts";

/** Before every row of its due time. */
const FIRST = { partition: 0, owner: "", name: "", arm: -1 };

/** The armed timers: by key, to cancel or arm again, and by due time, one list a lane over all partitions. */
export class TimerTable {
  readonly #rows = new Map<string, TimerRow>();
  readonly #due: Readonly<Record<TimerLane, SortedList<TimerRow>>> = {
    work: new SortedList<TimerRow>(compareTimers),
    approval: new SortedList<TimerRow>(compareTimers),
  };

  change(armed: readonly TimerRow[], cancelled: readonly TimerKey[]): void {
    for (const row of armed) {
      this.#cancel(row);
      const stored = { ...row };
      this.#rows.set(keyOf(row), stored);
      this.#due[row.lane].add(stored);
    }
    for (const key of cancelled) this.#cancel(key);
  }

  due({ lane, untilMs, limit, fromMs, partition }: TimersRequest): TimerRow[] {
    const before = fromMs === undefined ? undefined : { ...FIRST, lane, dueAtMs: fromMs };
    const found: TimerRow[] = [];
    if (limit < 1) return found;
    for (const row of this.#due[lane].ascending(before)) {
      if (row.dueAtMs > untilMs) break;
      if (partition === undefined || row.partition === partition) found.push({ ...row });
      if (found.length >= limit) break;
    }
    return found;
  }

  dueTime(timer: TimerKey): number | null {
    return this.#rows.get(keyOf(timer))?.dueAtMs ?? null;
  }

  #cancel(timer: TimerKey): void {
    const key = keyOf(timer);
    const row = this.#rows.get(key);
    if (row === undefined) return;
    this.#rows.delete(key);
    this.#due[row.lane].remove(row);
  }
}

function keyOf({ lane, partition, owner, name, arm }: TimerKey): string {
  return `${lane} ${partition} ${owner} ${name} ${arm}`;
}
