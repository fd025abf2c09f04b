import type { Tally, TallyWrite } from "../store.ts";
import { countedText, isExpectedTally, tallyOf } from "../tally-text.ts";

/** What is counted beside groups, by partition and key. */
export class TallyTable {
  readonly #texts = new Map<string, string>();

  read(partition: number, key: string): Tally | null {
    const text = this.#texts.get(nameIn(partition, key));
    return text === undefined ? null : tallyOf(text);
  }

  areExpected(partition: number, writes: readonly TallyWrite[]): boolean {
    return writes.every((write) => isExpectedTally(this.#texts.get(nameIn(partition, write.key)), write));
  }

  write(partition: number, writes: readonly TallyWrite[]): void {
    for (const write of writes) {
      const name = nameIn(partition, write.key);
      if (write.kind === "take") this.#texts.delete(name);
      else this.#texts.set(name, countedText(this.#texts.get(name), write));
    }
  }
}

function nameIn(partition: number, key: string): string {
  return `${partition} ${key}`;
}
