/**
 * `GET /v1/events`: server-sent events, one a committed step. The newest are kept, so that who comes back with
 * Last-Event-ID misses nothing; who was away too long is told so (`event: gap`). A viewer that does not read is cut
 * instead of filling the memory.
 */
import { randomBytes } from "node:crypto";
import type { CommittedStep } from "../../committed-steps.ts";
import { isoTime } from "../../present/time-text.ts";
import { HttpRefusal } from "../http/http-refusal.ts";
import type { Route } from "../http/route.ts";

const KEPT_COUNT = 4_096;
const VIEWER_COUNT_MAX = 100;
/** What may wait for a viewer that reads slowly. */
const PENDING_BYTES_MAX = 1_048_576;
const COMMENT_EVERY_MS = 15_000;

const HEADERS = {
  "content-type": "text/event-stream",
  "cache-control": "no-cache, no-transform",
  "x-accel-buffering": "no",
} as const;

type Event = Omit<CommittedStep, "sentence" | "snapshot" | "to"> & { readonly state: CommittedStep["to"] };

function eventOf({ id, policy, group, version, atMs, event, from, to, verdict, reason }: CommittedStep): Event {
  return { id, policy, group, version, atMs, event, from, state: to, verdict, reason };
}

type Viewer = {
  readonly stream: ReadableStreamDefaultController<Uint8Array>;
  readonly comments: NodeJS.Timeout;
  /** Ends its connection, whatever waits for it. */
  readonly cut: () => void;
};

const COMMENT = new TextEncoder().encode(":\n\n");
const UTF8 = new TextEncoder();

export class EventStream {
  /** Numbers of another process mean nothing here. */
  readonly #process = randomBytes(4).toString("hex");
  /** In a ring: the event of number n is at n modulo the size. Its text is made when somebody wants it. */
  readonly #kept: Event[];
  readonly #viewers = new Set<Viewer>();
  readonly #countMax: number;
  #count = 0;
  #cutCount = 0;

  constructor({ keptCount = KEPT_COUNT }: { keptCount?: number } = {}) {
    this.#countMax = keptCount;
    this.#kept = new Array<Event>(keptCount);
  }

  get viewers(): number {
    return this.#viewers.size;
  }

  /** Viewers that were cut so far because they did not read. */
  get cutCount(): number {
    return this.#cutCount;
  }

  publish(steps: readonly CommittedStep[]): void {
    const before = this.#count;
    for (const step of steps) {
      this.#count += 1;
      this.#kept[this.#count % this.#countMax] = eventOf(step);
    }
    if (this.#viewers.size === 0) return;
    const bytes = UTF8.encode(this.#textAfter(before));
    for (const viewer of this.#viewers) this.#send(viewer, bytes);
  }

  /** Ends all streams; viewers come back elsewhere, or here after a restart. */
  close(): void {
    for (const viewer of this.#viewers) {
      this.#leave(viewer);
      viewer.stream.close();
    }
  }

  /**
   * What came after `lastId`, and then all that happens, until one of the two ends it. `cut` ends the connection when
   * the viewer does not read.
   */
  open(lastId: string | undefined, cut: () => void): Response {
    if (this.#viewers.size >= VIEWER_COUNT_MAX) {
      const why = `${VIEWER_COUNT_MAX} viewers are connected already. Try again later.`;
      throw new HttpRefusal(503, "BECALM_BUSY", { why, headers: { "retry-after": "10" } });
    }
    let leave = () => {};
    const body = new ReadableStream<Uint8Array>(
      {
        start: (stream) => {
          stream.enqueue(UTF8.encode(`retry: 1000\n\n${this.#missed(lastId)}`));
          const comments = setInterval(() => this.#send(viewer, COMMENT), COMMENT_EVERY_MS);
          const viewer: Viewer = { stream, comments, cut };
          this.#viewers.add(viewer);
          leave = () => this.#leave(viewer);
        },
        cancel: () => leave(),
      },
      new ByteLengthQueuingStrategy({ highWaterMark: PENDING_BYTES_MAX }),
    );
    return new Response(body, { headers: HEADERS });
  }

  /** A viewer with a full queue does not read: it is cut, and resumes when it comes back. */
  #send(viewer: Viewer, bytes: Uint8Array): void {
    const { stream, cut } = viewer;
    if ((stream.desiredSize ?? 0) >= bytes.length) stream.enqueue(bytes);
    else {
      this.#leave(viewer);
      this.#cutCount += 1;
      cut();
    }
  }

  #leave(viewer: Viewer): void {
    clearInterval(viewer.comments);
    this.#viewers.delete(viewer);
  }

  /** Events after number `seen`; no older ones than are kept. */
  #textAfter(seen: number): string {
    let text = "";
    for (let number = Math.max(seen, this.#oldest()) + 1; number <= this.#count; number += 1) {
      const event = this.#kept[number % this.#countMax] as Event;
      const data = { ...event, atMs: undefined, at: isoTime(event.atMs) };
      text += `id: ${this.#process}-${number}\nevent: step\ndata: ${JSON.stringify(data)}\n\n`;
    }
    return text;
  }

  /** The number before the oldest event that is kept. */
  #oldest(): number {
    return Math.max(0, this.#count - this.#countMax);
  }

  /** What came after `lastId`, or that something is missing. */
  #missed(lastId: string | undefined): string {
    if (lastId === undefined || lastId === "") return "";
    const [process, number] = lastId.split("-");
    const seen = process === this.#process && /^\d{1,15}$/.test(number ?? "") ? Number(number) : null;
    if (seen === null || seen < this.#oldest() || seen > this.#count)
      return `id: ${this.#process}-${this.#count}\nevent: gap\ndata: {"lastId":${JSON.stringify(lastId)}}\n\n`;
    return this.#textAfter(seen);
  }
}

export function eventRoutes(stream: EventStream): Route[] {
  return [
    {
      method: "GET",
      path: "/v1/events",
      role: "read",
      summary: "Committed steps as they happen; resumes with Last-Event-ID, or says that it has a gap",
      answers: { 200: { what: "server-sent events: `step`, `gap`", type: "text/event-stream" } },
      handle: (c) => stream.open(c.req.header("last-event-id"), () => c.env.outgoing.destroy()),
    },
  ];
}
