import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { becalm, jsonLines, ROOT, startBecalm, useFiles } from "../support/command.ts";
import { TELLS_OWN_MS, toldOwnMs } from "../support/own-time.ts";
import { useRedis } from "../support/redis-server.ts";

const STORM = join(ROOT, "demo/storm.jsonl");
const POLICIES = join(ROOT, "demo/policies.yaml");
const CAPTURED = join(ROOT, "test/data/prometheus-storm");

const redis = useRedis();
const file = useFiles();

type Summary = { readonly summary: Record<string, number> };

function run(alerts: string, more: readonly string[] = [], input = "") {
  return becalm(["run", "--policies", POLICIES, "--alerts", alerts, "--json", ...more], { input });
}

function summaryOf(stdout: string): Record<string, number> {
  return (jsonLines<Summary>(stdout).at(-1) as Summary).summary;
}

function inRedis(namespace: string): string[] {
  return ["--store", redis.url, "--namespace", namespace];
}

function request(alerts: readonly object[], receivedAt = "2026-11-23T07:00:00.000Z"): string {
  return JSON.stringify({ receivedAt, body: alerts });
}

function alert(labels: Record<string, string>, startsAt = "2026-11-23T07:00:00.000Z") {
  return { labels: { alertname: "HighErrorRate", severity: "critical", ...labels }, startsAt };
}

describe("the output of a run", () => {
  test("is the same on memory, on Redis, and on a second run of the namespace, which creates nothing", async () => {
    const inMemory = await run(STORM);
    const first = await run(STORM, inRedis("twice"));
    const second = await run(STORM, inRedis("twice"));
    expect(first.stdout).toBe(inMemory.stdout);
    expect(second.stdout).toBe(inMemory.stdout);
    expect(first.stderr).toContain("342 created, ");
    expect(second.stderr).toContain("0 created, 1108 duplicates");
  });

  test("does not depend on how many attempts are made at once", async () => {
    const one = await run(STORM, ["--concurrency", "1"]);
    expect((await run(STORM, ["--concurrency", "100"])).stdout).toBe(one.stdout);
  });

  test("is a line an instance with exactly the promised keys, and a summary with exactly its own", async () => {
    const lines = jsonLines((await run(STORM)).stdout);
    const instances = lines.slice(0, -1);
    for (const line of instances) {
      expect(Object.keys(line)).toEqual([
        "id",
        "policy",
        "alert",
        "state",
        "path",
        "verdict",
        "reason",
        "group",
        "attempts",
      ]);
      const { fingerprint, startsAt, labels } = line["alert"] as {
        fingerprint: string;
        startsAt: string;
        labels: object;
      };
      expect(fingerprint).toMatch(/^[0-9a-f]{16}$/);
      expect(startsAt).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
      expect(Object.keys(labels)).toEqual(Object.keys(labels).toSorted());
    }
    const summary = summaryOf(JSON.stringify(lines.at(-1)));
    expect(Object.keys(summary)).toEqual([
      "alerts",
      "instances",
      "executed",
      "skipped",
      "waiting",
      "groups",
      "summaries",
      "unmatched",
      "rejected",
      "resolved",
      "late",
      "truncated",
    ]);
    expect(summary["instances"]).toBe(instances.length);
    expect(summary["executed"]).toBe(instances.filter((line) => (line["attempts"] as number) > 0).length);
  });

  test("has whole lives as paths, joined without repeating the joint", async () => {
    const lines = jsonLines((await run(STORM)).stdout);
    const paths = new Set(lines.slice(0, -1).map((line) => (line["path"] as string[]).join(" > ")));
    expect(paths).toContain("Idle > Processing > Success");
    expect(paths).toContain("Idle > Defense > Waiting");
    expect(paths).toContain("Idle > Defense > Waiting > Skipped");
  });

  test("describes the same storm that comes through the other format, without one new instance", async () => {
    const v2 = await run(join(CAPTURED, "api-v2-alerts.jsonl"), inRedis("formats"));
    const v4 = await run(join(CAPTURED, "webhook-v4.jsonl"), inRedis("formats"));
    expect(v2.code).toBe(0);
    expect(v4.stderr).toMatch(/^0 created, /m);
    const known = new Set(jsonLines(v2.stdout).map((line) => line["id"]));
    const ids = jsonLines(v4.stdout).flatMap((line) => line["id"] ?? []);
    expect(ids.length).toBeGreaterThan(0);
    expect(ids.filter((id) => !known.has(id))).toEqual([]);
  });

  test("leaves out a resolved alert that has no instance, and counts it", async () => {
    const resolved = { ...alert({ cluster: "a" }, "2026-11-23T06:00:00Z"), endsAt: "2026-11-23T06:30:00Z" };
    const { stdout } = await run("-", [], request([resolved]));
    expect(jsonLines(stdout)).toHaveLength(1);
    expect(summaryOf(stdout)).toMatchObject({ alerts: 1, instances: 0, unmatched: 0 });
  });

  test("without --json tells people the totals, the reasons, who waits and how to answer", async () => {
    const { stdout } = await becalm(["run", "--policies", POLICIES, "--alerts", STORM, ...inRedis("people")]);
    expect(stdout).toMatch(/executed +14/);
    const wide = stdout.split("\n").filter((line) => line.length > 80 && !line.startsWith("becalm "));
    expect(wide).toEqual([]);
    expect(stdout).toContain("limit_reached");
    expect(stdout).toMatch(/becalm approve \d\d-[0-9a-f]{24} --store redis:\S+ --namespace people --by WHO --why TEXT/);
  });

  test("with an empty BECALM_STORE keeps nothing, and says so", async () => {
    const { code, stdout } = await becalm(["run", "--policies", POLICIES, "--alerts", STORM], {
      env: { BECALM_STORE: "" },
    });
    expect(code).toBe(0);
    expect(stdout).toContain("Without --store nothing is kept.");
  });
});

describe("lines that cannot be taken", () => {
  const good = request([alert({ cluster: "a" })]);
  const broken = [good, "{ nonsense", "", request([{ labels: {} }, alert({ cluster: "b" })]), good.slice(0, 20)].join(
    "\n",
  );

  test("are reported with their number and reason, counted, and do not stop the rest", async () => {
    const { code, stdout, stderr } = await run("-", [], broken);
    expect(code).toBe(0);
    expect(stderr).toMatch(/stdin: line 2 rejected: the line is not JSON/);
    expect(stderr).toMatch(/stdin: line 4, alert 1 rejected: /);
    expect(stderr).toMatch(/stdin: line 5 rejected: /);
    expect(summaryOf(stdout)).toMatchObject({ alerts: 2, instances: 2, rejected: 3 });
  });

  test("make a strict run end with 1, with the same output", async () => {
    const lenient = await run("-", [], broken);
    const strict = await run("-", ["--strict"], broken);
    expect(strict.code).toBe(1);
    expect(strict.stdout).toBe(lenient.stdout);
    expect((await run("-", ["--strict"], good)).code).toBe(0);
  });

  test("are also those above 128 MiB, of which no more than that is kept", async () => {
    const long = `${good.slice(0, -1)},"rest":"${"x".repeat(129 * 1_024 * 1_024)}"}`;
    const { code, stdout, stderr } = await run("-", [], `${long}\n${good}\n`);
    expect(code).toBe(0);
    expect(stderr).toContain("line 1 rejected: a request is at most 134217728 bytes");
    expect(summaryOf(stdout)).toMatchObject({ alerts: 1, rejected: 1 });
  });

  test("are not those with CRLF, a byte order mark, blank lines between, or no line break at the end", async () => {
    const other = request([alert({ cluster: "b" })], "2026-11-23T07:00:01.000Z");
    const plain = await run("-", [], `${good}\n${other}\n`);
    const odd = await run("-", ["--strict"], `\ufeff${good}\r\n\r\n   \n${other}`);
    expect(odd.code).toBe(0);
    expect(odd.stdout).toBe(plain.stdout);
  });

  test("are not those with ancient and future times: they are taken as they are", async () => {
    const times = ["1970-01-02T00:00:00.000Z", "2026-11-23T07:00:00.000Z", "9999-12-31T23:59:59.999Z"];
    const { code, stdout } = await run(
      "-",
      ["--strict"],
      times.map((time) => request([alert({ cluster: "a" }, time)], time)).join("\n"),
    );
    expect(code).toBe(0);
    expect(
      jsonLines(stdout).flatMap((line) => (line["alert"] as { startsAt: string } | undefined)?.startsAt ?? []),
    ).toEqual(times);
  });

  test("may be all there are: an empty input is a file without alerts", async () => {
    const { code, stdout } = await run("-");
    expect(code).toBe(0);
    expect(summaryOf(stdout)).toMatchObject({ alerts: 0, instances: 0 });
  });
});

describe("what is wrong before the first line", () => {
  test("in a policy file is told completely, with places, and ends with 2", async () => {
    const bad = file("bad.yaml", 'policies:\n  - name: x\n    match: ["a=~\\"(\\""]\n    action: { logg: {} }\n');
    const { code, stdout, stderr } = await becalm(["run", "--policies", bad, "--alerts", STORM]);
    expect(code).toBe(2);
    expect(stdout).toBe("");
    expect(stderr).toContain("error BECALM_POLICY_INVALID:");
    expect(stderr).toMatch(/bad\.yaml:3:\d+: /);
    expect(stderr).toMatch(/bad\.yaml:4:\d+: /);
  });

  test("a file that does not exist ends with 3", async () => {
    expect((await run("nowhere.jsonl")).code).toBe(3);
    expect((await becalm(["run", "--policies", "nowhere.yaml", "--alerts", STORM])).code).toBe(3);
  });

  test("a program that a policy wants to start is refused without --allow-exec, before anything runs", async () => {
    const exec = file(
      "exec.yaml",
      "policies:\n  - { name: x, match: [], action: { exec: { command: [/bin/false] } } }\n",
    );
    const args = ["run", "--execute", "--policies", exec, "--alerts", "-", "--json"];
    const refused = await becalm(args, { input: request([alert({})]) });
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain("BECALM_EFFECT_FORBIDDEN");
    const allowed = await becalm([...args, "--allow-exec"], { input: request([alert({})]) });
    expect(jsonLines(allowed.stdout)[0]).toMatchObject({ state: "Failed", attempts: 1 });
  });

  test("a namespace of the other mode is refused with 4", async () => {
    const { createEngine, redisStore } = await import("../../src/index.ts");
    const store = redisStore(redis.url, { namespace: "alive" });
    const engine = createEngine({ policies: [], store });
    await engine.start();
    await engine.stop();
    await store.close();
    const { code, stderr } = await run(STORM, inRedis("alive"));
    expect(code).toBe(4);
    expect(stderr).toContain("BECALM_NAMESPACE_MODE");
  });

  test("a store that is not there is told soon, with 1 and no stack", async () => {
    const { code, stderr } = await run(STORM, ["--store", "redis://127.0.0.1:1"]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error BECALM_STORE_UNAVAILABLE: Redis at redis:\/\/127\.0\.0\.1:1/);
    expect(stderr).not.toContain("    at ");
  });

  test("an address that is none is told without repeating it, for it may hold a password", async () => {
    const { code, stderr } = await run(STORM, ["--store", "postgres://me:secret@host"]);
    expect(code).toBe(2);
    expect(stderr).not.toContain("secret");
  });
});

describe("beside its output a run", () => {
  test("logs a JSON line an audit entry to the file of --log", async () => {
    const log = file("run.log", "");
    const { code } = await run("-", ["--log", log, "--execute"], request([alert({ cluster: "a" })]));
    expect(code).toBe(0);
    const lines = jsonLines(readFileSync(log, "utf8"));
    expect(lines.map((line) => line["msg"])).toEqual([
      "start -> Processing",
      "an alert asks for an action",
      "effect.done -> Success",
    ]);
  });

  test("says nothing on stderr with --quiet, but what was rejected", async () => {
    const { stderr } = await run("-", ["--quiet"], `{\n${request([alert({})])}`);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    expect(stderr).toContain("line 1 rejected");
  });

  test("stops at once when it is interrupted while it waits for a line", async () => {
    const { child, ended } = startBecalm(["run", "--policies", POLICIES, "--alerts", "-", "--log", "-", "--json"], {
      input: `${request([alert({})])}\n{ "not": "whole`,
      keepsInputOpen: true,
    });
    child.stderr?.on("data", (piece: string) => piece.includes("effect.done") && child.kill("SIGINT"));
    const { code, stdout, stderr } = await ended;
    expect(code).toBe(130);
    expect(stdout).toBe("");
    expect(stderr).toContain("Stopped after line 1.");
  });

  test("ends quietly when the reader of its output goes away", async () => {
    const { child, ended } = startBecalm(["run", "--policies", POLICIES, "--alerts", STORM, "--json"]);
    child.stdout?.destroy();
    const { code, stderr } = await ended;
    expect(code).toBe(0);
    expect(stderr).not.toMatch(/EPIPE|error/);
  });
});

describe("the demo", () => {
  test("shows the storm's totals and three instances explained and replayed, in 100 columns and at most 5 s", async () => {
    const { code, stdout, stderr } = await becalm(["demo"], { env: { NODE_OPTIONS: TELLS_OWN_MS } });
    expect(toldOwnMs(stderr)).toBeLessThan(5_000);
    expect(code).toBe(0);
    for (const text of ["1594", "342", "14", "283", "45", "12"]) expect(stdout).toContain(text);
    expect(stdout).toContain("would have run with count >= 4");
    expect(stdout.match(/✓ the replay leads to the same checkpoints, ✓ the chain of hashes holds/g)).toHaveLength(3);
    expect(stdout.split("\n").filter((line) => line.length > 100)).toEqual([]);
  });

  test("keeps its instances in the store that it is given", async () => {
    await becalm(["demo", "--store", redis.url]);
    const { stdout } = await becalm(["ls", "--json", "--state", "Waiting", ...inRedis("demo")]);
    expect(jsonLines(stdout)).toHaveLength(45);
  });
});
