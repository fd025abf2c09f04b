/** Every command of "what if" through a running server, which runs a shadow. */
import { writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { becalm, jsonLines, useFiles } from "../support/command.ts";
import { send, sendJson } from "../support/http-client.ts";
import { type Serving, startServe, stopServe } from "../support/serve-command.ts";

const rule = (count: number, match = "[]") => `policies:
  - name: shed
    match: ${match}
    action: { log: {} }
    converge: { function: skip_when_exceed, by: [rack], count: ${count}, window: 10m }
`;
const CHINESE = /[\u4e00-\u9fff]/;

type Change = { readonly was: { state: string } | null; readonly now: { state: string } | null };
type Summary = { readonly summary: { changed: number; was: { executed: number }; now: { executed: number } } };

describe("what if, asked of a server", () => {
  const file = useFiles();
  let serving: Serving;
  let shadowFile: string;
  let newFile: string;
  let ids: string[];
  const ask = (...args: string[]) => becalm([...args, "--server", serving.url]);
  const zh = (...args: string[]) => ask(...args, "--lang", "zh");

  beforeAll(async () => {
    const policies = file("policies.yaml", rule(1, `['team="core"']`));
    shadowFile = file("candidate.yaml", rule(3));
    newFile = file("new.yaml", rule(2, `['team="core"']`));
    serving = await startServe(["--policies", policies, "--store", `lmdb:${policies}-store`, "--shadow", shadowFile]);
    const labels = (index: number, team: string) => ({ alertname: "Down", rack: "r1", host: `h${index}`, team });
    for (let index = 0; index < 6; index += 1)
      await sendJson(`${serving.url}/api/v2/alerts`, [{ labels: labels(index, index < 4 ? "core" : "web") }]);
    const rows = jsonLines<{ id: string; kind: string; state: string }>((await ask("ls", "--json")).stdout);
    ids = rows.filter(({ kind, state }) => kind === "action" && state === "Skipped").map(({ id }) => id);
  });
  afterAll(() => stopServe(serving));

  test("diff --shadow shows where the candidate goes another way, also for alerts that only it matches", async () => {
    const { code, stdout } = await ask("diff", "--shadow", "--json");
    const lines = jsonLines<Change & Summary>(stdout);
    const { summary } = lines.at(-1) as Summary;
    expect([code, summary.was.executed, summary.now.executed]).toEqual([0, 1, 3]);
    expect(lines.length - 1).toBe(summary.changed);
    const text = await ask("diff", "--shadow");
    expect([text.code, text.stdout, text.stderr]).toEqual([
      0,
      expect.stringMatching(/executed 1 → 3/),
      expect.stringContaining("it has been the shadow since"),
    ]);
    expect((await zh("diff", "--shadow")).stdout).toMatch(/已执行 1 → 3/);
    expect((await ask("diff", "--shadow", "--markdown")).stdout).toContain("| policy |");
  });

  test("its gates decide the exit code, and nothing else goes with it", async () => {
    const gate = await ask("diff", "--shadow", "--fail-if", "now.executed > 2");
    expect([gate.code, gate.stdout]).toEqual([1, expect.stringContaining("✗")]);
    expect((await ask("diff", "--shadow", "--no-newly-executed", 'team="web"')).code).toBe(0);
    expect((await ask("diff", "--shadow", "--no-newly-executed", 'team="core"')).code).toBe(1);
    expect((await ask("diff", "--shadow", "--policies", newFile)).code).toBe(2);
    expect((await ask("diff", "--shadow", "--since", "yesterday")).code).toBe(2);
    const nobody = await becalm(["diff", "--shadow", "--server", "http://127.0.0.1:1"]);
    expect([nobody.code, nobody.stderr]).toEqual([1, expect.stringContaining("becalm serve")]);
    expect((await becalm(["diff"])).code).toBe(2);
  });

  test("a reload reads the candidate again; one with mistakes leaves the old one beside the old policies", async () => {
    const since = async () =>
      ((await send(`${serving.url}/v1/shadow`)).json as { shadow: { since: string } }).shadow.since;
    const first = await since();
    writeFileSync(shadowFile, "policies: [{ name: x }]\n");
    expect((await sendJson(`${serving.url}/-/reload`, {})).status).toBe(400);
    expect(await since()).toBe(first);
    writeFileSync(shadowFile, rule(4));
    expect((await sendJson(`${serving.url}/-/reload`, {})).status).toBe(200);
    expect(Date.parse(await since())).toBeGreaterThan(Date.parse(first));
  });

  test("diff --from-store, fork, show --at, check --fleet and report answer through it, in English and Chinese", async () => {
    const [id = ""] = ids;
    const diff = await ask("diff", "--policies", newFile, "--from-store", "--json");
    expect([diff.code, (jsonLines<Summary>(diff.stdout).at(-1) as Summary).summary.now.executed]).toEqual([0, 2]);
    const fork = await ask("fork", id, "--at", "1", "--event", '{"type":"start"}', "--json");
    expect([fork.code, (jsonLines<Summary>(fork.stdout).at(-1) as Summary).summary.changed]).toEqual([0, 1]);
    expect((await ask("show", id, "--at", "1")).stdout).toContain("Skipped");
    expect((await ask("check", newFile, "--fleet")).code).toBe(0);
    expect((await ask("report")).code).toBe(0);
    for (const args of [
      ["diff", "--policies", newFile, "--from-store"],
      ["fork", id, "--at", "1", "--event", '{"type":"start"}'],
      ["show", id, "--at", "1"],
      ["check", newFile, "--fleet"],
      ["report"],
    ]) {
      const { code, stdout } = await zh(...args);
      expect([code, stdout], args.join(" ")).toEqual([0, expect.stringMatching(CHINESE)]);
    }
  });

  test("replay, export, audit verify and policy answer through it, and what was exported needs no server", async () => {
    expect((await ask("replay", "--all")).code).toBe(0);
    const bundle = `${newFile}.bundle`;
    expect((await ask("export", "--out", bundle)).code).toBe(0);
    for (const args of [
      ["replay", "--file", bundle],
      ["audit", "verify", "--file", bundle],
      ["diff", "--policies", newFile, "--from", bundle],
    ])
      expect((await becalm(args)).code, args.join(" ")).toBe(0);
    expect((await ask("audit", "verify")).code).toBe(0);
    expect((await ask("policy", "shed")).code).toBe(0);
  });
});
