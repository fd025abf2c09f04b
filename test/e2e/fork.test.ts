import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { lmdbStore } from "../../src/stores/lmdb/lmdb-store.ts";
import { becalm, jsonLines, useFiles } from "../support/command.ts";
import { startWebhookTarget, type WebhookTarget } from "../support/webhook-target.ts";

const file = useFiles();
const AT = Date.parse("2026-11-23T06:00:00Z");

type Row = {
  readonly id: string;
  readonly kind: string;
  readonly state: string;
  readonly group: string | null;
  readonly reason: string;
};
type Change = { readonly id: string; readonly was: Row | null; readonly now: Row | null };

/** Five alerts of one rack, a second apart: the first runs, the others are held for a person. */
const alerts = Array.from({ length: 5 }, (_, index) =>
  JSON.stringify({
    receivedAt: new Date(AT + index * 1_000).toISOString(),
    path: "/api/v2/alerts",
    body: [{ labels: { alertname: "Down", rack: "r1", host: `h${index}` }, status: "firing" }],
  }),
);

describe("fork and the past", () => {
  let folder: string;
  let store: string[];
  let rows: Row[];
  let target: WebhookTarget;

  beforeAll(async () => {
    target = await startWebhookTarget(() => 200);
    folder = mkdtempSync(join(tmpdir(), "becalm-fork-"));
    store = ["--store", `lmdb:${join(folder, "store")}`];
    const policies = file(
      "policies.json",
      JSON.stringify({
        policies: [
          {
            name: "restart",
            match: [],
            action: { webhook: { url: target.url } },
            converge: { function: "defense", by: ["rack"], count: 1, window: "10m" },
            retry: { limit: 1, delay: "30s" },
            approval: { notify: { log: {} } },
          },
        ],
      }),
    );
    const source = ["--alerts", file("alerts.jsonl", alerts.join("\n")), "--execute", "--quiet"];
    const made = await becalm(["run", "--policies", policies, ...source, ...store]);
    expect([made.code, made.stderr]).toEqual([0, ""]);
    rows = jsonLines<Row>((await becalm(["ls", ...store, "--json"])).stdout).filter(({ id }) => id !== undefined);
  });

  afterAll(async () => {
    await target.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Everything that the store has. */
  async function contents(): Promise<string> {
    const reading = lmdbStore(join(folder, "store"), {});
    try {
      const info = await reading.open({});
      const { instances } = await reading.list({ limit: 1_000 });
      const histories = await Promise.all(instances.map(({ id }) => reading.history(id)));
      const until = { untilMs: Number.MAX_SAFE_INTEGER, limit: 1_000 };
      const timers = [
        await reading.timers({ lane: "work", ...until }),
        await reading.timers({ lane: "approval", ...until }),
      ];
      return JSON.stringify([info, instances, histories, timers, await reading.listEffects({ limit: 1_000 })]);
    } finally {
      await reading.close();
    }
  }

  const held = () => rows.filter(({ state }) => state === "Waiting");
  const changesOf = (stdout: string) => jsonLines<Change>(stdout).filter(({ id }) => id !== undefined);

  test("a group that had been approved at minute 12 runs all that it held, and nothing outside hears of it", async () => {
    const before = await contents();
    const asked = target.deliveries.length;
    const group = held()[0]?.group as string;
    const event = JSON.stringify({ type: "approval.granted", by: "ann", why: "looked at it", after: "12m" });
    const { code, stdout } = await becalm(["fork", "--group", group, "--event", event, ...store, "--json"]);
    expect(code).toBe(0);
    const changes = changesOf(stdout);
    expect(changes.map(({ id }) => id).sort()).toEqual(
      held()
        .map(({ id }) => id)
        .sort(),
    );
    for (const { was, now } of changes)
      expect([was?.state, now?.state, now?.reason]).toEqual(["Waiting", "Success", "approved"]);
    expect(target.deliveries.length).toBe(asked);
    expect(await contents()).toBe(before);
  });

  test("an attempt that had failed is retried, and of its group only what follows is decided in another way", async () => {
    const first = rows.find(({ kind, state }) => kind === "action" && state === "Success") as Row;
    const event = JSON.stringify({ type: "effect.failed", error: "refused" });
    const { code, stdout, stderr } = await becalm([
      "fork",
      first.id,
      "--at",
      "1",
      "--event",
      event,
      ...store,
      "--json",
    ]);
    expect([code, stderr]).toEqual([0, ""]);
    const [change, ...others] = changesOf(stdout);
    expect(others).toEqual([]);
    expect(change?.id).toBe(first.id);
    expect(change?.now).toMatchObject({ state: "Success", attempts: 2 });
    expect(target.deliveries.filter(({ body }) => body.instance === first.id)).toHaveLength(1);
  });

  test("shows an instance as it was at a version and at a time", async () => {
    const first = rows.find(({ kind, state }) => kind === "action" && state === "Success") as Row;
    const at = async (place: string) =>
      jsonLines<{ state: string; past: object; entries: object[] }>(
        (await becalm(["show", first.id, "--at", place, ...store, "--json"])).stdout,
      )[0];
    expect(await at("1")).toMatchObject({ state: "Processing", past: { version: 1, last: 2 } });
    expect((await at("1"))?.entries).toHaveLength(1);
    expect(await at("2026-11-23T06:00:05Z")).toMatchObject({ state: "Success", past: { version: 2, last: 2 } });
  });

  test("refuses what the state of that moment does not take with 4, and what is no place in a history with 2", async () => {
    const id = held()[0]?.id as string;
    const fork = (...args: string[]) => becalm(["fork", ...args, ...store]);
    expect((await fork(id, "--at", "1", "--event", '{"type":"effect.done"}')).code).toBe(4);
    expect((await fork(id, "--at", "9", "--event", '{"type":"cancel"}')).code).toBe(2);
    expect((await fork(id, "--event", '{"type":"cancel"}')).code).toBe(2);
    expect((await fork(id, "--at", "1", "--event", "cancel")).code).toBe(2);
    const early = await fork(id, "--at", "1", "--event", '{"type":"cancel","at":"2020-01-01T00:00:00Z"}');
    expect([early.code, early.stderr]).toEqual([2, expect.stringContaining("is before version 1")]);
    expect((await becalm(["show", id, "--at", "yesterday-ish", ...store])).code).toBe(2);
  });
});
