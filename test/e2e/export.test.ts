import { mkdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { BundleReader } from "../../src/simulate/bundle.ts";
import { becalm, type Ended, jsonLines, ROOT, useFiles } from "../support/command.ts";
import { useRedis } from "../support/redis-server.ts";

const STORM = ["--policies", join(ROOT, "demo/policies.yaml"), "--alerts", join(ROOT, "demo/storm.jsonl")];

const redis = useRedis();
const file = useFiles();
const bundle = file("storm.bundle", "");
let text = "";
let client: Redis;

const at = (...args: string[]): Promise<Ended> => becalm([...args, "--store", redis.url, "--namespace", "storm"]);
const summaryOf = ({ stdout }: Ended) => jsonLines<{ summary?: Record<string, number> }>(stdout).at(-1)?.summary;

/** What a reader of the whole text finds: null, or the error's message. */
function faultOf(changed: string): string | null {
  const reader = new BundleReader("x");
  try {
    for (const line of changed.trimEnd().split("\n")) reader.read(line);
    reader.end();
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

beforeAll(async () => {
  client = new Redis(redis.url);
  expect((await at("run", ...STORM, "--quiet")).code).toBe(0);
  expect((await at("export", "--out", bundle)).code).toBe(0);
  text = readFileSync(bundle, "utf8");
});

afterAll(() => client.disconnect());

describe("an export", () => {
  test("verifies and replays without the store", async () => {
    const verified = await becalm(["audit", "verify", "--file", bundle, "--json"]);
    expect([verified.code, summaryOf(verified)?.["broken"]]).toEqual([0, 0]);
    const replayed = await becalm(["replay", "--file", bundle, "--json"]);
    expect([replayed.code, summaryOf(replayed)?.["different"]]).toEqual([0, 0]);
    expect(summaryOf(replayed)?.["instances"]).toBe(summaryOf(verified)?.["instances"]);
    expect(summaryOf(await at("replay", "--all", "--json"))).toEqual(summaryOf(replayed));
  });

  test("is read as the store itself is: lists, instances with their reasons, policies, and what verifies them", async () => {
    const from = (...args: string[]) => becalm([...args, "--store", `bundle:${bundle}`]);
    const listed = await from("ls", "--json", "--limit", "1000");
    expect(listed.stdout).toBe((await at("ls", "--json", "--limit", "1000")).stdout);
    const [page] = jsonLines<{ next: string }>((await from("ls", "--json", "--limit", "200")).stdout).slice(-1);
    const rest = await from("ls", "--json", "--limit", "200", "--cursor", page?.next as string);
    expect(jsonLines(rest.stdout)).toEqual(jsonLines(listed.stdout).slice(200));
    const [skipped] = jsonLines<{ id: string }>(
      (await from("ls", "--json", "--state", "Skipped", "--limit", "1")).stdout,
    );
    const id = skipped?.id as string;
    const shown = await from("show", id.slice(0, 12), "--json");
    expect([shown.code, shown.stdout]).toEqual([0, (await at("show", id, "--json")).stdout]);
    expect((await from("policy")).stdout).toBe((await at("policy")).stdout);
    expect((await from("replay", id)).code).toBe(0);
    expect(summaryOf(await from("audit", "verify", "--json"))).toEqual(
      summaryOf(await at("audit", "verify", "--json")),
    );
    const acted = await from("approve", id, "--by", "ann", "--why", "x");
    expect([acted.code, acted.stderr]).toEqual([2, expect.stringContaining("A bundle can only be read")]);
  });

  test("tells what came of the rules, and what would have been, as the store itself does", async () => {
    const from = (...args: string[]) => becalm([...args, "--store", `bundle:${bundle}`]);
    const [ran] = jsonLines<{ id: string }>((await from("ls", "--json", "--reason", "no_peer_in_the_way")).stdout);
    const id = ran?.id as string;
    const event = JSON.stringify({ type: "effect.failed", error: "tried" });
    const asked = [
      ["report", "--since", "30m", "--json"],
      ["fork", id, "--at", "1", "--event", event, "--json"],
      ["diff", "--from-store", "--policies", join(ROOT, "demo/policies.yaml"), "--json"],
      ["inspect", id, "--format", "svg"],
    ];
    const told = (by: typeof at) => Promise.all(asked.map((args) => by(...args)));
    const [read, stored] = [await told(from), await told(at)];
    expect(read.map(({ code, stdout }) => [code, stdout.length > 100])).toEqual(asked.map(() => [0, true]));
    expect(read.map(({ stdout }) => stdout)).toEqual(stored.map(({ stdout }) => stdout));
  });

  test("is not read by what needs more than histories, which names those that read it", async () => {
    const reading = "ls, show, policy, report, replay, fork, diff --from-store, inspect, audit verify";
    for (const asked of [["doctor"], ["check", "--fleet"], ["silence", "ls"], ["dead-letters"]]) {
      const { code, stderr } = await becalm([...asked, "--store", `bundle:${bundle}`]);
      expect([code, stderr]).toEqual([2, expect.stringContaining(`BECALM_ARGUMENT_INVALID: `)]);
      expect(stderr).toContain(`These read \`--store bundle:PATH\`: ${reading}.`);
    }
    expect((await becalm(["ls", "--store", bundle])).stderr).toContain(`name it as --store bundle:${bundle}.`);
  });

  test("says of an instance that it is as it was when it was exported", async () => {
    const [{ id } = { id: "" }] = jsonLines<{ id: string }>((await at("ls", "--json", "--limit", "1")).stdout);
    const { stdout } = await becalm(["show", id, "--store", `bundle:${bundle}`, "--lang", "zh"]);
    expect(stdout.split("\n")[1]).toMatch(/^ {2}导出包 {4}导出时的状态，\d{4}-\d\d-\d\d /);
  });

  test("is read with others of its folder, redacted ones too, and not at all if a line of one was changed", async () => {
    const folder = join(dirname(bundle), "archive");
    mkdirSync(folder);
    const idsIn = ({ stdout }: Ended) => jsonLines<{ id?: string }>(stdout).flatMap((row) => row.id ?? []);
    const ids = idsIn(await at("ls", "--json", "--limit", "3"));
    const [first = "", second = "", third = ""] = ids;
    await at("export", first, second, "--out", join(folder, "one.bundle"));
    await at("export", second, third, "--redact", "instance", "host", "alertname", "--out", join(folder, "two.bundle"));
    const from = (...args: string[]) => becalm([...args, "--store", `bundle:${folder}`]);
    expect(idsIn(await from("ls", "--json"))).toEqual(ids);
    expect(jsonLines((await from("show", third, "--json")).stdout)[0]).toMatchObject({ verified: { ok: true } });
    expect((await from("audit", "verify")).code).toBe(0);
    const two = readFileSync(join(folder, "two.bundle"), "utf8");
    file("archive/two.bundle", two.replace('\\"reason\\"', '\\"Reason\\"'));
    const broken = await from("show", first);
    expect([broken.code, broken.stdout]).toEqual([1, ""]);
    expect(broken.stderr).toMatch(/BECALM_BUNDLE_BROKEN: Line \d+ of .*two\.bundle was changed/);
  });

  test("shows one changed byte anywhere, and names its line", () => {
    fc.assert(
      fc.property(fc.nat(text.length - 2), fc.integer({ min: 33, max: 126 }), (place, code) => {
        const byte = String.fromCharCode(code);
        if (text[place] === byte || text[place] === "\n") return;
        const message = faultOf(text.slice(0, place) + byte + text.slice(place + 1));
        const line = text.slice(0, place).split("\n").length;
        expect(message).toMatch(line === 1 ? /is not a bundle|Line 1 / : `Line ${line} `);
      }),
      { numRuns: 300 },
    );
  });

  test("that was cut short, lost a line or was joined with another one is refused", async () => {
    const lines = text.trimEnd().split("\n");
    expect(faultOf(lines.slice(0, 9).join("\n"))).toContain("cut short");
    expect(faultOf(lines.toSpliced(5, 1).join("\n"))).toContain("Line 6 ");
    expect(faultOf([...lines, ...lines].join("\n"))).toContain("after the bundle's last line");
    const { code, stderr } = await becalm(["replay", "--file", file("cut", lines.slice(0, 9).join("\n"))]);
    expect(code).toBe(1);
    expect(stderr).toContain("BECALM_BUNDLE_BROKEN");
  });

  test("finds a trail that was changed before the export, and says so at the export as well", async () => {
    const [first] = jsonLines<{ id: string }>((await at("ls", "--json", "--limit", "1")).stdout);
    const id = first?.id as string;
    const key = (await client.keys(`*:storm:i:${id}`))[0] as string;
    const stored = (await client.get(key)) as string;
    await client.set(key, stored.replace('"path":"', '"path":"Defense>'));
    const broken = file("broken.bundle", "");
    const exported = await at("export", id, "--out", broken);
    await client.set(key, stored);
    expect(exported.code).toBe(1);
    expect(exported.stderr).toContain(`${id}: its trail does not hold`);
    const { code, stdout } = await becalm(["audit", "verify", "--file", broken]);
    expect(code).toBe(1);
    expect(stdout).toContain(`✗ ${id}: line `);
  });

  test("may be redacted: the values are gone, the trails still verify and replay", async () => {
    const redacted = file("redacted.bundle", "");
    const { code, stderr } = await at("export", "--redact", "instance", "summary", "--out", redacted);
    expect(code).toBe(0);
    expect(stderr).toContain("instance, summary redacted");
    const shown = readFileSync(redacted, "utf8");
    expect(text).toContain("127.0.1.8:9500");
    expect(shown).not.toContain("127.0.1.8:9500");
    expect(shown).toMatch(/redacted:[0-9a-f]{12}/);
    expect((await becalm(["audit", "verify", "--file", redacted])).code).toBe(0);
    expect((await becalm(["replay", "--file", redacted])).code).toBe(0);
  });

  test("of some: by id, by group, by time", async () => {
    const rows = jsonLines<{ id: string; group: string; createdAt: string }>(
      (await at("ls", "--json", "--limit", "1000")).stdout,
    );
    const { id, group, createdAt } = rows.find(
      (row) => row.group !== undefined && row.group !== null,
    ) as (typeof rows)[0];
    const instancesOf = async (...args: string[]) => {
      const some = file("some.bundle", "");
      expect((await at("export", ...args, "--out", some)).code).toBe(0);
      return jsonLines(readFileSync(some, "utf8").replaceAll(/^\S+ /gm, "")).flatMap((line) => line["id"] ?? []);
    };
    expect(await instancesOf(id)).toEqual([id]);
    const ofGroup = rows.filter((row) => row.group === group).map((row) => row.id);
    expect(new Set(await instancesOf("--group", group))).toEqual(new Set(ofGroup));
    const since = rows.filter((row) => row.createdAt >= createdAt).map((row) => row.id);
    expect(new Set(await instancesOf("--since", createdAt))).toEqual(new Set(since));
  });

  test("of something that there is not is an error, and leaves no file", async () => {
    const missing = join(dirname(bundle), "none.bundle");
    expect((await at("export", "03-0a1b2c3d4e5f60718293a4b5", "--out", missing)).code).toBe(3);
    expect(() => readFileSync(missing)).toThrow("ENOENT");
    expect(() => readFileSync(`${missing}.part`)).toThrow("ENOENT");
    expect((await at("export", "--group", "no-such-group", "--out", missing)).code).toBe(3);
    expect(() => readFileSync(missing)).toThrow("ENOENT");
    expect((await at("export", "--since", "yesterday", "--out", missing)).code).toBe(2);
    expect((await at("export", "--out", "/nowhere/at/all")).code).toBe(1);
    const ontoFolder = await at("export", "--out", dirname(bundle));
    expect([ontoFolder.code, ontoFolder.stderr]).toEqual([1, expect.stringContaining("BECALM_OUTPUT_FAILED")]);
    expect((await becalm(["replay", "--file", join(ROOT, "README.md")])).stderr).toContain("is not a bundle");
  });
});
