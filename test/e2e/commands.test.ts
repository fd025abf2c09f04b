import { spawnSync } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { PolicyDocument } from "../../src/index.ts";
import { becalm, COMMAND, type Ended, jsonLines, ROOT, startBecalm, useFiles } from "../support/command.ts";
import { useRedis } from "../support/redis-server.ts";

// Some tests start the command twenty times, and it may have to be compiled each time.

const STORM = join(ROOT, "demo/storm.jsonl");
const POLICIES = join(ROOT, "demo/policies.yaml");
const WHO = ["--by", "ann", "--why", "looked at it"];
const UNKNOWN_IDS = ["00-000000000000000000000000", "99-000000000000000000000000", "00-0000000000", "99-0", "00", ""];

const redis = useRedis();
const file = useFiles();
let client: Redis;

/** A storm of its own for each group of tests, so that what one does to it does not disturb the others. */
async function storm(namespace: string): Promise<(...args: string[]) => Promise<Ended>> {
  const where = ["--store", redis.url, "--namespace", namespace];
  const { code } = await becalm(["run", "--execute", "--policies", POLICIES, "--alerts", STORM, "--quiet", ...where]);
  expect(code).toBe(0);
  return (...args) => becalm([...args, ...where]);
}

type Row = {
  readonly id: string;
  readonly state: string;
  readonly policy: string;
  readonly group: string;
  readonly createdAt: string;
};

function idsOf({ stdout }: Ended): string[] {
  return jsonLines<Partial<Row>>(stdout).flatMap(({ id }) => id ?? []);
}

/** An instance as Redis has it: checkpoint, lines of the first commit, and lines since. */
type Stored = { readonly key: string; readonly text: string; readonly history: string | null };

async function storedOf(namespace: string, id: string): Promise<Stored> {
  const keys = await client.keys(`*:${namespace}:i:${id}`);
  expect(keys).toHaveLength(1);
  const key = keys[0] as string;
  return { key, text: (await client.get(key)) as string, history: await client.get(historyKey(key)) };
}

async function keysHolding(end: string, owner: string): Promise<string[]> {
  const keys = await client.keys(`*:audit:${end}`);
  const found = await Promise.all(
    keys.map(async (key) => ((await client.zrange(key, "0", "-1")).some((row) => row.startsWith(owner)) ? [key] : [])),
  );
  return found.flat();
}

const historyKey = (key: string) => key.replace(":i:", ":h:");

function linesOf({ text, history }: Stored): string[] {
  return [...text.split("\n").slice(1), ...(history?.trimEnd().split("\n") ?? [])];
}

/** What `act` finds when an instance's checkpoint and lines were changed behind Becalm's back; put back afterwards. */
async function tampered(
  { key, text, history }: Stored,
  { checkpoint = text.split("\n")[0], lines }: { checkpoint?: string | undefined; lines: readonly string[] },
  act: () => Promise<Ended>,
): Promise<Ended> {
  await client.set(key, [checkpoint, ...lines].join("\n"));
  await client.del(historyKey(key));
  try {
    return await act();
  } finally {
    await client.set(key, text);
    if (history !== null) await client.set(historyKey(key), history);
  }
}

beforeAll(() => {
  client = new Redis(redis.url);
});

afterAll(() => client.disconnect());

describe("ls", () => {
  let at: (...args: string[]) => Promise<Ended>;

  beforeAll(async () => {
    at = await storm("ls");
  });

  test("lists newest first, a page at a time, each instance once", async () => {
    const seen: Row[] = [];
    let cursor: string[] = [];
    let pages = 0;
    for (;;) {
      const lines = jsonLines<Row & { next?: string }>((await at("ls", "--json", "--limit", "60", ...cursor)).stdout);
      seen.push(...lines.filter(({ id }) => id !== undefined));
      pages += 1;
      const next = lines.at(-1)?.next;
      if (next === undefined) break;
      cursor = ["--cursor", next];
    }
    expect(pages).toBeGreaterThan(5);
    expect(new Set(seen.map(({ id }) => id)).size).toBe(seen.length);
    const times = seen.map(({ createdAt }) => createdAt);
    expect(times).toEqual(times.toSorted().toReversed());
  });

  test("gives 100 a page and tells people how to go on", async () => {
    const { stdout, stderr } = await at("ls");
    expect(stdout.trimEnd().split("\n")).toHaveLength(101);
    expect(stderr).toMatch(/There are more: --cursor \S+/);
  });

  test("filters by state, policy and group", async () => {
    const rows = jsonLines<Row>((await at("ls", "--json", "--state", "Waiting", "--policy", "restart-host")).stdout);
    expect(rows).toHaveLength(45);
    expect(rows.every(({ state, policy }) => state === "Waiting" && policy === "restart-host")).toBe(true);
    const group = rows[0]?.group as string;
    const ofGroup = jsonLines<Row>((await at("ls", "--json", "--group", group)).stdout);
    expect(ofGroup.length).toBeGreaterThan(0);
    expect(ofGroup.every((row) => row.group === group)).toBe(true);
  });

  test("names the nearest policy if there is none of the name that was given", async () => {
    const { code, stdout, stderr } = await at("ls", "--json", "--policy", "restrt-host");
    expect(code).toBe(0);
    expect(stdout).toBe("");
    expect(stderr).toMatch(
      /^--policy: unknown policy "restrt-host"\. Did you mean "restart-host"\? There are .*shed-load/,
    );
  });

  test("finds rare ones among many, in pages of any size, each once", async () => {
    const all = idsOf(await at("ls", "--json", "--policy", "shed-load", "--limit", "1000"));
    expect(all).toHaveLength(40);
    for (const limit of ["1", "7", "39"]) {
      const seen: string[] = [];
      for (let cursor: string[] | null = []; cursor !== null && seen.length < 15; ) {
        const page = await at("ls", "--json", "--policy", "shed-load", "--limit", limit, ...cursor);
        seen.push(...idsOf(page));
        const next = jsonLines<{ next?: string }>(page.stdout).at(-1)?.next;
        cursor = next === undefined ? null : ["--cursor", next];
      }
      expect(seen).toEqual(all.slice(0, seen.length));
    }
  });

  test("takes a time or how long ago, counted from the time that the namespace has reached", async () => {
    const all = jsonLines<Row>((await at("ls", "--json", "--limit", "1000")).stdout);
    const { createdAt } = all[30] as Row;
    const sinceTime = idsOf(await at("ls", "--json", "--limit", "1000", "--since", createdAt));
    expect(sinceTime).toEqual(all.filter((row) => row.createdAt >= createdAt).map(({ id }) => id));
    // The run ended with the summary, the newest of all.
    const ago = Date.parse(all[0]?.createdAt as string) - Date.parse(createdAt);
    expect(idsOf(await at("ls", "--json", "--limit", "1000", "--since", `${ago}ms`))).toEqual(sinceTime);
    const wrong = await at("ls", "--since", "yesterday");
    expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining("Write it as 24h or 2026-")]);
  });

  test("refuses a state that there is not, and names those that there are", async () => {
    const { code, stderr } = await at("ls", "--state", "Wating");
    expect(code).toBe(2);
    expect(stderr).toContain("Did you mean Waiting?");
    expect(stderr).toContain("Idle, Processing, Proceeding, Success, Failed, Defense, Waiting, Skipped");
  });

  test("refuses a cursor that no page gave, and a limit that is none", async () => {
    expect((await at("ls", "--cursor", "nonsense")).code).toBe(2);
    expect((await at("ls", "--limit", "0")).code).toBe(2);
    expect((await at("ls", "--limit", "many")).code).toBe(2);
  });
});

describe("show and replay", () => {
  let at: (...args: string[]) => Promise<Ended>;
  let skipped: string;

  beforeAll(async () => {
    at = await storm("show");
    const rows = jsonLines<Row & { reason?: string }>((await at("ls", "--json", "--limit", "1000")).stdout);
    skipped = rows.find(({ reason }) => reason === "limit_reached")?.id as string;
  });

  test("explain a converged instance with the seed's sentence, its peers and what would have changed it", async () => {
    const { code, stdout } = await at("show", skipped, "--lang", "zh");
    expect(code).toBe(0);
    expect(stdout).toContain("套餐【shed-load】已收敛， 收敛原因：");
    expect((await at("show", skipped)).stdout).toContain("would have run with count >= 4");
  });

  test("say of what the engine sent that it was sent, and not that no rule governs it", async () => {
    const rows = jsonLines<Row & { kind: string }>((await at("ls", "--json", "--limit", "1000")).stdout);
    const { stdout } = await at("show", rows.find(({ kind }) => kind === "summary")?.id as string);
    expect(stdout).toContain("Success: it was sent");
    expect(stdout).not.toContain("rule governs");
  });

  test("say of what a simulation did not send that it was not sent", async () => {
    const where = ["--store", redis.url, "--namespace", "show-simulated"];
    await becalm(["run", "--policies", POLICIES, "--alerts", STORM, "--quiet", ...where]);
    const rows = jsonLines<Row & { kind: string }>(
      (await becalm(["ls", "--json", "--limit", "1000", ...where])).stdout,
    );
    const { stdout } = await becalm(["show", rows.find(({ kind }) => kind === "summary")?.id as string, ...where]);
    expect(stdout).toContain("Success: it was not sent, a simulation sends nothing");
    expect(stdout).not.toContain("it was sent");
  });

  test("give as JSON the alert, the path and the entries with sentences, observation, actor and hashes", async () => {
    const [shown] = jsonLines<{ alert: { labels: object }; path: string[]; entries: Record<string, unknown>[] }>(
      (await at("show", skipped, "--json")).stdout,
    );
    expect(shown?.path).toEqual(["Idle", "Skipped"]);
    expect(shown?.alert.labels).toHaveProperty("alertname", "HighErrorRate");
    expect(shown?.entries[0]).toMatchObject({ actor: "becalm", verdict: "skip", observation: { executed: 3 } });
    expect(shown?.entries[0]?.["sentence"]).toHaveProperty("zh");
  });

  test("replay every checkpoint of an instance to the same hash", async () => {
    const { code, stdout } = await at("replay", skipped);
    expect(code).toBe(0);
    expect(stdout).toContain("✓");
    expect(stdout).not.toContain("✗");
    const lines = jsonLines<{ summary?: object }>((await at("replay", skipped, "--json")).stdout);
    expect(lines.at(-1)?.summary).toMatchObject({ equal: true, chain: true });
  });

  test("replay fails with 1 at a history that was changed, even when its chain was made whole again", async () => {
    const stored = await storedOf("show", skipped);
    const lines = linesOf(stored).map((line) => line.replace('"executed":3', '"executed":2'));
    const changed = await tampered(stored, { lines }, () => at("replay", skipped));
    expect(changed.code).toBe(1);
    expect(changed.stdout).toContain("✗");
    expect(changed.stderr).toContain("BECALM_HISTORY_BROKEN");
  });

  test("take the beginning of an id wherever one is typed, and name the whole one", async () => {
    const typed = skipped.slice(0, 12);
    const drawn = await at("inspect", typed, "--format", "mermaid");
    expect(drawn.stdout).toContain(`${skipped} is Skipped`);
    expect((await at("show", typed)).stdout).toContain(skipped);
    const replayed = jsonLines<{ summary?: object }>((await at("replay", typed, "--json")).stdout);
    expect(replayed.at(-1)?.summary).toMatchObject({ id: skipped, equal: true });
    expect((await at("audit", "verify", typed)).stdout).toContain("1 instance,");
    expect((await at("export", typed, "--out", "-")).stdout).toContain(`"id":"${skipped}"`);
    const forked = await at("fork", typed, "--at", "1", "--event", '{"type":"start"}');
    expect([forked.code, forked.stderr]).toEqual([0, ""]);
  });

  test("refuse the beginning of several ids with 2, and name ten of them at most", async () => {
    const ids = idsOf(await at("ls", "--json", "--limit", "1000")).filter((id) => id.startsWith(skipped.slice(0, 3)));
    const digits = [...new Set(ids.map((id) => id.slice(0, 4)))];
    const shared = digits.find((start) => ids.filter((id) => id.startsWith(start)).length > 1) as string;
    const { code, stderr } = await at("show", shared);
    expect(code).toBe(2);
    const named = stderr.match(/^ {2}\d\d-[0-9a-f]{24}$/gm) ?? [];
    expect(named.length).toBeGreaterThan(1);
    expect(named.length).toBeLessThanOrEqual(10);
    expect(named.every((line) => line.trim().startsWith(shared))).toBe(true);
  });

  test("end with 3 for an id that there is not, whatever it looks like", async () => {
    for (const id of [...UNKNOWN_IDS, "nonsense", "../../etc/passwd"]) {
      const { code, stderr } = await at("show", id);
      expect(code).toBe(3);
      expect(stderr).toContain("BECALM_NOT_FOUND");
    }
    expect((await at("replay", "nonsense")).code).toBe(3);
  });
});

describe("what people do", () => {
  let at: (...args: string[]) => Promise<Ended>;
  let waiting: Row[];

  beforeAll(async () => {
    at = await storm("act");
    waiting = jsonLines<Row>((await at("ls", "--json", "--state", "Waiting")).stdout);
  });

  const next = () => (waiting.shift() as Row).id;

  test("an approval is committed, the next run takes its effect, and its output shows it", async () => {
    const id = next();
    const approved = await at("approve", id, ...WHO);
    expect(approved.code).toBe(0);
    expect(approved.stdout).toContain("the next `becalm run --execute` on this namespace");
    expect(jsonLines((await at("show", id, "--json")).stdout)[0]).toMatchObject({ state: "Processing", attempts: 1 });
    const { stdout } = await at("run", "--execute", "--policies", POLICIES, "--alerts", STORM, "--json");
    expect(jsonLines<Row>(stdout).find((row) => row.id === id)).toMatchObject({
      state: "Success",
      path: ["Idle", "Defense", "Waiting", "Idle", "Processing", "Success"],
      attempts: 1,
      reason: "approved",
    });
  });

  test("an approval with --run runs the action at once, and says so", async () => {
    const id = next();
    const { stdout } = await at("approve", id, ...WHO, "--run");
    expect(stdout).toContain("The action that followed ran here and now.");
    const [shown] = jsonLines<{ state: string; entries: { actor: string }[] }>((await at("show", id, "--json")).stdout);
    expect(shown?.state).toBe("Success");
    expect(shown?.entries.map(({ actor }) => actor)).toContain("ann");
  });

  test("a denial skips, and a second answer is refused with 4", async () => {
    const id = next();
    expect((await at("deny", id, ...WHO)).stdout).toContain("Skipped");
    const again = await at("approve", id, ...WHO);
    expect(again.code).toBe(4);
    expect(again.stderr).toMatch(/BECALM_EVENT_REFUSED: .* it is Skipped\. It accepts start, end\./);
    expect(again.stderr).toMatch(/ann denied it at \d{4}-\d\d-\d\dT\S+Z \(".+"\), and it is Skipped/);
    expect((await at("show", id)).stdout).toMatch(/accepts +start, end/);
  });

  test("an answer for a group decides all that it holds", async () => {
    const { group } = waiting.at(-1) as Row;
    const held = waiting.filter((row) => row.group === group).length;
    const { stdout } = await at("deny", "--group", group, ...WHO, "--json");
    expect(jsonLines(stdout)).toHaveLength(held);
    expect((await at("deny", "--group", group, ...WHO)).code).toBe(3);
    waiting = waiting.filter((row) => row.group !== group);
  });

  test("run anyway, cancel and end are sent by name", async () => {
    const id = next();
    expect((await at("send", id, "cancel", ...WHO)).stdout).toContain("Skipped");
    expect((await at("send", id, "end", ...WHO)).stdout).toContain("Idle");
    expect((await at("send", id, "start", ...WHO, "--run")).stdout).toContain("Success");
    expect((await at("send", id, "cancel", ...WHO)).code).toBe(4);
  });

  test("without a name, a reason or a known event is refused with 2 and writes nothing", async () => {
    const { id } = waiting[0] as Row;
    for (const args of [
      ["approve", id, "--by", "ann"],
      ["approve", id, "--why", "so"],
      ["approve", ...WHO],
      ["approve", id, "--group", "g", ...WHO],
      ["send", id, "aproval.granted", ...WHO],
      ["send", id, "effect.done", ...WHO],
    ]) {
      expect((await at(...args)).code).toBe(2);
    }
    expect(jsonLines((await at("show", id, "--json")).stdout)[0]).toMatchObject({ state: "Waiting", version: 1 });
  });

  test("to an id that there is not ends with 3", async () => {
    expect((await at("approve", "00-000000000000000000000000", ...WHO)).code).toBe(3);
    expect((await at("send", "nonsense", "cancel", ...WHO)).code).toBe(3);
  });

  test("in a live namespace is dated now, and run by this process when it is asked to", async () => {
    const { ids, where } = await liveStorm("live", HELD);
    const [, one, two] = ids;
    expect((await becalm(["approve", one, ...WHO, ...where])).stdout).toContain("the next engine that is up");
    expect((await becalm(["approve", two, ...WHO, "--run", ...where])).stdout).toContain("here and now");
    expect(jsonLines((await becalm(["show", two, "--json", ...where])).stdout)[0]).toMatchObject({ state: "Success" });
    expect((await becalm(["audit", "verify", ...where])).code).toBe(0);
  });

  test("that several people must give says how many are missing, and one person is one however the name is spelt", async () => {
    const { ids, where } = await liveStorm("several", { ...HELD, approval: { quorum: 2 } });
    const [, id] = ids;
    const grant = (by: string) => becalm(["approve", id, "--by", by, "--why", "seen", ...where]);
    expect((await grant("ann")).stdout).toContain("The grant was counted; the approval needs 1 more person.");
    const again = await grant(" Ann");
    expect([again.code, again.stderr]).toEqual([
      4,
      expect.stringContaining("Ann has granted it already, and it needs"),
    ]);
    expect((await grant("bob")).stdout).toContain("The approval was granted.");
  });

  test("is not run by a process that could not ask for the approval behind it, and then nothing is done", async () => {
    const { ids, where } = await liveStorm("asks", { ...HELD, approval: { notify: { exec: { command: ["true"] } } } });
    const [, one] = ids;
    const refused = await becalm(["approve", one, ...WHO, "--run", ...where]);
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining("BECALM_EFFECT_FORBIDDEN")]);
    expect(jsonLines((await becalm(["show", one, "--json", ...where])).stdout)[0]).toMatchObject({ state: "Waiting" });
    expect((await becalm(["approve", one, ...WHO, "--run", "--allow-exec", ...where])).code).toBe(0);
  });

  test("tells of an action that follows for another instance: one that has waited for its peer", async () => {
    const converge = { ...HELD.converge, function: "wait_when_proceed" };
    const action = { handler: { name: "fail" } };
    const { ids, where } = await liveStorm("wakes", { ...HELD, action, converge, retry: { limit: 1, delay: "1h" } });
    const { stdout } = await becalm(["send", ids[0], "cancel", ...WHO, "--json", ...where]);
    expect(jsonLines(stdout)).toMatchObject([{ id: ids[0], state: "Failed", action: "pending" }]);
  });
});

const HELD = {
  name: "held",
  match: [],
  action: { log: {} },
  converge: { function: "defense", by: ["cluster"], count: 1, window: "5m" },
};

/** Three alerts of one cluster, the second and third sent when the first one's attempt has ended, and an engine that was stopped behind them. */
async function liveStorm(
  namespace: string,
  policy: object,
): Promise<{ ids: [string, string, string]; where: string[] }> {
  const { createEngine, redisStore } = await import("../../src/index.ts");
  const store = redisStore(redis.url, { namespace });
  const fail = () => {
    throw new Error("it fails");
  };
  const engine = createEngine({ policies: [policy as PolicyDocument], store, allowExec: true, handlers: { fail } });
  await engine.start();
  const alert = (host: string) => ({
    labels: { alertname: "A", cluster: "a", host },
    startsAt: new Date().toISOString(),
  });
  const first = await engine.ingest([alert("1")]);
  const id = first.instances[0]?.id as string;
  await engine.get(id).waitFor(({ state }) => state === "Success" || state === "Failed");
  const { instances } = await engine.ingest([alert("2"), alert("3")]);
  await engine.stop();
  await store.close();
  const ids = [id, ...instances.map((instance) => instance.id)] as [string, string, string];
  return { ids, where: ["--store", redis.url, "--namespace", namespace] };
}

describe("audit verify", () => {
  let at: (...args: string[]) => Promise<Ended>;
  /** Birth and four entries or more. */
  let id: string;
  let stored: Stored;
  let lines: string[];

  beforeAll(async () => {
    at = await storm("audit");
    id = jsonLines<Row>((await at("ls", "--json", "--state", "Waiting")).stdout)[0]?.id as string;
    await at("approve", id, ...WHO, "--run");
    stored = await storedOf("audit", id);
    lines = linesOf(stored);
    expect(lines.length).toBeGreaterThanOrEqual(5);
  });

  const verifyWith = (changed: readonly string[]) => tampered(stored, { lines: changed }, () => at("audit", "verify"));

  test("passes over a storm that nobody touched", async () => {
    const { code, stdout } = await at("audit", "verify", "--json");
    expect(code).toBe(0);
    expect(jsonLines(stdout)).toEqual([
      { summary: { instances: expect.any(Number), entries: expect.any(Number), broken: 0 } },
    ]);
  });

  test("finds a changed line wherever it stands, and names the instance", async () => {
    for (const index of lines.keys()) {
      const changed = lines.map((line, at) => (at === index ? line.replace(/"(\w)(\w*)":/, '"$1x":') : line));
      const { code, stdout } = await verifyWith(changed);
      expect(code).toBe(1);
      expect(stdout).toContain(`✗ ${id}: line `);
      expect(stdout).toContain("1 of ");
    }
  });

  test("finds a missing line wherever it stood, the last one too", async () => {
    for (const index of lines.keys()) {
      const { code, stdout } = await verifyWith(lines.toSpliced(index, 1));
      expect(code).toBe(1);
      expect(stdout).toContain(id);
    }
    expect((await verifyWith([...lines, lines.at(-1) as string])).code).toBe(1);
  });

  test("finds lines that changed places, and says so", async () => {
    for (const index of lines.slice(1).keys()) {
      const swapped = lines.toSpliced(index, 2, lines[index + 1] as string, lines[index] as string);
      const { code, stdout } = await verifyWith(swapped);
      expect(code).toBe(1);
      expect(stdout).toContain("the order was changed");
    }
  });

  test("finds a checkpoint that the trail does not lead to, and a history that is gone", async () => {
    const checkpoint = stored.text.split("\n")[0]?.replace('"state":"Success"', '"state":"Skipped"');
    const changed = await tampered(stored, { checkpoint, lines }, () => at("audit", "verify", id));
    expect(changed.code).toBe(1);
    expect(changed.stdout).toContain("another checkpoint");
    const gone = await tampered(stored, { lines: [] }, () => at("audit", "verify", id));
    expect(gone.code).toBe(1);
    expect(gone.stdout).toContain("missing");
  });

  test("finds an instance whose timer is gone, and an effect that nobody can claim", async () => {
    const waiting = jsonLines<Row>((await at("ls", "--json", "--state", "Waiting")).stdout)[0]?.id as string;
    const [timers = ""] = await keysHolding("timers:approval", waiting);
    const member = (await client.zrange(timers, "0", "-1")).find(
      (row) => row.startsWith(waiting) && row.includes("approval"),
    ) as string;
    const dueAtMs = await client.zscore(timers, member);
    const effects = timers.replace("timers:approval", "effects");
    await client.zrem(timers, member);
    await client.hset(effects, `${waiting}:9:0`, " {}");
    const { code, stdout } = await at("audit", "verify");
    await client.zadd(timers, dueAtMs as string, member);
    await client.hdel(effects, `${waiting}:9:0`);
    expect(code).toBe(1);
    expect(stdout).toMatch(
      new RegExp(`✗ ${waiting}: is in Waiting until its timer "approval" of \\S+Z, which the store`),
    );
    expect(stdout).toContain(`✗ effect ${waiting}:9:0 is in the outbox without a claim`);
    expect((await at("audit", "verify")).code).toBe(0);
  });

  test("checks the instances that it is given, and ends with 3 for one that there is not", async () => {
    expect((await at("audit", "verify", id)).stdout).toContain("✓ 1 instance,");
    expect((await at("audit", "verify", "nonsense")).code).toBe(3);
    expect((await at("audit", "verfy")).code).toBe(2);
  });
});

describe("a checkpoint that cannot be read", () => {
  const damages: readonly [what: string, code: string, damage: (value: string) => string][] = [
    [
      "of another machine",
      "BECALM_CHECKPOINT_UNKNOWN_MACHINE",
      (value) => value.replace("action-instance@", "toaster@"),
    ],
    [
      "of a newer version",
      "BECALM_CHECKPOINT_NEWER",
      (value) => value.replace("action-instance@1/", "action-instance@9/"),
    ],
    [
      "with an unknown state",
      "BECALM_CHECKPOINT_INVALID",
      (value) => value.replace('"state":"Waiting"', '"state":"Dreaming"'),
    ],
    ["of garbage", "BECALM_CHECKPOINT_INVALID", (value) => value.replace(/^.*/, "1 garbage")],
  ];

  test("is listed with its error, shown as it is, never written over, and stops no command", async () => {
    const at = await storm("quarantine");
    const ids = idsOf(await at("ls", "--json", "--state", "Waiting")).slice(0, damages.length);
    const values = new Map<string, string>();
    for (const [index, [, , damage]] of damages.entries()) {
      const { key, text } = await storedOf("quarantine", ids[index] as string);
      const value = damage(text);
      values.set(key, value);
      await client.set(key, value);
    }
    const listed = jsonLines<{ id: string; code: string }>((await at("ls", "--quarantined", "--json")).stdout);
    expect(new Map(listed.map(({ id, code }) => [id, code]))).toEqual(
      new Map(damages.map(([, code], index) => [ids[index] as string, code])),
    );
    for (const [index, [, code]] of damages.entries()) {
      const id = ids[index] as string;
      const shown = await at("show", id);
      expect(shown.code).toBe(0);
      expect(shown.stdout).toContain(code);
      expect(shown.stdout).toContain("stored checkpoint, as it is");
      const refused = await at("approve", id, ...WHO);
      expect(refused.code).toBe(1);
      expect(refused.stderr).toContain(code);
    }
    expect((await at("ls")).code).toBe(0);
    const again = await at("run", "--execute", "--policies", POLICIES, "--alerts", STORM, "--json");
    expect(again.code).toBe(0);
    expect(jsonLines<Row>(again.stdout).filter(({ state }) => state === null)).toHaveLength(damages.length);
    for (const [key, value] of values) expect(await client.get(key)).toBe(value);
    expect((await at("audit", "verify")).code).toBe(1);
  });
});

describe("check", () => {
  test("passes files without mistakes, and says in a line each what their policies do", async () => {
    const { code, stdout } = await becalm(["check", POLICIES, join(ROOT, "demo/strategies.yaml")]);
    expect(code).toBe(0);
    expect(stdout).toContain("5 policies, 1 silence");
    expect(stdout).toMatch(/shed-load +log +skip_when_exceed by \[cluster\] count 3 in 5m/);
    expect(stdout).toMatch(/strategies\.yaml: \d+ strategies/);
  });

  test("lists all mistakes with file, line, column and key, and ends with 1", async () => {
    const bad = file(
      "bad.yaml",
      "policies:\n  - name: x\n    match: []\n    action: { log: {} }\n    converge: { function: skip_when_sucess, windw: 5m }\n",
    );
    const { code, stdout } = await becalm(["check", bad]);
    expect(code).toBe(1);
    expect(stdout).toMatch(/bad\.yaml:5:\d+: policies\[0\]\.converge\.function: expected /);
    expect(stdout).toMatch(/windw/);
    const lines = jsonLines<{ line?: number; ok?: boolean }>((await becalm(["check", bad, "--json"])).stdout);
    expect(lines[0]).toMatchObject({ line: 5 });
    expect(lines.at(-1)).toMatchObject({ ok: false });
    const { child, ended } = startBecalm(["check", bad, "--json"]);
    child.stdout?.destroy();
    expect((await ended).code, "also if nobody reads it").toBe(1);
  });

  test("ends with 3 for a file that there is not, and 2 for a directory", async () => {
    expect((await becalm(["check", "nowhere.yaml"])).code).toBe(3);
    const { code, stdout } = await becalm(["check", "nowhere.yaml", POLICIES, "--json"]);
    expect(code).toBe(3);
    expect(jsonLines(stdout)).toMatchObject([
      { file: "nowhere.yaml", ok: false, error: "BECALM_NOT_FOUND" },
      { file: POLICIES, ok: true },
    ]);
    expect((await becalm(["check", ROOT])).code).toBe(2);
  });
});

test("check of a file that is something else tells the first mistakes of syntax, and how many more there are", async () => {
  const { code, stdout } = await becalm(["check", STORM]);
  expect(code).toBe(1);
  const lines = stdout.trimEnd().split("\n");
  expect(lines).toHaveLength(11);
  expect(lines.at(-1)).toMatch(/found \d+ more such mistakes from here on$/);
});

describe("pictures", () => {
  test.each(["ascii", "mermaid", "svg"])("of a machine and of an instance come as %s", async (format) => {
    const drawn = await becalm(["machine", "action-instance", "--format", format]);
    expect(drawn.code).toBe(0);
    expect(drawn.stdout).toContain("Proceeding");
  });

  test("of an instance mark where it is", async () => {
    const at = await storm("pictures");
    const [id] = idsOf(await at("ls", "--json", "--state", "Waiting"));
    const { code, stdout } = await at("inspect", id as string, "--format", "ascii");
    expect(code).toBe(0);
    expect(stdout).toContain("Waiting");
  });

  test("of a machine that there is not are refused with 2", async () => {
    expect((await becalm(["machine", "toaster"])).code).toBe(2);
    expect((await becalm(["machine", "action-instance", "--format", "png"])).code).toBe(2);
  });
});

describe("the command itself", () => {
  test("tells its version as the package has it", async () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { version: string };
    expect((await becalm(["--version"])).stdout).toBe(`${version}\n`);
    expect((await becalm(["-V"])).stdout).toBe(`${version}\n`);
  });

  test("has help with examples for each command", async () => {
    const { code, stdout } = await becalm(["--help"]);
    expect(code).toBe(0);
    const commands = [
      "demo",
      "run",
      "check",
      "ls",
      "show",
      "replay",
      "audit",
      "send",
      "approve",
      "deny",
      "machine",
      "inspect",
    ];
    for (const name of commands) {
      expect(stdout).toMatch(new RegExp(`^  ${name}\\b`, "m"));
      const help = await becalm([name, "--help"]);
      expect(help.code).toBe(0);
      expect(help.stdout).toMatch(/Examples:\n {2}\$ becalm /);
    }
  });

  test("refuses nonsense with 2 and names the nearest thing that there is", async () => {
    for (const [args, hint] of [
      [["lss"], "Did you mean ls?"],
      [["aprove"], "Did you mean approve?"],
      [["ls", "--jsn"], "--json"],
      [["run"], "--policies"],
      [["run", "--policy", "a.yaml", "--alerts", "b.jsonl"], "did you mean --policies?"],
      [["run", "--policies", "a.yaml", "--allerts", "b.jsonl"], "did you mean --alerts?"],
      [["ls", "too", "many"], "`becalm ls --help`"],
      [["--namespace", "storm", "ls"], "Options stand behind the command: becalm ls --namespace"],
      [[], "Usage:"],
    ] as const) {
      const { code, stdout, stderr } = await becalm(args);
      expect(code).toBe(2);
      expect(stdout).toBe("");
      expect(stderr).toContain(hint);
    }
  });

  test("says of each reading command that it needs a store", async () => {
    for (const args of [
      ["ls"],
      ["show", "x"],
      ["replay", "x"],
      ["audit", "verify"],
      ["inspect", "x"],
      ["send", "x", "cancel", ...WHO],
      ["approve", "x", ...WHO],
    ]) {
      const { code, stderr } = await becalm(args);
      expect(code).toBe(2);
      expect(stderr).toContain("BECALM_STORE");
    }
  });

  test("refuses options that mean nothing together, and a group without a name", async () => {
    const where = ["--store", redis.url];
    for (const args of [
      ["inspect", "x", "--format", "svg", "--json"],
      ["inspect", "x", "--speed", "10"],
      ["approve", "--group", "", ...WHO],
    ])
      expect((await becalm([...args, ...where])).code).toBe(2);
  });

  test("takes store and namespace from the environment, and says when there is no such namespace", async () => {
    const { code, stderr } = await becalm(["ls"], { env: { BECALM_STORE: redis.url, BECALM_NAMESPACE: "nobody" } });
    expect(code).toBe(3);
    expect(stderr).toContain('no namespace "nobody"');
  });

  test("colours nothing without a screen, everything when forced, and nothing under NO_COLOR", async () => {
    const colour = "\u001b[";
    const args = ["check", POLICIES];
    expect((await becalm(args)).stdout).not.toContain(colour);
    expect((await becalm(args, { env: { FORCE_COLOR: "1" } })).stdout).toContain(colour);
    expect((await becalm(args, { env: { FORCE_COLOR: "1", NO_COLOR: "1" } })).stdout).not.toContain(colour);
  });

  test("writes no control character of an alert to the screen", async () => {
    const input = JSON.stringify([{ labels: { alertname: "\u001b[2Jboo\u0007" }, startsAt: "2026-11-23T07:00:00Z" }]);
    const policies = file("all.yaml", "policies:\n  - { name: all, match: [], action: { log: {} } }\n");
    const where = ["--store", redis.url, "--namespace", "control"];
    await becalm(["run", "--policies", policies, "--alerts", "-", ...where], { input });
    const listed = await becalm(["ls", ...where]);
    const [id] = idsOf(await becalm(["ls", "--json", ...where]));
    const shown = await becalm(["show", id as string, ...where]);
    for (const { stdout } of [listed, shown]) {
      expect(stdout).toContain("boo");
      for (const control of ["\u001b", "\u0007"]) expect(stdout).not.toContain(control);
    }
  });

  test.each([["check", "--json", POLICIES], ["--version"]])(
    "of %s that cannot be written, as on a full disk, is an error that says so",
    (...args) => {
      const full = openSync("/dev/full", "w");
      const { status, stderr } = spawnSync(process.execPath, [...COMMAND, ...args], {
        env: { ...process.env, NO_COLOR: "1" },
        stdio: ["ignore", full, "pipe"],
        encoding: "utf8",
      });
      closeSync(full);
      expect(status).toBe(1);
      expect(stderr).toMatch(/^error BECALM_OUTPUT_FAILED: The result cannot be written to stdout: .*ENOSPC/);
    },
  );

  test("ends quietly when the reader of a list goes away", async () => {
    await storm("pipe");
    const { child, ended } = startBecalm([
      "ls",
      "--json",
      "--limit",
      "1000",
      "--store",
      redis.url,
      "--namespace",
      "pipe",
    ]);
    child.stdout?.destroy();
    const { code, stderr } = await ended;
    expect(code).toBe(0);
    expect(stderr).toBe("");
  });

  test("ends quietly when nobody wants to know the version", async () => {
    const { child, ended } = startBecalm(["--version"]);
    child.stdout?.destroy();
    expect(await ended).toMatchObject({ code: 0, stderr: "" });
  });

  test("names the command that help was asked for and that there is not", async () => {
    const { code, stderr } = await becalm(["help", "nonsense"]);
    expect([code, stderr]).toEqual([2, expect.stringContaining("Unknown command 'nonsense'.")]);
  });
});

describe("doctor", () => {
  test("says when a namespace was made by an earlier version, and raises its format with what is not at rest", async () => {
    const at = await storm("doctor");
    const waiting = idsOf(await at("ls", "--json", "--state", "Waiting"));
    expect(waiting.length).toBeGreaterThan(1);
    expect(await at("doctor")).toMatchObject({ code: 0, stdout: expect.stringContaining("✓ format: 3") });
    // What an engine of the version before would have left.
    await client.hdel("becalm:doctor:meta", "format");
    for (const key of await client.keys("*:doctor:open")) await client.del(key);
    const before = await at("doctor");
    expect(before).toMatchObject({ code: 1, stdout: expect.stringContaining("`becalm doctor --raise-format`") });
    expect(idsOf(await at("ls", "--json", "--state", "Waiting"))).toEqual(waiting);
    // Those that a silence skipped are decided again at its end.
    const silenced = idsOf(await at("ls", "--json", "--reason", "silenced"));
    const notAtRest = waiting.length + silenced.length;
    const raised = await at("doctor", "--raise-format", "--json");
    expect(jsonLines(raised.stdout)).toContainEqual({
      what: "format",
      is: expect.stringMatching(new RegExp(`^2; \\d+ instances looked at, ${notAtRest} not at rest$`)),
    });
    expect(await client.hget("becalm:doctor:meta", "format")).toBe("2");
    expect(idsOf(await at("ls", "--json", "--state", "Waiting"))).toEqual(waiting);
    expect((await at("doctor")).code).toBe(0);
  });
});
