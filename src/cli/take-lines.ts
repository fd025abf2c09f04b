/** The first half of `becalm run`: the requests of a file, one after the other, through a virtual run. */

import { Rejection } from "../formats/rejection.ts";
import { parseRequestText, type RequestLine, readRequest, requestsOf } from "../formats/request-line.ts";
import type { TextLine } from "../formats/text-lines.ts";
import { BecalmError } from "../model/errors.ts";
import { REQUEST_LINE_BYTES_MAX } from "../model/limits.ts";
import type { VirtualRun } from "../simulate/virtual-run.ts";
import { FileTime } from "./file-time.ts";
import { requestTexts } from "./read-requests.ts";

/**
 * What a file brought. `ids`: of its instances, whoever made them, in the order of first appearance; some may not
 * exist.
 */
export type Taken = {
  readonly ids: ReadonlySet<string>;
  readonly lines: number;
  readonly alerts: number;
  readonly rejected: number;
  readonly unmatched: number;
  readonly created: number;
  readonly duplicates: number;
  /** Alerts that were resolved when they came. */
  readonly resolved: number;
  /** Alerts about an activity that was over already when they came; they changed nothing. */
  readonly late: number;
  /** Alerts that senders say that they have left out. */
  readonly truncated: number;
  /** Sentences about the file that people must know to believe the result. */
  readonly warnings: readonly string[];
  /** The time that the file has reached; null: none. */
  readonly reachedMs: number | null;
};

export type Taking = {
  readonly lines: AsyncIterable<TextLine>;
  readonly run: Pick<VirtualRun, "line">;
  /** What people call the file. */
  readonly label: string;
  /** Takes the requests in the order of their own times. All of the file is then kept in memory. */
  readonly isSorted?: boolean;
  /** The time that a file before this one has reached: this one goes on from there. */
  readonly fromMs?: number | null;
  /** Told of each line that was not taken, and of each alert. */
  readonly onRejected: (what: string) => void;
  readonly onLine: (taken: Taken) => void;
  /** Asked after each line. */
  readonly isStopped: () => boolean;
};

type Counts = { -readonly [K in keyof Taken]: Taken[K] } & { ids: Set<string>; warnings: string[] };

/** A request of the file. `place`: what people find it by. */
type Placed = { readonly place: string; readonly value: unknown };

/**
 * Takes all requests, or those before it was stopped.
 * @throws BECALM_ARGUMENT_INVALID if nothing in the file has the shape of a request: another file was meant
 */
export async function takeLines(taking: Taking): Promise<Taken> {
  const rejections = new Rejections(taking);
  const taker = new Taker(taking, rejections);
  const sorted: { readonly place: string; readonly request: RequestLine }[] = [];
  for await (const text of requestTexts(taking.lines)) {
    taker.taken.lines = text.line;
    for (const placed of requestsIn(text, rejections)) {
      if (taking.isSorted !== true) await taker.take(placed);
      else {
        const request = taker.read(placed, null);
        if (request !== null) sorted.push({ place: placed.place, request });
      }
    }
    taker.counted();
    if (taking.isStopped()) return taker.taken;
  }
  for (const { place, request } of byOwnTime(sorted)) {
    await taker.settle(place, request);
    taker.counted();
    if (taking.isStopped()) return taker.taken;
  }
  rejections.end();
  taker.end();
  return taker.taken;
}

/** Those without a time of their own stay behind the one before them. */
function byOwnTime<Item extends { readonly request: RequestLine }>(items: readonly Item[]): Item[] {
  let lastMs = Number.NEGATIVE_INFINITY;
  const dated = items.map((item) => {
    lastMs = item.request.ownAtMs ?? lastMs;
    return { item, atMs: lastMs };
  });
  return dated.toSorted((a, b) => a.atMs - b.atMs || 0).map(({ item }) => item);
}

function* requestsIn({ line, text, isTooLong }: TextLine, rejections: Rejections): Generator<Placed> {
  const place = `line ${line}`;
  const value = isTooLong
    ? new Rejection("limit", `a request is at most ${REQUEST_LINE_BYTES_MAX} bytes`)
    : parseRequestText(text);
  if (value instanceof Rejection) {
    rejections.unread(place, value.reason);
    return;
  }
  const requests = requestsOf(value);
  if (requests.length === 1) yield { place, value: requests[0] };
  else
    for (const [index, request] of requests.entries())
      yield { place: `${place}, request ${index + 1}`, value: request };
}

const UNREAD_KEPT_COUNT_MAX = 100;

/** Keeps back what is not recognised until something is: a file of something else gets one sentence, not thousands. */
class Rejections {
  readonly #taking: Pick<Taking, "onRejected" | "label">;
  /** The first of those that are kept back, and how many there are. */
  readonly #unread: string[] = [];
  #unreadCount = 0;
  #isRecognised = false;
  count = 0;

  constructor(taking: Pick<Taking, "onRejected" | "label">) {
    this.#taking = taking;
  }

  /** A line that has not the shape of a request. */
  unread(place: string, reason: string): void {
    if (this.#isRecognised) this.alert(place, reason);
    else {
      this.count += 1;
      this.#unreadCount += 1;
      if (this.#unreadCount <= UNREAD_KEPT_COUNT_MAX) this.#unread.push(`${place} rejected: ${reason}`);
    }
  }

  /** An alert, or a request, that has the right shape and something wrong in it. */
  alert(place: string, reason: string): void {
    this.recognised();
    this.count += 1;
    this.#taking.onRejected(`${place} rejected: ${reason}`);
  }

  recognised(): void {
    if (this.#isRecognised) return;
    this.#isRecognised = true;
    for (const what of this.#unread) this.#taking.onRejected(what);
    const more = this.#unreadCount - this.#unread.length;
    if (more > 0) this.#taking.onRejected(`${more} further lines rejected before the first that could be read`);
  }

  end(): void {
    const [first] = this.#unread;
    if (this.#isRecognised || first === undefined) return;
    const { label } = this.#taking;
    const more = this.#unreadCount > 1 ? `, and so were the ${this.#unreadCount - 1} others` : "";
    const what = `Nothing in ${label} has the shape of alerts: ${first}${more}.`;
    throw new BecalmError("BECALM_ARGUMENT_INVALID", `${what} Give a file of a format of docs/inputs.md.`, {
      details: { file: label },
    });
  }
}

/** Takes requests, and counts what they bring. */
class Taker {
  readonly #taking: Taking;
  readonly #rejections: Rejections;
  readonly #time = new FileTime();
  // Of this file only: a second run begins with the file's own times again, also on a namespace that has come further.
  #floorMs: number | null = null;
  #firstTruncated: string | null = null;
  readonly taken: Counts = {
    ids: new Set(),
    lines: 0,
    alerts: 0,
    rejected: 0,
    unmatched: 0,
    created: 0,
    duplicates: 0,
    resolved: 0,
    late: 0,
    truncated: 0,
    warnings: [],
    reachedMs: null,
  };

  constructor(taking: Taking, rejections: Rejections) {
    this.#taking = taking;
    this.#rejections = rejections;
    this.#floorMs = taking.fromMs ?? null;
  }

  async take(placed: Placed): Promise<void> {
    const request = this.read(placed, this.#floorMs);
    if (request !== null) await this.settle(placed.place, request);
  }

  /** null: nothing of it was taken. */
  read({ place, value }: Placed, floorMs: number | null): RequestLine | null {
    const request = readRequest(value, floorMs === null ? {} : { floorMs });
    if (request instanceof Rejection) {
      if (request.code === "json" || request.code === "shape") this.#rejections.unread(place, request.reason);
      else this.#rejections.alert(place, request.reason);
      return null;
    }
    this.#rejections.recognised();
    for (const { index, reason } of request.rejections)
      this.#rejections.alert(index === null ? place : `${place}, alert ${index + 1}`, reason);
    return request;
  }

  async settle(place: string, { alerts, ownAtMs, atMs, truncated }: RequestLine): Promise<void> {
    const { taken } = this;
    this.#time.saw(place, this.#floorMs, ownAtMs);
    if (truncated > 0) this.#firstTruncated ??= place;
    taken.truncated += truncated;
    taken.alerts += alerts.length;
    taken.resolved += alerts.reduce((count, { status }) => count + (status === "resolved" ? 1 : 0), 0);
    const lineAtMs = atMs ?? this.#floorMs;
    if (lineAtMs === null) return;
    this.#floorMs = lineAtMs;
    taken.reachedMs = lineAtMs;
    const outcome = await this.#taking.run.line(alerts, lineAtMs);
    for (const id of outcome.ids) taken.ids.add(id);
    taken.created += outcome.created;
    taken.duplicates += outcome.duplicates;
    taken.unmatched += outcome.unmatched;
    taken.late += outcome.late;
  }

  counted(): void {
    this.taken.rejected = this.#rejections.count;
    this.#taking.onLine(this.taken);
  }

  end(): void {
    const { taken } = this;
    taken.rejected = this.#rejections.count;
    taken.warnings.push(...this.#time.warnings());
    if (this.#firstTruncated === null) return;
    const count = taken.truncated === 1 ? "1 alert was" : `${taken.truncated} alerts were`;
    const why = "max_alerts of Alertmanager's receiver";
    taken.warnings.push(
      `${count} left out by the sender (truncatedAlerts), first in ${this.#firstTruncated}: raise ${why}.`,
    );
  }
}
