/** The first half of `becalm run`: the lines of a file, one after the other, through a virtual run. */

import { parseRequestLine } from "../formats/request-line.ts";
import type { TextLine } from "../formats/text-lines.ts";
import { REQUEST_LINE_BYTES_MAX } from "../model/limits.ts";
import type { VirtualRun } from "../simulate/virtual-run.ts";

/** What a file brought. `ids`: of its instances, whoever made them, in the order of first appearance; some may not exist. */
export type Taken = {
  readonly ids: ReadonlySet<string>;
  readonly lines: number;
  readonly alerts: number;
  readonly rejected: number;
  readonly unmatched: number;
  readonly created: number;
  readonly duplicates: number;
};

export type Taking = {
  readonly lines: AsyncIterable<TextLine>;
  readonly run: VirtualRun;
  /** Told of each line that was not taken, and of each alert. */
  readonly onRejected: (what: string) => void;
  readonly onLine: (taken: Taken) => void;
  /** Asked after each line. */
  readonly isStopped: () => boolean;
};

type Counts = { -readonly [K in keyof Taken]: Taken[K] } & { ids: Set<string> };

/** Takes all lines, or those before it was stopped. */
export async function takeLines(taking: Taking): Promise<Taken> {
  const taken: Counts = { ids: new Set(), lines: 0, alerts: 0, rejected: 0, unmatched: 0, created: 0, duplicates: 0 };
  // Of this file only: a second run begins with the file's own times again, also on a namespace that has come further.
  let floorMs: number | undefined;
  for await (const line of taking.lines) {
    taken.lines = line.line;
    if (line.text.trim() !== "") floorMs = (await takeLine(line, { taking, taken, floorMs })) ?? floorMs;
    taking.onLine(taken);
    if (taking.isStopped()) break;
  }
  return taken;
}

type Context = { taking: Taking; taken: Counts; floorMs: number | undefined };

/** Gives the line's time, null when it has none. */
async function takeLine(
  { line, text, isTooLong }: TextLine,
  { taking, taken, floorMs }: Context,
): Promise<number | null> {
  const reject = (where: string, reason: string) => {
    taken.rejected += 1;
    taking.onRejected(`${where} rejected: ${reason}`);
  };
  if (isTooLong) {
    reject(`line ${line}`, `a request is at most ${REQUEST_LINE_BYTES_MAX} bytes`);
    return null;
  }
  const request = parseRequestLine(text, floorMs === undefined ? {} : { floorMs });
  if ("rejected" in request) {
    reject(`line ${line}`, request.reason);
    return null;
  }
  for (const { index, reason } of request.rejections)
    reject(index === null ? `line ${line}` : `line ${line}, alert ${index + 1}`, reason);
  taken.alerts += request.alerts.length;
  if (request.atMs === null) return null;
  const outcome = await taking.run.line(request.alerts, request.atMs);
  for (const { id } of outcome.intakes) taken.ids.add(id);
  taken.created += outcome.created;
  taken.duplicates += outcome.duplicates;
  taken.unmatched += outcome.unmatched;
  return request.atMs;
}
