import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Turns } from "../../src/server/candidates/turns.ts";
import { type ServerWorld, serverWorld } from "../support/server-world.ts";

const rule = (count: number) => `policies:
  - name: shed
    match: []
    action: { log: {} }
    converge: { function: skip_when_exceed, by: [rack], count: ${count}, window: 10m }
`;

type Answer = {
  readonly mistakes: readonly object[];
  readonly changes: readonly { readonly was: { state: string }; readonly now: { state: string } }[];
  readonly more: number;
  readonly summary: {
    readonly changed: number;
    readonly was: { executed: number };
    readonly now: { executed: number };
  };
};

describe("POST /v1/candidates", () => {
  let world: ServerWorld;

  beforeEach(async () => {
    world = await serverWorld({ policies: rule(1) });
    const alerts = Array.from({ length: 6 }, (_, index) => ({
      labels: { alertname: "Down", rack: "r1", host: `h${index}` },
      status: "firing" as const,
    }));
    for (const alert of alerts) await world.engine.ingest([alert]);
  });

  afterEach(() => world.close());

  const ask = (body: object, signal?: AbortSignal) =>
    fetch(`${world.url}/v1/candidates`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      ...(signal === undefined ? {} : { signal }),
    });

  test("answers the mistakes of a file, and without a time nothing else", async () => {
    const bad = await ask({ policies: "policies:\n  - { name: x }\n", since: "1h" });
    expect(((await bad.json()) as Answer).mistakes.length).toBeGreaterThan(0);
    expect(await (await ask({ policies: rule(3) })).json()).toEqual({ mistakes: [] });
  });

  test("of the rules in force finds no change", async () => {
    const answer = (await (await ask({ policies: rule(1), since: "1h" })).json()) as Answer;
    expect([answer.summary.changed, answer.changes, answer.more]).toEqual([0, [], 0]);
  });

  test("says what would have gone another way, with what was and what would be, and changes nothing", async () => {
    const before = JSON.stringify(await world.engine.list());
    const answer = (await (await ask({ policies: rule(3), since: "1h", limit: 1 })).json()) as Answer;
    expect(answer.summary.was.executed).toBe(1);
    expect(answer.summary.now.executed).toBeGreaterThan(1);
    expect(answer.changes).toHaveLength(1);
    expect(answer.more).toBe(answer.summary.changed - 1);
    expect([answer.changes[0]?.was.state, answer.changes[0]?.now.state]).toEqual(["Skipped", "Success"]);
    expect(JSON.stringify(await world.engine.list())).toBe(before);
  });

  test("refuses a time of more than a day, and tries one candidate at a time", async () => {
    expect((await ask({ policies: rule(3), since: "25h" })).status).toBe(400);
    const answers = await Promise.all([1, 2, 3].map((count) => ask({ policies: rule(count), since: "1h" })));
    const statuses = answers.map(({ status }) => status).toSorted((a, b) => a - b);
    expect(statuses[0]).toBe(200);
    expect(statuses.every((status) => status === 200 || status === 503)).toBe(true);
  });

  test("ends its work when the client has left, and when its time is over", async () => {
    const work = async (turns: Turns) => {
      for (;;) await turns.next();
    };
    await expect(work(new Turns({ isGone: () => true, withinMs: 60_000 }))).rejects.toMatchObject({ status: 503 });
    await expect(work(new Turns({ isGone: () => false, withinMs: 0 }))).rejects.toMatchObject({ code: "BECALM_BUSY" });
  });
});
