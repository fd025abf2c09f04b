import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { becalm, jsonLines, ROOT, useFiles } from "../support/command.ts";

const file = useFiles();
const POLICIES = join(ROOT, "demo/policies.yaml");
const MACHINES = pathToFileURL(join(ROOT, "dist/machines/index.js")).href;
const XSTATE = pathToFileURL(join(ROOT, "node_modules/xstate/dist/xstate.esm.js")).href;

/** This program's statechart with one change. */
const machine = (name: string, change: string) =>
  file(
    name,
    `import { createMachine } from ${JSON.stringify(XSTATE)};
import { actionInstanceMachine as own } from ${JSON.stringify(MACHINES)};
const states = { ...own.config.states };
${change}
export const actionInstanceMachine = createMachine({ ...own.config, states }, own.implementations);
`,
  );
const edgeGone = () =>
  machine(
    "edge.mjs",
    `const { "approval.requested": _, ...on } = states.Defense.on; states.Defense = { ...states.Defense, on };`,
  );
const timerGone = () =>
  machine(
    "timer.mjs",
    `const { "timer.elapsed": _, ...on } = states.Waiting.on; states.Waiting = { ...states.Waiting, on };`,
  );

type Way = {
  readonly id?: string;
  readonly event: string;
  readonly was: string;
  readonly now: string;
  readonly summary: object;
};
type Finding = { readonly id?: string; readonly is: string; readonly summary: Record<string, number> };

describe("another machine", () => {
  let folder: string;
  let store: string[];

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "becalm-machine-"));
    store = ["--store", `lmdb:${join(folder, "store")}`];
    const run = ["run", "--policies", POLICIES, "--alerts", join(ROOT, "demo/storm.jsonl"), "--quiet"];
    expect((await becalm([...run, ...store])).code).toBe(0);
  });

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test("that is the same goes the same way through every history, and says before that its code is run", async () => {
    const same = await becalm(["replay", "--all", "--machine", machine("same.mjs", ""), ...store, "--json"]);
    expect([same.code, jsonLines(same.stdout)]).toEqual([
      0,
      [{ summary: { instances: 354, different: 0, unreadable: 0 } }],
    ]);
    expect(same.stderr).toContain("Running the code of");
  });

  test("names the histories that go another way, at which step, and ends with 1", async () => {
    const { code, stdout } = await becalm(["replay", "--all", "--machine", edgeGone(), ...store, "--json"]);
    const ways = jsonLines<Way>(stdout).filter(({ id }) => id !== undefined);
    const run = ["run", "--policies", POLICIES, "--alerts", join(ROOT, "demo/storm.jsonl"), "--quiet", "--json"];
    const rows = jsonLines<{ id?: string; path: string[] }>((await becalm(run)).stdout);
    const asked = rows.flatMap(({ id, path }) => (id !== undefined && path.includes("Defense") ? [id] : []));
    expect(code).toBe(1);
    expect(asked.length).toBeGreaterThan(40);
    expect(new Set(ways.map(({ id }) => id))).toEqual(new Set(asked));
    expect([...new Set(ways.map(({ event, was, now }) => `${event}: ${was} → ${now}`))]).toEqual([
      "approval.requested: Waiting (requestApproval) → refuses it",
    ]);
  });

  test("that would lose timers of stored instances fails the check of the fleet", async () => {
    const fits = await becalm(["check", POLICIES, "--fleet", "--machine", machine("same.mjs", ""), ...store, "--json"]);
    expect([fits.code, jsonLines<Finding>(fits.stdout)[0]?.summary]).toEqual([0, { instances: 354, ok: true }]);
    const { code, stdout } = await becalm(["check", "--fleet", "--machine", timerGone(), ...store, "--json"]);
    expect([code, jsonLines<Finding>(stdout).at(-1)?.summary]).toEqual([
      1,
      { instances: 354, ok: false, lost_timer: 45 },
    ]);
  });

  test("is not needed to see what other policies mean to what is not at rest", async () => {
    const text = readFileSync(POLICIES, "utf8");
    const gone = file("gone.yaml", text.replace("name: restart-host", "name: restart-rack"));
    const { code, stdout } = await becalm(["check", gone, "--fleet", ...store, "--json"]);
    expect([code, jsonLines<Finding>(stdout).at(-1)?.summary]).toEqual([
      0,
      { instances: 354, ok: true, policy_gone: 45 },
    ]);
  });

  test("refuses a module that holds no statechart, and one that is not there", async () => {
    const none = file("none.mjs", "export const x = 1;\n");
    expect((await becalm(["replay", "--all", "--machine", none, ...store])).code).toBe(2);
    expect((await becalm(["replay", "--all", "--machine", "missing.mjs", ...store])).code).toBe(3);
    expect((await becalm(["check", POLICIES, "--machine", none])).code).toBe(2);
    expect((await becalm(["check"])).code).toBe(2);
  });
});
