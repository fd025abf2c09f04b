/** A tally as stores keep it: how many, and behind each space the id of one of the first. */
import { TALLY_SAMPLE_COUNT_MAX, type Tally, type TallyWrite } from "./store.ts";

export function tallyText({ count, sample }: Tally): string {
  return [count, ...sample].join(" ");
}

export function tallyOf(text: string): Tally {
  const [count = "", ...sample] = text.split(" ");
  return { count: Number(count), sample };
}

/** `stored` with a change; undefined: nothing was counted so far. */
export function countedText(
  stored: string | undefined,
  { added, removed }: Pick<TallyWrite & { kind: "count" }, "added" | "removed">,
): string {
  const { count, sample } = tallyOf(stored ?? "0");
  const left = sample.filter((id) => !removed.includes(id));
  return tallyText({
    count: count - removed.length + added.length,
    sample: [...left, ...added].slice(0, TALLY_SAMPLE_COUNT_MAX),
  });
}

/** Is what is stored what a taking commit expects? */
export function isExpectedTally(stored: string | undefined, write: TallyWrite): boolean {
  return write.kind === "count" || stored === (write.expected === null ? undefined : tallyText(write.expected));
}
