/** Who reads what the commands write: in which language, in which zone, on how wide a screen. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SENDABLE_EVENTS } from "../../src/instance/event-input.ts";
import { INSTANCE_STATES } from "../../src/model/instance-types.ts";
import { REASONS } from "../../src/model/reasons.ts";
import { columnsOf } from "../../src/present/text-width.ts";
import { becalm, type Ended, jsonLines, ROOT } from "../support/command.ts";

const dir = mkdtempSync(join(tmpdir(), "becalm-reader-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
const path = (name: string) => join(dir, name);
const store = `lmdb:${path("store")}`;
const who = ["--by", "ann", "--why", "x1"];
const START_MS = Date.UTC(2026, 10, 23, 22, 30);

/** Nothing in these files is a word, so every word that comes out is the command's own. */
const POLICIES = `
policies:
  - name: p1
    match: ['alertname="A1"']
    action: { log: {} }
    converge: { function: defense, by: [c], count: 2, window: 30m }
    approval: { timeout: 3h }
  - name: p2
    match: ['alertname="A2"']
    action: { log: {} }
    converge: { function: skip_when_exceed, by: [c], count: 2, window: 30m }
    retry: { limit: 1, delay: 10s }
  - name: p3
    match: ['alertname="A3"']
    action: { log: {} }
`;

function requests(): string {
  const lines: string[] = [];
  for (let number = 0; number < 18; number += 1) {
    const receivedAt = new Date(START_MS + number * 10_000).toISOString();
    const labels = { alertname: `A${(number % 3) + 1}`, c: "c1", h: `h${number}` };
    lines.push(JSON.stringify({ receivedAt, path: "/api/v2/alerts", body: [{ labels, startsAt: receivedAt }] }));
  }
  return `${lines.join("\n")}\n`;
}

const RUN = ["run", "--policies", path("p.yaml"), "--alerts", path("a.jsonl")];
const inZone = (args: readonly string[], lang = "zh"): Promise<Ended> =>
  becalm([...args, "--lang", lang, "--tz", "Asia/Shanghai"]);

async function idOf(...filter: string[]): Promise<string> {
  const { stdout } = await becalm(["ls", "--json", "--store", store, ...filter]);
  return jsonLines<{ id: string }>(stdout)[0]?.id ?? "";
}

beforeAll(async () => {
  mkdirSync(dir, { recursive: true });
  writeFileSync(path("p.yaml"), POLICIES);
  writeFileSync(path("q.yaml"), POLICIES.replaceAll("count: 2", "count: 4"));
  writeFileSync(path("a.jsonl"), requests());
  const { code } = await becalm([...RUN, "--assume", "p2=failed,ok", "--store", store, "--log", path("l.jsonl")]);
  expect(code).toBe(0);
});

/** Every English text that a command has in two languages, from the sources. */
function englishWords(): Set<string> {
  const folders = ["src/cli", "src/present", "src/model/reasons.ts"];
  const files = folders.flatMap((one) =>
    one.endsWith(".ts") ? [one] : readdirSync(join(ROOT, one)).map((name) => `${one}/${name}`),
  );
  const literal = String.raw`("(?:[^"\\]|\\.)*"|${"`"}(?:[^${"`"}\\]|\\.)*${"`"})`;
  const pairs = [
    new RegExp(String.raw`\bsay\(\s*${literal},\s*${literal}`, "g"),
    new RegExp(String.raw`\ben: ${literal},\s*zh: ${literal}`, "g"),
  ];
  const words = new Set<string>();
  const kept = new Set<string>();
  for (const file of files) {
    const text = readFileSync(join(ROOT, file), "utf8");
    for (const pair of pairs) {
      for (const [, english = "", chinese = ""] of text.matchAll(pair)) {
        for (const word of wordsOf(chinese)) kept.add(word);
        for (const word of wordsOf(english)) words.add(word);
      }
    }
  }
  for (const word of kept) words.delete(word);
  return words;
}

/** Without code in backticks and what is put in. */
function wordsOf(text: string): string[] {
  return text.replace(/\$\{[^}]*\}/g, " ").match(/[A-Za-z]{3,}/g) ?? [];
}

/** Labels, annotations and severities of the demo's alerts, and what its simulated targets answer. */
const DATA = ["instance", "summary", "severity", "critical", "warning", "simulated"];
const NAMES = new Set<string>([
  ...DATA,
  ...Object.keys(REASONS),
  ...SENDABLE_EVENTS,
  ...INSTANCE_STATES,
  "start",
  "retry",
  "approval",
  "wait",
  "silence",
  "pause",
]);

/** What stays as it is in any language: commands to copy, options, paths, policies as YAML, names of states, events, reasons and functions. */
function proseOf(output: string): string {
  return output
    .replaceAll("&#95;", "_")
    .replace(/<[a-z/]+>/g, " ")
    .replace(/^ *(?:- )?[a-z_]+:(?: .*)?$/gm, " ")
    .replace(/becalm [^，。）\n]*/g, " ")
    .replace(/`[^`]*`/g, " ")
    .replace(/--[a-z-]+/g, " ")
    .replace(/(?:lmdb:)?\/[\w./-]+/g, " ")
    .replace(/\w+(?:[._@/-]\w+)+/g, " ")
    .split(/\s+/)
    .filter((word) => !NAMES.has(word.replace(/[^A-Za-z.]/g, "")))
    .join(" ");
}

describe("--lang zh", () => {
  test("leaves no English word of what has a Chinese text, on any command", async () => {
    const waiting = await idOf("--state", "Waiting");
    const skipped = await idOf("--state", "Skipped");
    const failed = await idOf("--policy", "p2");
    const at = ["--store", store];
    const commands: string[][] = [
      RUN,
      [...RUN, "--assume", "p2=failed"],
      ["demo"],
      ["ls", ...at],
      ["ls", "--state", "Idle", ...at],
      ["ls", "--limit", "2", ...at],
      ["ls", "--quarantined", ...at],
      ["ls", "--policy", "p9", ...at],
      ["show", waiting, ...at],
      ["show", skipped, ...at],
      ["show", failed, ...at],
      ["policy", ...at],
      ["policy", "p1", ...at],
      ["check", path("p.yaml"), join(ROOT, "demo/strategies.yaml")],
      ["replay", waiting, ...at],
      ["replay", "--all", ...at],
      ["audit", "verify", ...at],
      ["audit", "verify", "--against", path("l.jsonl"), ...at],
      ["export", "--out", path("b.bundle"), "--redact", "h", ...at],
      ["backup", path("copy"), ...at],
      ["diff", "--policies", path("q.yaml"), "--against", path("p.yaml"), "--alerts", path("a.jsonl")],
      ["diff", "--policies", path("q.yaml"), "--against", path("p.yaml"), "--alerts", path("a.jsonl"), "--markdown"],
      ["tune", "--policies", path("p.yaml"), "--policy", "p2", "--alerts", path("a.jsonl"), "--vary", "count=1..3"],
      ["silence", "add", 'c="c2"', "--for", "2h", ...who, ...at],
      ["silence", "ls", ...at],
      ["pause", ...who, ...at],
      ["pause", "--list", ...at],
      ["resume", ...who, ...at],
      ["resume", "--decide", ...who, ...at],
      ["approve", waiting, ...who, "--run", ...at],
      ["show", waiting, ...at],
      ["send", skipped, "start", ...who, ...at],
      ["deny", "--group", "p1:!sha1#0", ...who, ...at],
      ["pause", "--list", ...at],
    ];
    const english = englishWords();
    expect(english.size).toBeGreaterThan(300);
    const found: string[] = [];
    for (const args of commands) {
      const { stdout, stderr } = await inZone(args);
      const notes = stderr.split("\n").filter((line) => !line.startsWith("error "));
      const prose = proseOf([stdout, ...notes].join("\n"));
      const left = (prose.match(/[A-Za-z]{3,}/g) ?? []).filter((word) => english.has(word));
      if (left.length > 0) found.push(`${args.slice(0, 2).join(" ")}: ${[...new Set(left)].join(" ")}`);
    }
    expect(found).toEqual([]);
  });

  test("changes nothing for programs: --json says the same in both languages and every zone", async () => {
    const skipped = await idOf("--state", "Skipped");
    for (const args of [["ls"], ["show", skipped], ["policy"], ["doctor"]]) {
      const plain = await becalm([...args, "--json", "--store", store]);
      expect((await inZone([...args, "--json", "--store", store])).stdout).toBe(plain.stdout);
    }
  });

  test("may stand in the environment, and an option wins over it", async () => {
    const env = { BECALM_LANG: "zh", BECALM_TZ: "Asia/Shanghai" };
    const { stdout } = await becalm(["ls", "--limit", "1", "--store", store], { env });
    expect(stdout.split("\n")[0]).toContain("创建时间 (Asia/Shanghai)");
    const english = await becalm(["ls", "--limit", "1", "--store", store, "--lang", "en"], { env });
    expect(english.stdout.split("\n")[0]).toContain("created (Asia/Shanghai)");
  });
});

describe("--tz", () => {
  test("shows the times of a zone, with the zone, and the day on which each step was taken", async () => {
    const id = await idOf("--state", "Skipped");
    const utc = await becalm(["show", id, "--store", store]);
    expect(utc.stdout).toMatch(/created +2026-11-23 22:3\d:\d\d\.\d{3} UTC/);
    expect(utc.stdout).toContain("  2026-11-23 (UTC)\n");
    const { stdout } = await inZone(["show", id, "--store", store], "en");
    expect(stdout).toMatch(/created +2026-11-24 06:3\d:\d\d\.\d{3} \+08:00/);
    expect(stdout).toContain("  2026-11-24 (Asia/Shanghai)\n");
    const waiting = await inZone(["show", await idOf("--state", "Waiting"), "--store", store], "en");
    expect(waiting.stdout).toMatch(/approval due 2026-11-24 09:\d\d:\d\d\.\d{3} \+08:00/);
  });

  test("is refused with the nearest name when there is no such zone", async () => {
    const { code, stderr } = await becalm(["ls", "--tz", "Asia/Shanghia", "--store", store]);
    expect([code, stderr]).toEqual([2, expect.stringContaining("Did you mean Asia/Shanghai?")]);
  });
});

describe("80 columns", () => {
  test("hold every help, and every instance that is shown", async () => {
    const { stdout } = await becalm(["--help"]);
    const commands = [...stdout.matchAll(/^ {2}([a-z]+)\b/gm)].map((match) => match[1] as string);
    expect(commands.length).toBeGreaterThan(20);
    const wide: string[] = [];
    const look = (name: string, text: string) => {
      for (const line of text.split("\n")) if (columnsOf(line) > 80) wide.push(`${name}: ${line}`);
    };
    look("help", stdout);
    for (const name of commands) look(name, (await becalm(["help", name])).stdout);
    for (const state of ["Waiting", "Skipped", "Success"]) {
      const id = await idOf("--state", state);
      for (const lang of ["en", "zh"])
        look(`show ${state}`, (await inZone(["show", id, "--store", store], lang)).stdout);
    }
    expect(wide).toEqual([]);
  });
});
