/** `becalm run` simulates unless it is told to execute. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { becalm, jsonLines, ROOT, startBecalm, useFiles } from "../support/command.ts";
import { useRedis } from "../support/redis-server.ts";
import { startWebhookTarget, type WebhookTarget } from "../support/webhook-target.ts";

const redis = useRedis();
const file = useFiles();
const WHO = ["--by", "ann", "--why", "looked at it"];

let target: WebhookTarget;
let policies: string;
let alerts: string;

beforeAll(async () => {
  target = await startWebhookTarget(() => 200);
  const action = `action: { webhook: { url: "${target.url}" } }`;
  policies = file(
    "policies.yaml",
    `policies:
  - { name: restart, match: ['alertname="Down"'], ${action}, retry: { limit: 2, delay: 10s } }
  - { name: ask, match: ['alertname="Down"'], ${action}, approval: { notify: { webhook: { url: "${target.url}" } } }, converge: { function: defense, by: [site], count: 1, window: 5m } }
  - { name: start-program, match: ['alertname="Down"'], action: { exec: { command: [touch, "${file("unused", "")}-touched"] } } }
  - { name: call, match: ['alertname="Down"'], action: { handler: { name: gone } } }
  - { name: sum-up, match: ['alertname="Down"'], ${action}, converge: { function: collect, by: [site], count: 1, window: 1m } }
`,
  );
  const body = ["u1", "u2", "u3"].map((unit) => ({
    labels: { alertname: "Down", site: "north", unit },
    startsAt: "2026-11-23T10:00:00Z",
  }));
  alerts = file("alerts.jsonl", JSON.stringify({ receivedAt: "2026-11-23T10:00:00Z", body }));
});

afterAll(() => target.stop());

beforeEach(() => {
  target.deliveries.length = 0;
});

type Row = { readonly id: string; readonly policy: string; readonly state: string; readonly attempts: number };

function run(...more: string[]) {
  return becalm(["run", "--policies", policies, "--alerts", alerts, ...more]);
}

function inRedis(namespace: string): string[] {
  return ["--store", redis.url, "--namespace", namespace];
}

function statesOf(stdout: string, policy: string): string[] {
  return jsonLines<Row>(stdout).flatMap((row) => (row.policy === policy ? [`${row.state} ${row.attempts}`] : []));
}

describe("a run that is not told to execute", () => {
  test("touches nothing outside: no webhook, no request for an approval, no summary, no program", async () => {
    const { code, stdout, stderr } = await run("--json", ...inRedis("touches-nothing"));
    expect(code).toBe(0);
    expect(target.deliveries).toEqual([]);
    expect(existsSync(join(policies, "../unused-touched"))).toBe(false);
    expect(statesOf(stdout, "restart")).toEqual(["Success 1", "Success 1", "Success 1"]);
    expect(statesOf(stdout, "start-program")).toEqual(["Success 1", "Success 1", "Success 1"]);
    expect(statesOf(stdout, "call")).toEqual(["Success 1", "Success 1", "Success 1"]);
    expect(stderr).toContain("simulated, nothing was performed");
  });

  test("says so first to people, and what its actions would have been", async () => {
    const { stdout } = await run();
    expect(stdout.trimStart()).toMatch(/^Simulated: no action was performed\./);
    expect(stdout).toContain("would have had at least one attempt");
  });

  test("is the same on Redis, on a second run, and after a kill in its middle", async () => {
    const storm = [
      "--policies",
      join(ROOT, "demo/policies.yaml"),
      "--alerts",
      join(ROOT, "demo/storm.jsonl"),
      "--json",
    ];
    const assume = ["--assume", "*=ok,failed", "--assume", "restart-host=failed"];
    const args = (where: readonly string[]) => ["run", ...storm, ...assume, ...where];
    const inMemory = await becalm(args([]));
    const { child, ended } = startBecalm([...args(inRedis("simulated-kill")), "--log", "-"]);
    let lines = 0;
    child.stderr?.on("data", (piece: string) => {
      lines += piece.split("\n").length;
      if (lines > 300) child.kill("SIGKILL");
    });
    expect((await ended).signal).toBe("SIGKILL");
    expect((await becalm(args(inRedis("simulated-kill")))).stdout).toBe(inMemory.stdout);
    expect((await becalm(args(inRedis("simulated-kill")))).stdout).toBe(inMemory.stdout);
  });

  test("shows the request of a pause as it would be sent, once; executed, it is sent", async () => {
    const notify = `approval: { notify: { webhook: { url: "${target.url}" } } }`;
    const braked = file(
      "braked.yaml",
      `limits: { actions: 1, per: 10m }\npolicies: [{ name: log, match: ['alertname="Down"'], action: { log: {} }, ${notify} }]\n`,
    );
    const down = (unit: string, startsAt: string) => ({ labels: { alertname: "Down", unit }, startsAt });
    const storm = [
      [down("u1", "2026-11-23T10:00:00Z")],
      ["u2", "u3"].map((unit) => down(unit, "2026-11-23T10:00:05Z")),
    ].map((body) => JSON.stringify({ receivedAt: body[0]?.startsAt, body }));
    const args = ["run", "--policies", braked, "--alerts", file("braked.jsonl", storm.join("\n")), "--json"];
    const first = await becalm([...args, ...inRedis("braked")]);
    expect(statesOf(first.stdout, "log")).toEqual(["Success 1", "Waiting 0", "Waiting 0"]);
    expect(first.stderr).toMatch(/A person would be asked: log: 2 held\. .*becalm resume --decide --by WHO --why TEXT/);
    const second = await becalm([...args, ...inRedis("braked")]);
    expect([second.stdout, second.stderr.includes("would be asked")]).toEqual([first.stdout, false]);
    expect(target.deliveries).toEqual([]);
    const executed = await becalm([...args, "--execute"]);
    expect(executed.stdout).toBe(first.stdout);
    expect(target.deliveries.map(({ body }) => body)).toMatchObject([
      {
        kind: "approval-request",
        approval: { held: 2, commands: { deny: "becalm resume --deny --by WHO --why TEXT" } },
      },
    ]);
  });

  test("assumes what it is reported, an attempt a word, the last word for all further ones", async () => {
    for (const [pattern, state] of [
      ["ok", "Success 1"],
      ["failed", "Failed 3"],
      ["failed,ok", "Success 2"],
      ["failed,failed,ok", "Success 3"],
      ["failed,failed,failed,ok", "Failed 3"],
    ]) {
      const { stdout } = await run("--json", "--assume", `restart=${pattern}`);
      expect(statesOf(stdout, "restart")).toEqual([state, state, state]);
      expect(statesOf(stdout, "call")).toEqual(["Success 1", "Success 1", "Success 1"]);
    }
    const { stdout } = await run("--json", "--assume", "*=failed", "--assume", "call=ok");
    expect(statesOf(stdout, "restart")[0]).toBe("Failed 3");
    expect(statesOf(stdout, "start-program")[0]).toBe("Failed 1");
    expect(statesOf(stdout, "call")[0]).toBe("Success 1");
  });

  test("tells in the history that nobody made the attempt", async () => {
    const { stdout } = await run("--json", "--assume", "restart=failed,ok", ...inRedis("told"));
    const { id } = jsonLines<Row>(stdout)[0] as Row;
    const shown = (await becalm(["show", id, "--json", ...inRedis("told")])).stdout;
    expect(shown).toContain("simulated: assumed to fail");
    expect(shown).toContain('"simulated"');
  });

  test("keeps what is done by hand to itself too", async () => {
    await run(...inRedis("by-hand"));
    const [held] = jsonLines<Row>((await becalm(["ls", "--json", "--state", "Waiting", ...inRedis("by-hand")])).stdout);
    const approved = await becalm(["approve", (held as Row).id, ...WHO, "--run", ...inRedis("by-hand")]);
    expect(approved.code).toBe(0);
    expect(approved.stdout).toContain("was not performed");
    expect(approved.stdout).toContain("Success");
    expect(target.deliveries).toEqual([]);
  });
});

describe("a run that is told to execute", () => {
  test("performs the actions, and needs --allow-exec for programs", async () => {
    expect((await run("--execute")).code).toBe(2);
    const { stdout, stderr } = await run("--execute", "--allow-exec", "--json");
    expect(target.deliveries.length).toBeGreaterThan(4);
    expect(existsSync(join(policies, "../unused-touched"))).toBe(true);
    expect(statesOf(stdout, "call")).toEqual(["Failed 1", "Failed 1", "Failed 1"]);
    expect(stderr).not.toContain("simulated");
  });
});

describe("a namespace", () => {
  test("takes only the kind of run that made it, and says which that was", async () => {
    const first = file("first.yaml", "policies:\n  - { name: log, match: [], action: { log: {} } }\n");
    const log = (namespace: string, ...more: string[]) =>
      becalm(["run", "--policies", first, "--alerts", alerts, ...inRedis(namespace), ...more]);
    expect((await log("made-simulated")).code).toBe(0);
    const executing = await log("made-simulated", "--execute");
    expect(executing.code).toBe(4);
    expect(executing.stderr).toContain("BECALM_NAMESPACE_MODE");
    expect(executing.stderr).toContain("was made by `becalm run`, which only simulates");
    expect((await log("made-executed", "--execute")).code).toBe(0);
    const simulating = await log("made-executed");
    expect(simulating.code).toBe(4);
    expect(simulating.stderr).toContain("was made by `becalm run --execute`, which performs the actions");
    expect((await log("made-simulated")).code).toBe(0);
    expect((await log("made-executed", "--execute")).code).toBe(0);
  });
});

describe("options that contradict each other, or name nothing, are refused before anything is done", () => {
  test.each<[string[], RegExp]>([
    [["--allow-exec"], /--allow-exec goes with --execute/],
    [["--execute", "--assume", "restart=failed"], /contradict/],
    [["--assume", "restart=maybe"], /"maybe"/],
    [["--assume", "restart"], /no word/],
    [["--assume", "restart="], /no word/],
    [["--assume", "restrt=failed"], /unknown policy "restrt"\. Did you mean "restart"\?/],
  ])("%j", async (options, message) => {
    const { code, stdout, stderr } = await run(...options);
    expect(code).toBe(2);
    expect(stdout).toBe("");
    expect(stderr).toMatch(message);
  });
});

test("the demo says that it simulates", async () => {
  const { stdout } = await becalm(["demo"]);
  expect(stdout.match(/Simulated: no action was performed\./g)).toHaveLength(2);
});
