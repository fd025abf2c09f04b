/**
 * Timers. `t<lane><due><owner><name><arm><partition>`: the row as text, in the port's order over all partitions.
 * `T<lane><partition><owner><name><arm>`: when it is due.
 */
import type { TimerKey, TimerLane, TimerRow, TimersRequest } from "../store.ts";
import { AFTER_ALL, numberOf, part, sortable, twoDigits } from "./row-keys.ts";
import type { ReadRows, WriteRows } from "./rows.ts";

const LANES: Readonly<Record<TimerLane, string>> = { work: "w", approval: "a" };

export class TimerRows {
  readonly #prefix: string;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  change(rows: WriteRows, armed: readonly TimerRow[], cancelled: readonly TimerKey[]): void {
    for (const row of armed) {
      const byKey = this.#byKey(row);
      const due = sortable(row.dueAtMs);
      const old = rows.get(byKey);
      if (old !== undefined && old !== due) rows.remove(this.#byDue(row, old));
      rows.put(byKey, due);
      rows.put(this.#byDue(row, due), textOf(row));
    }
    for (const timer of cancelled) {
      const due = rows.get(this.#byKey(timer));
      if (due === undefined) continue;
      rows.remove(this.#byKey(timer));
      rows.remove(this.#byDue(timer, due));
    }
  }

  due(rows: ReadRows, { lane, untilMs, limit, fromMs, partition }: TimersRequest): TimerRow[] {
    const all = `${this.#prefix}t${LANES[lane]}`;
    const from = fromMs === undefined ? all : `${all}${sortable(fromMs)}`;
    const found: TimerRow[] = [];
    if (limit < 1) return found;
    for (const { value } of rows.ascending(from, `${all}${sortable(untilMs)}${AFTER_ALL}`)) {
      const row = rowOf(lane, value);
      if (partition === undefined || row.partition === partition) found.push(row);
      if (found.length >= limit) break;
    }
    return found;
  }

  dueTime(rows: ReadRows, timer: TimerKey): number | null {
    const due = rows.get(this.#byKey(timer));
    return due === undefined ? null : numberOf(due);
  }

  #byKey({ lane, partition, owner, name, arm }: TimerKey): string {
    return `${this.#prefix}T${LANES[lane]}${twoDigits(partition)}${part(owner)}${part(name)}${sortable(arm)}`;
  }

  #byDue({ lane, partition, owner, name, arm }: TimerKey, due: string): string {
    return `${this.#prefix}t${LANES[lane]}${due}${part(owner)}${part(name)}${sortable(arm)}${twoDigits(partition)}`;
  }
}

/** No owner and no name holds a space. */
function textOf({ partition, owner, name, arm, dueAtMs }: TimerRow): string {
  return `${dueAtMs} ${partition} ${owner} ${name} ${arm}`;
}

function rowOf(lane: TimerLane, text: string): TimerRow {
  const [dueAtMs, partition, owner, name, arm] = text.split(" ") as [string, string, string, string, string];
  return { lane, owner, name, arm: Number(arm), partition: Number(partition), dueAtMs: Number(dueAtMs) };
}
