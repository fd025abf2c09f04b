/** A recording as lines that a person can follow: what was sent, decided and delivered, in order. */
import type { Recording } from "./recording.ts";
import { evidenceOf, stepsInOrder } from "./trails.ts";

type Line = { readonly atMs: number; readonly text: string };

export function storyOf(recording: Recording): string[] {
  const { startedAtMs, requests, deliveries, faultLines } = recording;
  const lines: Line[] = stepsInOrder(evidenceOf(recording)).map(({ trail, step }) => {
    const { entry } = step;
    const seen = entry.observation === null ? "" : ` seen ${JSON.stringify(entry.observation)} of ${entry.count}`;
    const where = `${entry.epoch === null ? "" : ` epoch ${entry.epoch - startedAtMs}`}${seen}`;
    const what = `${entry.event.type} -> ${step.snapshot.state} (${entry.reason})${where}`;
    return { atMs: entry.atMs, text: `${trail.stored.id} v${entry.version} ${what}` };
  });
  for (const { atMs, answeredAtMs, taken, refused, error } of requests) {
    const outcome =
      error ?? `${taken.map(({ id, outcome: how }) => `${id} ${how}`).join(", ")} refused ${refused.length}`;
    const answered = answeredAtMs === null ? "not answered" : `answered +${answeredAtMs - atMs}: ${outcome}`;
    lines.push({ atMs, text: `request ${answered}` });
  }
  for (const { atMs, process, instance, attempt } of deliveries)
    lines.push({ atMs, text: `delivery by ${process}: attempt ${attempt} of ${instance}` });
  for (const { atMs, text } of faultLines) lines.push({ atMs, text: `fault: ${text}` });
  return lines.sort((a, b) => a.atMs - b.atMs).map(({ atMs, text }) => `${atMs - startedAtMs} ${text}`);
}
