/** What `--log` writes on the commands that change something, and `audit verify --against` finds in it. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { Redis } from "ioredis";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { chainHash } from "../../src/instance/history-lines.ts";
import { redisKeys } from "../../src/stores/redis/keys.ts";
import { becalm, jsonLines, ROOT, useFiles } from "../support/command.ts";
import { useRedis } from "../support/redis-server.ts";

const redis = useRedis();
const keys = redisKeys({ prefix: "becalm", namespace: "default" }, 16);
const store = () => ["--store", redis.url];
const file = useFiles();
const who = ["--by", "ann", "--why", "looked at it"];
type Line = Readonly<Record<string, unknown>> & { readonly instance: string; readonly hash: string };

let count = 0;
let log = "";

function linesOf(path: string): Line[] {
  return jsonLines<Line>(readFileSync(path, "utf8"));
}

async function run(): Promise<void> {
  const [policies, alerts] = [join(ROOT, "demo/policies.yaml"), join(ROOT, "demo/storm.jsonl")];
  const { code } = await becalm([
    "run",
    "--policies",
    policies,
    "--alerts",
    alerts,
    "--quiet",
    "--log",
    log,
    ...store(),
  ]);
  expect(code).toBe(0);
}

async function ids(...filter: string[]): Promise<string[]> {
  const { stdout } = await becalm(["ls", "--limit", "1000", "--json", ...filter, ...store()]);
  return jsonLines<{ id?: string }>(stdout).flatMap(({ id = "" }) => (id === "" ? [] : [id]));
}

const verify = (...more: string[]) => becalm(["audit", "verify", ...more, ...store()]);

describe("audit verify --against", () => {
  beforeEach(async () => {
    await redis.flush();
    count += 1;
    log = file(`storm-${count}.log`, "");
    await run();
  });

  test("finds nothing where every entry was logged: by a run, by answers, in files that were rotated and packed", async () => {
    const [first = "", second = ""] = await ids("--state", "Waiting");
    expect((await becalm(["approve", first, ...who, "--log", log, ...store()])).code).toBe(0);
    expect((await becalm(["send", second, "cancel", ...who, "--log", log, ...store()])).code).toBe(0);
    const lines = readFileSync(log, "utf8").trimEnd().split("\n");
    const half = Math.floor(lines.length / 2);
    const packed = file(`rotated-${count}.gz`, "");
    writeFileSync(packed, gzipSync(`${lines.slice(0, half).join("\n")}\n`));
    const rest = file(`rest-${count}.log`, `${lines.slice(half).join("\n")}\n`);
    const { code, stdout } = await verify("--against", packed, rest, "--json");
    expect(jsonLines(stdout)).toEqual([
      {
        summary: {
          instances: expect.any(Number) as number,
          entries: lines.length,
          broken: 0,
          against: {
            logged: lines.length,
            missingInLog: 0,
            missingInStore: 0,
            expired: 0,
            withoutHash: 0,
            unreadable: 0,
          },
        },
      },
    ]);
    expect(code).toBe(0);
    expect(linesOf(log).at(-1)).toMatchObject({
      instance: second,
      event: "cancel",
      actor: "ann",
      labels: { alertname: expect.any(String) as string },
      policy: expect.stringMatching(/^[a-z-]+@[0-9a-f]{16}$/) as string,
      sentence: "ann cancelled it: looked at it",
    });
  });

  test("names what the log does not have: an answer that was given without it", async () => {
    const [id = ""] = await ids("--state", "Waiting");
    await becalm(["deny", id, ...who, ...store()]);
    const { code, stdout } = await verify("--against", log);
    expect([code, stdout]).toEqual([1, expect.stringMatching(new RegExp(`✗ ${id}: entry \\d+ .* is in no log`))]);
    expect(stdout).toMatch(/^1 entry of the store missing in the logs\.$/m);
  });

  test("names what the store does not have: an instance that was removed with all that names it", async () => {
    const [id = ""] = await ids("--state", "Skipped");
    await forget(id);
    expect((await verify()).code).toBe(0);
    const { code, stdout } = await verify("--against", log);
    expect([code, stdout]).toEqual([
      1,
      expect.stringMatching(new RegExp(`✗ ${id}: \\S+:\\d+ .* was logged, and the store does not have it`)),
    ]);
  });

  test("finds a trail that somebody rewrote as a whole, with its checkpoint", async () => {
    const [id = ""] = await ids("--state", "Skipped");
    await rewrite(id);
    expect((await verify(id)).stdout).not.toContain("✗");
    const { code, stdout } = await verify("--against", log, "--json");
    const found = jsonLines(stdout).filter((line) => line["id"] === id);
    expect([code, found.map(({ what }) => what)]).toEqual([1, ["missing in the log", "missing in the store"]]);
  });

  test("reports lines that cannot be read, and those of an earlier version, which have no hash", async () => {
    const [first, ...rest] = readFileSync(log, "utf8").trimEnd().split("\n");
    const { hash: _, ...old } = JSON.parse(first as string) as Line;
    const damaged = file(`damaged-${count}.log`, `${[JSON.stringify(old), ...rest].join("\n")}\n{"level":30,"ti`);
    const { code, stdout } = await verify("--against", damaged);
    expect(code).toBe(1);
    expect(stdout).toMatch(/^1 audit line has no hash: an earlier version wrote them\. They were not compared\.$/m);
    expect(stdout).toMatch(/^1 line of the logs cannot be read\.$/m);
  });
});

describe("--log", () => {
  beforeEach(async () => {
    await redis.flush();
    count += 1;
    log = file(`deeds-${count}.log`, "");
    await run();
  });

  test("tells of a pause, its end, and silences, which are no steps of an instance", async () => {
    const before = linesOf(log).length;
    for (const args of [
      ["pause", ...who],
      ["resume", ...who],
      ["silence", "add", 'cluster="edge"', "--for", "2h", ...who],
    ]) {
      expect((await becalm([...args, "--log", log, ...store()])).code).toBe(0);
    }
    const [{ id = "" } = {}] = jsonLines<{ id?: string }>(
      (await becalm(["silence", "ls", "--json", ...store()])).stdout,
    );
    await becalm(["silence", "expire", id, ...who, "--log", log, ...store()]);
    expect(linesOf(log).slice(before)).toMatchObject([
      { msg: "paused", by: "ann", why: "looked at it", scope: null },
      { msg: "resumed", by: "ann", resumed: true },
      { msg: "silenced", author: "ann", match: [{ name: "cluster", operator: "=", value: "edge" }] },
      { msg: "a silence was ended", by: "ann", silence: id },
    ]);
    const summary = jsonLines((await verify("--against", log, "--json")).stdout).at(-1)?.["summary"];
    expect(summary).toMatchObject({ against: { logged: before, missingInLog: 0, missingInStore: 0 } });
  });

  test("of detect has a line for each alert", async () => {
    const [strategies, records] = [join(ROOT, "demo/strategies.yaml"), join(ROOT, "demo/host-metrics.csv")];
    const { stdout } = await becalm([
      "detect",
      "--strategies",
      strategies,
      "--records",
      records,
      "--log",
      log,
      "--quiet",
    ]);
    const alerts = jsonLines(stdout).filter((line) => line["seq"] !== undefined);
    const logged = jsonLines(readFileSync(log, "utf8")).filter((line) => line["strategy"] !== undefined);
    expect(alerts.length).toBeGreaterThan(0);
    expect(logged.map(({ seq }) => seq)).toEqual(alerts.map(({ seq }) => seq));
    expect(logged[0]).toMatchObject({ msg: "alert -> firing", sentence: expect.any(String) as string });
  });

  test("is refused where a server does the work", async () => {
    const { code, stderr } = await becalm(["pause", ...who, "--log", log, "--server", "http://127.0.0.1:1"]);
    expect([code, stderr]).toEqual([2, expect.stringContaining("with --server the server logs")]);
  });
});

function client(): Redis {
  const raw = new Redis(redis.url);
  onTestFinished(async () => void (await raw.quit()));
  return raw;
}

/** Without a trace: its keys, and every list that names it. */
async function forget(id: string): Promise<void> {
  const raw = client();
  const partition = Number(id.slice(0, 2));
  await raw.del(keys.instance(partition, id), keys.history(partition, id));
  for (const key of await raw.keys("*")) if ((await raw.type(key)) === "zset") await raw.zrem(key, id);
}

/** Another reason in its only entry, and the chain made to fit: what whoever can write to the store can do. */
async function rewrite(id: string): Promise<void> {
  const raw = client();
  const key = keys.instance(Number(id.slice(0, 2)), id);
  const [first = "", birth = "", entry = ""] = ((await raw.get(key)) ?? "").split("\n");
  const [version, , ...body] = first.split(" ");
  const changed = entry.replace(/"reason":"[a-z_]+"/, '"reason":"closed"');
  expect(changed).not.toBe(entry);
  const head = chainHash(chainHash("", birth), changed);
  await raw.set(key, `${[version, head, ...body].join(" ")}\n${birth}\n${changed}`);
}
