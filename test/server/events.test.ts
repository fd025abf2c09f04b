import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { EventStream } from "../../src/server/instances/event-stream.ts";
import { sendJson } from "../support/http-client.ts";
import { type ServerWorld, serverWorld } from "../support/server-world.ts";

type Seen = { id?: string; event?: string; data?: string };

type Reading = { readonly lastId?: string | undefined; readonly whenOpen?: () => Promise<unknown> };

/** Reads a stream until `enough` says so, and closes it. `whenOpen`: called once the server has this viewer. */
async function read(
  url: string,
  enough: (seen: readonly Seen[]) => boolean,
  { lastId, whenOpen }: Reading = {},
): Promise<Seen[]> {
  const end = new AbortController();
  const headers: Record<string, string> = lastId === undefined ? {} : { "last-event-id": lastId };
  const { body } = await fetch(`${url}/v1/events`, { headers, signal: end.signal });
  const reader = (body as ReadableStream<Uint8Array>).getReader();
  const decoder = new TextDecoder();
  let text = "";
  await whenOpen?.();
  while (!enough(parse(text))) text += decoder.decode((await reader.read()).value, { stream: true });
  end.abort();
  return parse(text);
}

function parse(text: string): Seen[] {
  const blocks = text.split("\n\n").slice(0, -1);
  return blocks
    .map(
      (block) => Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/s) as [string, string])) as Seen,
    )
    .filter(({ event }) => event !== undefined);
}

describe("GET /v1/events", () => {
  let world: ServerWorld;
  const post = (instance: string) => sendJson(`${world.url}/api/v2/alerts`, [{ labels: { alertname: "x", instance } }]);
  beforeAll(async () => {
    world = await serverWorld();
  });
  afterAll(() => world.close());

  test("tells every committed step", async () => {
    const whenOpen = async () => expect((await post(String(Math.random()))).status).toBe(200);
    const [first] = await read(world.url, (seen) => seen.length >= 2, { whenOpen });
    expect(first?.event).toBe("step");
    expect(JSON.parse(first?.data ?? "")).toMatchObject({
      policy: "default",
      from: null,
      state: "Processing",
      verdict: "run",
    });
  });

  test("goes on after the last that a viewer saw, without a gap", async () => {
    const reading = read(world.url, (seen) => seen.length >= 2);
    while ((await Promise.race([reading, post(String(Math.random())).then(() => null)])) === null);
    const [first, second] = await reading;
    const again = await read(world.url, (seen) => seen.length >= 1, { lastId: first?.id });
    expect(again[0]).toEqual(second);
  });

  test.each(["0-1", "abc", "ffffffff-99999999999999999999", "-"])(
    "says that something is missing after %j, which it does not know",
    async (lastId) => {
      const [first] = await read(world.url, (seen) => seen.length >= 1, { lastId });
      expect(first?.event).toBe("gap");
    },
  );

  test("says that something is missing when a viewer was away too long", async () => {
    const stream = new EventStream({ keptCount: 2 });
    const publish = () => stream.publish([STEP]);
    publish();
    const first = await firstText(stream.open(undefined, NOTHING));
    expect(first).toBe("retry: 1000\n\n");
    for (let count = 0; count < 4; count += 1) publish();
    const process = /id: (\w+)-/.exec(await firstText(stream.open("x-0", NOTHING)))?.[1];
    expect(await firstText(stream.open(`${process}-1`, NOTHING))).toContain("event: gap");
    expect(await firstText(stream.open(`${process}-3`, NOTHING))).toMatch(/id: \w+-4\n.*id: \w+-5\n/s);
    stream.close();
    expect(stream.viewers).toBe(0);
  });

  test("cuts a viewer that does not read, counts it, and keeps nothing of it", () => {
    vi.useFakeTimers();
    const stream = new EventStream();
    let cuts = 0;
    stream.open(undefined, () => {
      cuts += 1;
    });
    const steps = Array.from({ length: 4_000 }, () => STEP);
    for (let round = 0; round < 4; round += 1) stream.publish(steps);
    expect([cuts, stream.cutCount, stream.viewers, vi.getTimerCount()]).toEqual([1, 1, 0, 0]);
    vi.useRealTimers();
  });
});

const unused = () => {
  throw new Error("unused");
};
const STEP = {
  id: "i",
  policy: "p",
  group: null,
  version: 1,
  atMs: 0,
  event: "start",
  from: null,
  to: "Skipped",
  verdict: "skip",
  reason: "limit_reached",
  sentence: unused,
  snapshot: unused,
} as const;
const NOTHING = () => {};

async function firstText(response: Response): Promise<string> {
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  const { value } = await reader.read();
  return new TextDecoder().decode(value);
}
