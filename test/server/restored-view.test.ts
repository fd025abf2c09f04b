import { describe, expect, test } from "vitest";
import { memoryStore } from "../../src/stores/memory/memory-store.ts";
import type { Store } from "../../src/stores/store.ts";
import { send, sendJson } from "../support/http-client.ts";
import { serverWorld } from "../support/server-world.ts";

type Shown = { labels: { host: string }; startsAt: string; endsAt: string; annotations: object; generatorURL?: string };

function kept(store: Store): Store {
  return new Proxy(store, {
    get: (of, name) => {
      if (name === "close") return async () => {};
      const value: unknown = Reflect.get(of, name, of);
      return typeof value === "function" ? value.bind(of) : value;
    },
  });
}

describe("the alerts that fire, after a restart", () => {
  test("are shown before anybody sends them again: those that fire still, as they were; a re-sending is newer", async () => {
    const store = kept(memoryStore());
    const first = await serverWorld({ store });
    const startsAt = new Date(Date.now() - 60_000).toISOString();
    const endsAt = new Date(Date.now() + 600_000).toISOString();
    const alert = (host: string, more = {}) => ({
      labels: { host },
      startsAt,
      endsAt,
      annotations: { a: "b" },
      generatorURL: "http://p/graph",
      ...more,
    });
    await sendJson(
      `${first.url}/api/v2/alerts`,
      ["a", "b", "c", "d"].map((host) => alert(host)),
    );
    await sendJson(`${first.url}/api/v2/alerts`, [alert("c", { endsAt: startsAt })]);
    await sendJson(`${first.url}/api/v2/alerts`, [alert("b", { endsAt: new Date(Date.now() - 1_000).toISOString() })]);
    const list = async (url: string) =>
      ((await send(`${url}/api/v2/alerts`)).json as Shown[]).map(
        ({ labels, startsAt: from, endsAt: to, annotations, generatorURL }) => ({
          labels,
          from,
          to,
          annotations,
          generatorURL,
        }),
      );
    const before = await list(first.url);
    expect(before.map(({ labels }) => labels.host).sort((x, y) => x.localeCompare(y))).toEqual(["a", "d"]);
    await first.close();
    const second = await serverWorld({ store });
    await sendJson(`${second.url}/api/v2/alerts`, [alert("d", { annotations: { a: "newer" } })]);
    await expect.poll(async () => (await list(second.url)).length).toBe(2);
    const after = await list(second.url);
    expect(after.find(({ labels }) => labels.host === "a")).toEqual(before.find(({ labels }) => labels.host === "a"));
    expect(after.find(({ labels }) => labels.host === "d")?.annotations).toEqual({ a: "newer" });
    await second.close();
  });
});
