/** What somebody with access to the store may do to it, and `audit verify` and `show` find. */
import { join } from "node:path";
import { Redis } from "ioredis";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { createEngine } from "../../src/engine.ts";
import { fingerprintOf } from "../../src/model/fingerprint.ts";
import { redisKeys } from "../../src/stores/redis/keys.ts";
import { redisStore } from "../../src/stores/redis/redis-store.ts";
import { becalm, type Ended, jsonLines, ROOT } from "../support/command.ts";
import { alertOf, idsOf, policyOf } from "../support/engine-world.ts";
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

/** Three alerts of each kind for each host: the first runs, and goes on running; the others come to what its rule says. */
async function left(hosts: readonly string[]): Promise<(kind: string, host: string) => readonly string[]> {
  const rules = {
    Mutex: { function: "wait_when_proceed" },
    Ask: { function: "defense", count: 1 },
    Cap: { function: "skip_when_exceed", count: 2 },
    Sum: { function: "collect_alarm", count: 1 },
    Form: { function: "skip_when_success", count: 5 },
  };
  const policies = Object.entries(rules).map(([name, rule]) =>
    policyOf({ count: 1, ...rule }, { name: name.toLowerCase(), match: [`alertname="${name}"`] }),
  );
  const own = redisStore(redis.url);
  const engine = createEngine({ policies, handlers: { act: () => new Promise(() => {}) }, store: own, drainMs: 0 });
  await engine.start();
  const ids = new Map<string, readonly string[]>();
  for (const kind of Object.keys(rules))
    for (const host of hosts) {
      const alerts = ["a", "b", "c"].map((name) =>
        alertOf(name, { host, labels: { alertname: kind }, startsAt: Date.now(), status: undefined }),
      );
      ids.set(`${kind} ${host}`, idsOf(await engine.ingest(alerts)));
    }
  await engine.stop();
  await own.close();
  return (kind, host) => ids.get(`${kind} ${host}`) as string[];
}

type StoredGroup = { held: number; epoch: number; forming: string; open: Record<string, unknown> | null };

describe("audit verify, of what stands beside the trails", () => {
  test("finds each group that its instances do not make, each record that its alert cannot have, and nothing else", async () => {
    await redis.flush();
    const raw = client();
    const idsAt = await left(Array.from({ length: 17 }, (_, index) => `h${index + 1}`));
    const before = await verify();
    expect([before.code, before.stdout]).toEqual([0, expect.stringContaining("✓")]);

    const rows = jsonLines<{ id: string; group: string }>(
      (await becalm(["ls", "--limit", "1000", "--json", ...store()])).stdout,
    );
    const groupOf = new Map(rows.map(({ id, group }) => [id, group]));
    const expected: object[] = [];
    const finds = (named: Record<string, string>, what: RegExp) =>
      expected.push(expect.objectContaining({ ...named, ok: false, what: expect.stringMatching(what) }));
    const at = (kind: string, host: string) => {
      const [a, b] = idsAt(kind, host) as [string, string];
      const partition = Number(a.slice(0, 2));
      return { host, a, b, partition, group: groupOf.get(a) as string };
    };
    type Place = ReturnType<typeof at>;
    const inGroup = async ({ partition, group }: Place, change: (stored: StoredGroup) => object) => {
      const key = keys.group(partition, group);
      const [version = "", ...text] = ((await raw.get(key)) as string).split(" ");
      const stored = JSON.parse(text.join(" ")) as StoredGroup;
      await raw.set(key, `${version} ${JSON.stringify({ ...stored, ...change(stored) })}`);
    };
    const recordOf = async ({ host, partition }: Place) => {
      const own = fingerprintOf({ alertname: "Ask", host, name: "b" });
      const all = Object.entries(await raw.hgetall(keys.episodes(partition)));
      const [field = "", value = ""] = all.find(([name]) => name.startsWith(own)) ?? [];
      return { field, value, set: (text: string) => raw.hset(keys.episodes(partition), field, text) };
    };
    const timersOf = async ({ partition }: Place, lane: "work" | "approval", of: string) => {
      const members = await raw.zrange(keys.timers(partition, lane), "0", "-1");
      const own = members.filter((member) => member.startsWith(of));
      expect(await raw.zrem(keys.timers(partition, lane), ...own)).toBe(own.length);
      expect(own.length).toBe(1);
    };

    const unwoken = at("Mutex", "h1");
    await raw.zrem(keys.members(unwoken.partition, unwoken.group, "waiters"), unwoken.b);
    finds({ group: unwoken.group }, new RegExp(`does not name ${unwoken.b} among those that wait.*nothing wakes it`));

    const passedOver = at("Ask", "h2");
    await raw.zrem(keys.members(passedOver.partition, passedOver.group, "held"), passedOver.b);
    finds({ group: passedOver.group }, new RegExp(`does not name ${passedOver.b} among those that it holds`));

    const stranger = at("Mutex", "h3");
    await raw.zadd(keys.members(stranger.partition, stranger.group, "waiters"), 9, stranger.a);
    finds({ group: stranger.group }, new RegExp(`names ${stranger.a} among those that wait, and that is Processing`));

    const miscounted = at("Ask", "h4");
    await inGroup(miscounted, ({ held }) => ({ held: held - 1 }));
    finds({ group: miscounted.group }, /counts 1 that are held, and there are 2/);

    const freed = at("Mutex", "h5");
    await inGroup(freed, ({ open }) => ({ open: { ...open, running: [], inProgress: 0 } }));
    finds({ group: freed.group }, new RegExp(`does not name ${freed.a} in progress.*another may run beside it`));

    const more = at("Cap", "h6");
    await inGroup(more, ({ open }) => ({ open: { ...open, executed: 1 } }));
    finds({ group: more.group }, /counts 1 executed, and there are 2/);

    const gone = at("Mutex", "h7");
    await raw.del(keys.group(gone.partition, gone.group));
    finds({ group: gone.group }, /is gone, and \S+ is Proceeding in it: nothing wakes it/);

    const other = at("Form", "h8");
    await inGroup(other, ({ forming }) => ({ forming: forming.replace(",P,", ",S,") }));
    finds({ group: other.group }, new RegExp(`counts ${other.a} towards its opening as something else`));

    const forgotten = at("Form", "h9");
    await inGroup(forgotten, () => ({ forming: "" }));
    finds({ group: forgotten.group }, /does not count \S+ towards its opening, and that is Processing/);

    const earlier = at("Cap", "h10");
    await inGroup(earlier, ({ epoch }) => ({ epoch: epoch - 1 }));
    finds({ group: earlier.group }, /was decided in the later formation/);

    const unsent = at("Sum", "h11");
    await timersOf(unsent, "work", `${unsent.group} summary`);
    finds({ group: unsent.group }, /waits for its timer "summary"/);

    const unreadable = at("Ask", "h12");
    await raw.set(keys.group(unreadable.partition, unreadable.group), "3 {");
    finds({ group: unreadable.group }, /cannot be read/);

    const unrecorded = at("Ask", "h13");
    await raw.hdel(keys.episodes(unrecorded.partition), (await recordOf(unrecorded)).field);
    finds({ id: unrecorded.b }, /has no record/);

    const older = at("Ask", "h14");
    const record = await recordOf(older);
    const startMs = Number.parseInt(record.value.slice(1).split(".")[0] as string, 36);
    await record.set(record.value.replace(startMs.toString(36), (startMs - 60_000).toString(36)));
    finds({ id: older.b }, /has an episode of \S+ as the last one, and it is of/);

    const over = at("Ask", "h15");
    const ended = await recordOf(over);
    await ended.set(`a${ended.value.slice(1).split(".")[0]}..zzzz.zzzz`);
    finds({ id: over.b }, /says that it ended at \S+, and nothing has told it/);

    const broken = at("Ask", "h16");
    await (await recordOf(broken)).set("o?");
    finds({ id: broken.b }, /the record of its alert's episodes cannot be read/);

    const unwatched = at("Ask", "h17");
    await timersOf(unwatched, "approval", `${unwatched.b} lease `);
    finds({ id: unwatched.b }, /the lease of its alert runs out at \S+, and no timer is armed/);

    const after = await verify("--json");
    const found = jsonLines(after.stdout).slice(0, -1);
    expect([after.code, found.length]).toEqual([1, expected.length]);
    for (const one of expected) expect(found).toContainEqual(one);
  });
});
