/** What somebody with access to the store may do to it, and `audit verify` and `show` find. */
import { join } from "node:path";
import { Redis } from "ioredis";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { redisKeys } from "../../src/stores/redis/keys.ts";
import { becalm, type Ended, jsonLines, ROOT } from "../support/command.ts";
import { useRedis } from "../support/redis-server.ts";

const redis = useRedis();
const keys = redisKeys({ prefix: "becalm", namespace: "default" }, 16);
const store = () => ["--store", redis.url];
type Listed = { readonly id: string; readonly state: string };

async function run(): Promise<Ended> {
  const [policies, alerts] = [join(ROOT, "demo/policies.yaml"), join(ROOT, "demo/storm.jsonl")];
  return becalm(["run", "--policies", policies, "--alerts", alerts, "--json", ...store()]);
}

async function instances(): Promise<Listed[]> {
  return jsonLines<Listed>((await becalm(["ls", "--limit", "1000", "--json", ...store()])).stdout).filter(
    ({ id }) => id,
  );
}

const keyOf = (id: string) => keys.instance(Number(id.slice(0, 2)), id);
const historyOf = (id: string) => keys.history(Number(id.slice(0, 2)), id);
const verify = (...more: string[]) => becalm(["audit", "verify", ...more, ...store()]);

function client(): Redis {
  const raw = new Redis(redis.url);
  onTestFinished(async () => void (await raw.quit()));
  return raw;
}

describe("audit verify", () => {
  beforeEach(async () => {
    await redis.flush();
    expect((await run()).code).toBe(0);
  });

  test("finds nothing in what the engine wrote, its summaries and requests included", async () => {
    const { code, stdout } = await verify();
    expect([code, stdout]).toEqual([0, expect.stringContaining("every id to its birth")]);
  });

  test("finds two instances whose stored values were swapped, and show says so of each", async () => {
    const raw = client();
    const [one, two] = (await instances()).filter(({ state }) => state === "Skipped").map(({ id }) => id) as [
      string,
      string,
    ];
    for (const [from, to] of [
      [keyOf(one), keyOf(two)],
      [historyOf(one), historyOf(two)],
    ] as const) {
      const [first, second] = await raw.mget(from, to);
      await raw.del(from, to);
      if (second != null) await raw.set(from, second);
      if (first != null) await raw.set(to, first);
    }
    const { code, stdout } = await verify();
    expect([code, stdout.match(/its birth is that of another instance/g)?.length]).toEqual([1, 2]);
    const shown = await becalm(["show", one, ...store()]);
    expect([shown.code, shown.stdout]).toEqual([1, expect.stringContaining("its birth is that of another instance")]);
    const json = jsonLines((await becalm(["show", one, "--json", ...store()])).stdout);
    expect(json).toMatchObject([{ verified: { ok: false, what: expect.stringContaining("another instance") } }]);
  });

  test("finds a policy version whose text was changed", async () => {
    const raw = client();
    const [[key, text] = ["", ""]] = Object.entries(await raw.hgetall("becalm:default:policies"));
    await raw.hset("becalm:default:policies", key, text.replace('"windowMs":', '"windowMs":1'));
    const { code, stdout } = await verify();
    expect([code, stdout]).toEqual([
      1,
      expect.stringMatching(new RegExp(`policy ${key} was changed: its text makes `)),
    ]);
  });

  test("finds a policy version that is gone, and one that is none, and names the instances' number", async () => {
    const raw = client();
    const [[key] = [""]] = Object.entries(await raw.hgetall("becalm:default:policies"));
    await raw.hdel("becalm:default:policies", key);
    await raw.hset("becalm:default:policies", "other@0123456789abcdef", "{}");
    const { code, stdout } = await verify();
    expect([code, stdout]).toEqual([
      1,
      expect.stringMatching(new RegExp(`policy ${key} is gone: \\d+ of the instances`)),
    ]);
    expect(stdout).toContain("policy other@0123456789abcdef was changed");
  });

  test("finds an instance that the list of its state hides, a timer that was moved, another place and another version", async () => {
    const raw = client();
    const waiting = (await instances()).filter(({ state }) => state === "Waiting").map(({ id }) => id);
    const [hidden, early, raised] = waiting as [string, string, string];
    const partition = (id: string) => Number(id.slice(0, 2));
    const open = keys.open(partition(hidden));
    const rows = (await raw.zrange(open, "0", "-1")).filter((row) => row.includes(hidden));
    expect(await raw.zrem(open, ...rows)).toBe(1);
    const timers = keys.timers(partition(early), "approval");
    const [timer = ""] = (await raw.zrange(timers, "0", "-1")).filter((row) => row.startsWith(`${early} approval `));
    await raw.zadd(timers, 1_000, timer);
    const stored = (await raw.get(keyOf(raised))) as string;
    await raw.set(keyOf(raised), stored.replace(/^\d+ /, "7 "));
    const oldest = (await instances()).at(-1)?.id as string;
    await raw.zadd(keys.created(partition(oldest)), Date.parse("2030-01-01T00:00:00Z"), oldest);
    const { code, stdout } = await verify();
    expect(code).toBe(1);
    expect(stdout).toContain(`${hidden} is Waiting, and the list of that state does not name it`);
    expect(stdout).toMatch(new RegExp(`${early}: .* which the store has at 1970-01-01T00:00:01.000Z: it was moved`));
    expect(stdout).toMatch(
      new RegExp(`${raised}: line \\d+ .* led to version \\d, and the instance is stored as version 7`),
    );
    expect(stdout).toContain(`is listed behind ${oldest}, which is older`);
  });

  test("finds an instance whose key is gone, and one that no list names", async () => {
    const raw = client();
    const [gone, hidden] = (await instances()).map(({ id }) => id) as [string, string];
    await raw.del(keyOf(gone));
    await raw.zrem(keys.created(Number(hidden.slice(0, 2))), hidden);
    const { code, stdout } = await verify("--json");
    expect(code).toBe(1);
    expect(jsonLines(stdout)).toEqual(
      expect.arrayContaining([
        { id: gone, ok: false, what: expect.stringContaining("is not there") },
        { id: hidden, ok: false, what: expect.stringContaining("no list names it") },
      ]),
    );
  });
});
