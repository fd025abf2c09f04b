/** What is counted beside groups. `y<partition><key>`: the tally's text. */
import type { Tally, TallyWrite } from "../store.ts";
import { countedText, isExpectedTally, tallyOf } from "../tally-text.ts";
import { part, twoDigits } from "./row-keys.ts";
import type { ReadRows, WriteRows } from "./rows.ts";

export class TallyRows {
  readonly #table: string;

  constructor(prefix: string) {
    this.#table = `${prefix}y`;
  }

  read(rows: ReadRows, partition: number, key: string): Tally | null {
    const text = rows.get(this.#key(partition, key));
    return text === undefined ? null : tallyOf(text);
  }

  areExpected(rows: ReadRows, partition: number, writes: readonly TallyWrite[]): boolean {
    return writes.every((write) => isExpectedTally(rows.get(this.#key(partition, write.key)), write));
  }

  write(rows: WriteRows, partition: number, writes: readonly TallyWrite[]): void {
    for (const write of writes) {
      const key = this.#key(partition, write.key);
      if (write.kind === "take") rows.remove(key);
      else rows.put(key, countedText(rows.get(key), write));
    }
  }

  #key(partition: number, key: string): string {
    return `${this.#table}${twoDigits(partition)}${part(key)}`;
  }
}
