import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { becalm, jsonLines, useFiles } from "../support/command.ts";
import { send, sendJson } from "../support/http-client.ts";
import { type Serving, startServe, stopServe } from "../support/serve-command.ts";

const POLICY = `
policies:
  - name: repair
    match: []
    action: { webhook: { url: "http://127.0.0.1:9/?key=s3cret", headers: { authorization: s3cret } } }
    converge: { function: defense, by: [alertname], count: 1, window: 5m }
`;
const WHO = ["--by", "bob", "--why", "looked at it"];

/** An lmdb store has one writer: a second process could only look, and not even that from another machine. */
describe("a command that names a server", () => {
  const file = useFiles();
  let serving: Serving;
  let at: string[];
  const held = async () =>
    jsonLines<{ id: string; kind: string }>(
      (await becalm(["ls", "--state", "Waiting", "--json", ...at])).stdout,
    ).filter(({ kind }) => kind === "action");

  beforeAll(async () => {
    const tokens = file(
      "tokens.json",
      JSON.stringify([
        { name: "ann", role: "operate", token: "operate-token" },
        { name: "eve", role: "read", token: "read-token" },
      ]),
    );
    const policies = file("policies.yaml", POLICY);
    serving = await startServe(["--policies", policies, "--store", `lmdb:${policies}-store`, "--tokens", tokens]);
    at = ["--server", serving.url, "--token-file", file("token", "operate-token\n")];
    const headers = { authorization: "Bearer operate-token" };
    const alert = (instance: string) => ({ labels: { alertname: "Down", instance } });
    for (const instance of ["a", "b", "c", "d"])
      await sendJson(`${serving.url}/api/v2/alerts`, [alert(instance)], { headers });
  });
  afterAll(() => stopServe(serving));

  test("reads as it reads a store: ls, show, replay, audit", async () => {
    await expect.poll(async () => (await held()).length).toBe(3);
    const [first] = await held();
    const shown = await becalm(["show", first?.id ?? "", ...at]);
    expect([shown.code, shown.stdout]).toEqual([0, expect.stringContaining("Waiting")]);
    expect((await becalm(["replay", first?.id ?? "", ...at])).code).toBe(0);
    const audit = await becalm(["audit", "verify", ...at]);
    expect([audit.code, audit.stderr]).toEqual([0, expect.not.stringContaining("error")]);
  });

  test("answers through it, under the name of its token, and the second answer is refused with 4", async () => {
    const [first] = await held();
    const id = first?.id ?? "";
    const granted = await becalm(["approve", id.slice(0, 14), ...WHO, ...at]);
    expect([granted.code, granted.stderr, granted.stdout]).toEqual([0, "", expect.stringContaining(id)]);
    expect(granted.stdout).toContain("The server runs the action that follows.");
    expect((await becalm(["deny", id, ...WHO, ...at])).code).toBe(4);
    expect((await becalm(["show", id, ...at])).stdout).toContain("ann");
    expect((await becalm(["approve", "03-000000000000000000000000", ...WHO, ...at])).code).toBe(3);
  });

  test("answers for a whole group", async () => {
    const [first] = await held();
    const [row] = jsonLines<{ group: string }>((await becalm(["show", first?.id ?? "", "--json", ...at])).stdout);
    const { code, stdout } = await becalm(["deny", "--group", row?.group ?? "", ...WHO, "--json", ...at]);
    expect([code, jsonLines(stdout).length]).toEqual([0, 2]);
    expect(await held()).toEqual([]);
  });

  test("is told what it may not do, and sees no secrets", async () => {
    const reader = ["--server", serving.url, "--token-file", file("reader", "read-token")];
    const { code, stderr } = await becalm(["send", "03-000000000000000000000000", "end", ...WHO, ...reader]);
    expect([code, stderr.includes("error")]).toEqual([3, true]);
    const headers = { authorization: "Bearer operate-token" };
    const { text } = await sendJson(`${serving.url}/v1/read`, { call: "policies", given: [] }, { headers });
    expect(text).toContain("repair@");
    expect(text).not.toContain("s3cret");
    expect((await becalm(["ls", "--server", serving.url])).code).toBe(4);
  });

  test.each([
    [["--server", "nowhere"], 2],
    [["--server", "http://127.0.0.1:1"], 1],
    [["--server", "http://127.0.0.1:1", "--token-file", "/nope"], 2],
  ])("ends with a clear mistake for %j", async (args, expected) => {
    const { code, stderr } = await becalm(["ls", ...args]);
    expect([code, stderr]).toEqual([expected, expect.stringMatching(/--server|--token-file/)]);
  });

  test("says so if something else than a server of Becalm answers", async () => {
    const other = createServer((_, response) => response.end("ok"));
    await new Promise<void>((listening) => other.listen(0, "127.0.0.1", listening));
    const { port } = other.address() as AddressInfo;
    const { code, stderr } = await becalm(["ls", "--server", `http://127.0.0.1:${port}`]);
    other.close();
    expect([code, stderr]).toEqual([1, expect.stringContaining("no server of Becalm does. Check --server")]);
  });

  test("does not ask it if a store was typed, and refuses two places, or a namespace that it does not have", async () => {
    const env = { BECALM_SERVER: "http://127.0.0.1:1" };
    const store = ["--store", `lmdb:${file("empty", "")}-store`];
    const typed = await becalm(["ls", ...store], { env });
    expect([typed.code, typed.stderr]).toEqual([3, expect.stringContaining("no store at lmdb:")]);
    const both = await becalm(["approve", "03-0", ...WHO, ...store, ...at]);
    expect([both.code, both.stderr]).toEqual([2, expect.stringContaining("Give --store or --server, not both")]);
    const named = await becalm(["ls", "--namespace", "staging"], { env });
    expect([named.code, named.stderr]).toEqual([2, expect.stringContaining("--namespace is for a store")]);
    expect(
      (await becalm(["ls", ...at], { env: { BECALM_NAMESPACE: "staging", BECALM_STORE: "lmdb:/nope" } })).code,
    ).toBe(0);
  });

  test("pauses and resumes through it", async () => {
    const unknown = await becalm(["pause", "--policy", "repiar", ...WHO, ...at]);
    expect([unknown.code, unknown.stderr]).toEqual([3, expect.stringMatching(/no policy "repiar".*It has: .*repair/)]);
    const paused = await becalm(["pause", "--policy", "repair", ...WHO, "--json", ...at]);
    expect([paused.code, jsonLines(paused.stdout)]).toEqual([
      0,
      [expect.objectContaining({ scope: "repair", by: "ann" })],
    ]);
    expect((await becalm(["pause", "--list", ...at])).stdout).toContain('Policy "repair" is paused by ann');
    const headers = { authorization: "Bearer operate-token" };
    const sent = await sendJson(`${serving.url}/v1/alerts`, [{ status: "firing", labels: { alertname: "Stopped" } }], {
      headers,
    });
    const { id } = (sent.json as { alerts: { instances: { id: string }[] }[] }).alerts[0]?.instances[0] ?? { id: "" };
    expect((await becalm(["show", id, ...at])).stdout).toContain("pause, without a deadline\n");
    const { json } = await send(`${serving.url}/v1/instances/${id}`, { headers });
    expect(json).toMatchObject({ timers: [{ name: "pause", dueAt: null }] });
    const resumed = await becalm(["resume", "--policy", "repair", "--decide", ...WHO, "--json", ...at]);
    expect(jsonLines(resumed.stdout)).toEqual([expect.objectContaining({ resumed: true, held: "decide" })]);
    expect((await becalm(["pause", "--list", ...at])).stdout).toBe("");
  });

  test("silences through it, and is refused where the server refuses", async () => {
    const made = await becalm([
      "silence",
      "add",
      'cluster="edge"',
      'host=~"a.*"',
      "--for",
      "1h",
      ...WHO,
      "--json",
      ...at,
    ]);
    const [silence] = jsonLines<{ id: string; match: object[] }>(made.stdout);
    expect([made.code, silence?.match]).toEqual([
      0,
      [
        { name: "cluster", operator: "=", value: "edge" },
        { name: "host", operator: "=~", value: "a.*" },
      ],
    ]);
    expect((await becalm(["silence", "ls", ...at])).stdout).toContain(silence?.id);
    expect((await becalm(["silence", "expire", silence?.id ?? "", ...WHO, ...at])).code).toBe(0);
    expect(jsonLines((await becalm(["silence", "ls", "--json", ...at])).stdout)).toEqual([
      expect.objectContaining({ state: "expired" }),
    ]);
    const nothing = await becalm(["silence", "add", 'cluster=~".*"', "--for", "1h", ...WHO, ...at]);
    expect([nothing.code, nothing.stderr]).toEqual([2, expect.stringContaining("must not match the empty string")]);
    expect((await becalm(["silence", "expire", "00000000-0000-4000-8000-000000000000", ...WHO, ...at])).code).toBe(3);
    const noId = await becalm(["silence", "expire", "nonsense", ...WHO, ...at]);
    expect([noId.code, noId.stderr]).toEqual([2, expect.stringContaining('must be of type uuid: "nonsense"')]);
  });
});
