/**
 * Whether two alerts of one fingerprint are one: a fingerprint has 64 bits, and label sets that share it are different
 * alerts all the same.
 */
import type { Alert } from "../model/alert.ts";

type Labels = Alert["labels"];

/**
 * Does an instance's first history line tell of an alert with these labels? One that tells of none, as a notice's, is
 * nobody's.
 */
export function isBirthOf(line: string, labels: Labels): boolean {
  // Senders repeat their labels in one order, and a quote inside of a text is escaped: this finds nothing else.
  if (line.includes(`"labels":${JSON.stringify(labels)}`)) return true;
  const born = labelsIn(line);
  return born === null || isSameLabels(born, labels);
}

export function isSameLabels(a: Labels, b: Labels): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name]);
}

/** null: the line cannot be read, which is another's business. */
function labelsIn(line: string): Labels | null {
  try {
    return (JSON.parse(line) as { alert?: { labels?: Labels } }).alert?.labels ?? null;
  } catch {
    return null;
  }
}
