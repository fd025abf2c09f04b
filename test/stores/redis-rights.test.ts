/** What a user of the server may do, and what happens when that is too little: nothing is written in part. */
import { readdirSync, readFileSync } from "node:fs";
import { Redis } from "ioredis";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { redisStore } from "../../src/stores/redis/redis-store.ts";
import { requiredCommands } from "../../src/stores/redis/rights.ts";
import { scriptCommands } from "../../src/stores/redis/scripts.ts";
import type { Commit, Store } from "../../src/stores/store.ts";
import { commitOf, effectOf, groupOf, newInstance, timerOf } from "../contract/store-fixtures.ts";
import { useRedis } from "../support/redis-server.ts";

const server = useRedis();
let raw: Redis;

beforeEach(async () => {
  await server.flush();
  raw = new Redis(server.url);
});
afterEach(async () => {
  await raw.acl("DELUSER", "worker");
  raw.disconnect();
});

const LIMITED = ["~*", "&*", "+@read", "+@write", "+@scripting", "+@connection"];

async function grant(...rules: string[]): Promise<void> {
  await raw.acl("SETUSER", "worker", "reset", "on", ">secret", ...rules);
}

function storeOfWorker(): Store {
  const store = redisStore(`redis://worker:secret@127.0.0.1:${server.port}`);
  onTestFinished(() => store.close());
  return store;
}

const full: Partial<Commit> = {
  instances: [newInstance("00-a")],
  group: groupOf(0),
  effects: [effectOf("e1")],
  effectClaimMs: 30_000,
  timersArmed: [timerOf("00-a", 5), timerOf("00-a", 6, { lane: "approval" })],
  membersAdded: [{ set: "waiters", instanceId: "00-a", order: 1 }],
};

async function bytesOfAllKeys(): Promise<Record<string, string>> {
  const keys = (await raw.keys("*")).sort();
  const values = await Promise.all(keys.map(async (key) => (await raw.dumpBuffer(key))?.toString("hex") ?? ""));
  return Object.fromEntries(keys.map((key, index) => [key, values[index] as string]));
}

describe("a user that lacks a right", () => {
  test("has a commit refused as a whole, also when the right is taken away while the store is open", async () => {
    await grant("~*", "&*", "+@all");
    const store = storeOfWorker();
    await store.open({ mode: "live", partitions: 4 });
    await store.commit(commitOf());
    await grant(...LIMITED);
    const before = await bytesOfAllKeys();
    await expect(store.commit(commitOf(full))).rejects.toMatchObject({ code: "BECALM_STORE_FORBIDDEN" });
    expect(await bytesOfAllKeys()).toEqual(before);
  });

  test.each(requiredCommands("writing"))(
    "%s is told so when it opens a namespace, and nothing is written",
    async (command) => {
      await grant("~*", "&*", "+@all", `-${command}`);
      await expect(storeOfWorker().open({ mode: "live", partitions: 4 })).rejects.toMatchObject({
        code: "BECALM_STORE_FORBIDDEN",
        message: expect.stringMatching(new RegExp(command, "i")),
      });
      expect(await raw.dbsize()).toBe(0);
    },
  );

  test("is told every command that is missing, and how to grant them", async () => {
    await grant("~*", "&*", "+@all", "-time", "-zrem");
    await expect(storeOfWorker().open({ mode: "live", partitions: 4 })).rejects.toThrow(
      "may not run TIME, ZREM. Grant it: ACL SETUSER <user> +time +zrem.",
    );
  });

  test("can look at a namespace when it may do what reading needs", async () => {
    await grant("~*", "&*", "+@all");
    await storeOfWorker().open({ mode: "live", partitions: 4 });
    await grant("~*", ...rules("reading"));
    const store = storeOfWorker();
    expect(await store.open({})).toMatchObject({ mode: "live" });
    expect((await store.list({ limit: 1 })).instances).toEqual([]);
    expect(await store.unclaimedEffects(0)).toEqual([]);
    await expect(store.commit(commitOf(full))).rejects.toMatchObject({ code: "BECALM_STORE_FORBIDDEN" });
  });
});

function rules(use: "reading" | "writing"): string[] {
  return requiredCommands(use).map((command) => `+${command.toLowerCase()}`);
}

describe("the rights that are documented", () => {
  const page = readFileSync(new URL("../../docs/operating.md", import.meta.url), "utf8");

  test.each(["reading", "writing"] as const)("for %s are those that are checked", (use) => {
    expect(page).toContain(rules(use).join(" "));
  });

  test("hold all that a script calls: each names its commands in its head", () => {
    for (const [name, lua] of scriptTexts()) {
      const named = new Set(/^-- Commands:(.*)$/m.exec(lua)?.[1]?.trim().split(" "));
      const body = lua.slice(lua.search(/^[^#-]/m));
      const called = [...body.matchAll(/'([A-Z]{3,})'/g)].map((match) => match[1] as string);
      const unnamed = called.filter((word) => !named.has(word) && !OPTIONS.has(word));
      expect({ name, unnamed }).toEqual({ name, unnamed: [] });
    }
    expect(scriptCommands().writing.size).toBeGreaterThan(20);
  });
});

/** Words of a command that are no commands. */
const OPTIONS = new Set(["BYLEX", "BYSCORE", "LIMIT", "REV", "WITHSCORES", "COUNT"]);

function scriptTexts(): [string, string][] {
  const folder = new URL("../../src/stores/redis/scripts/", import.meta.url);
  return readdirSync(folder).map((file) => [file, readFileSync(new URL(file, folder), "utf8")]);
}
