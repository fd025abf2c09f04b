import { spawnSync } from "node:child_process";
import { createWriteStream } from "node:fs";
import { open, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import pico from "picocolors";
import { describe, expect, test } from "vitest";
import { peopleLine } from "../../src/cli/detected-alerts.ts";
import type { DetectedAlert } from "../../src/detection/core/detected-alert.ts";
import { ENGLISH_UTC } from "../../src/present/reader.ts";
import { redisDetectionStore } from "../../src/stores/redis/redis-detection-store.ts";
import { becalm, type Ended, jsonLines, ROOT, type RunningCommand, startBecalm, useFiles } from "../support/command.ts";
import { HEADER, metricCsv, metricRows, STRATEGIES } from "../support/metric-rows.ts";
import { useRedis } from "../support/redis-server.ts";

const redis = useRedis();
const file = useFiles();
const strategies = file("strategies.yaml", STRATEGIES);
const records = file("records.csv", metricCsv({ count: 9_000, hosts: 20, seed: 3 }));
const DEMO = ["--strategies", join(ROOT, "demo/strategies.yaml"), "--records", join(ROOT, "demo/host-metrics.csv")];

type Line = { seq: number; receivedAt: string; body: { labels: Record<string, string>; endsAt?: string }[] };
type Summary = { summary: Record<string, number> & { reasons: Record<string, number> } };

const where = (namespace: string) => ["--store", redis.url, "--namespace", namespace];
const detect = (args: readonly string[], input = ""): Promise<Ended> =>
  becalm(["detect", "--strategies", strategies, "--json", ...args], { input });
const summaryOf = (stdout: string) => (jsonLines(stdout).at(-1) as unknown as Summary).summary;

async function storedAlerts(namespace: string): Promise<string[]> {
  const store = redisDetectionStore(redis.url, { namespace });
  const alerts = await store.alerts({ fromSeq: 1, limit: 100_000 });
  await store.close();
  return alerts.map(({ value }) => value);
}

const HOT = Array.from({ length: 6 }, (_, index) => `${1_795_417_160 + index * 10},h,cpu,99`);

async function expectToldThenStopped({ child, ended }: RunningCommand): Promise<void> {
  const told = await new Promise((resolve) => child.stdout?.once("data", resolve));
  expect(jsonLines<Line>(String(told))[0]?.body[0]?.labels["alertname"]).toBe("cpu");
  child.kill("SIGTERM");
  const { code, stderr } = await ended;
  expect(code).toBe(143);
  expect(stderr).toContain("run the same command again to continue");
}

describe("becalm detect", () => {
  test("gives the same lines on every store, and again when it is run again", async () => {
    const runs = [
      await detect(["--records", records]),
      await detect(["--records", records, ...where("same")]),
      await detect(["--records", records, "--from-seq", "1", ...where("same")]),
    ];
    expect(runs.map(({ code }) => code)).toEqual([0, 0, 0]);
    expect(new Set(runs.map(({ stdout }) => stdout)).size).toBe(1);
    expect(runs[2]?.stderr).toContain("9,000 rows were taken before");
    const lines = jsonLines<Line>(runs[0]?.stdout as string).slice(0, -1);
    expect(lines.length).toBeGreaterThan(200);
    expect(lines.map(({ seq }) => seq)).toEqual(lines.map((_, index) => index + 1));
    const summary = summaryOf(runs[0]?.stdout as string);
    expect(summary).toMatchObject({ records: 9_000, alerts: lines.length });
    expect(summary.reasons["value_not_a_number"]).toBe(summary["rejected"]);
  });

  test("tells stored alerts from a number on", async () => {
    await detect(["--records", records, ...where("from")]);
    const all = jsonLines<Line>((await detect(["--records", records, "--from-seq", "1", ...where("from")])).stdout);
    const { stdout } = await detect(["--records", records, ...where("from"), "--from-seq", "100"]);
    expect(jsonLines(stdout)).toEqual(all.slice(99));
    // What was reported is not reported again unless somebody asks.
    expect(jsonLines((await detect(["--records", records, ...where("from")])).stdout)).toEqual(all.slice(-1));
  });

  test("is taken by `becalm run`, every line of it", async () => {
    const policies = join(ROOT, "demo/host-policies.yaml");
    for (const json of [[], ["--json"]]) {
      const found = await becalm(["detect", ...DEMO, ...json]);
      const run = await becalm(["run", "--policies", policies, "--alerts", "-", "--json", "--strict"], {
        input: found.stdout,
      });
      expect(run.stderr).toContain("0 rejected");
      expect(run.code).toBe(0);
      expect(jsonLines(run.stdout).at(-1)).toMatchObject({ summary: { alerts: 34, instances: 17, rejected: 0 } });
    }
  });

  test("reads JSON lines, stdin and several files as it reads one CSV", async () => {
    const [header = "", ...rows] = (await readFile(records, "utf8")).trimEnd().split("\n");
    const alertsOf = ({ stdout }: Ended) => jsonLines(stdout).slice(0, -1);
    const whole = alertsOf(await detect(["--records", records]));
    const objects = rows.map((row) => {
      const [time, host, metric, value] = row.split(",");
      return JSON.stringify({
        time: Number(time),
        host,
        metric,
        value: Number.isNaN(Number(value)) ? value : Number(value),
      });
    });
    const jsonl = file("records.jsonl", objects.join("\n"));
    const first = file("first.csv", `${header}\n${rows.slice(0, 4_321).join("\n")}\n`);
    const second = file("second.csv", `${header}\n${rows.slice(4_321).join("\n")}\n`);
    expect(alertsOf(await detect(["--records", jsonl]))).toEqual(whole);
    expect(alertsOf(await detect(["--records", "-"], objects.join("\n")))).toEqual(whole);
    expect(alertsOf(await detect(["--records", "-"], await readFile(records, "utf8")))).toEqual(whole);
    // Several files are merged by time: what each alert says is the same.
    const said = (lines: ReturnType<typeof alertsOf>) =>
      lines.map(({ seq: _seq, ...line }) => JSON.stringify(line)).sort();
    expect(said(alertsOf(await detect(["--records", second, first])))).toEqual(said(whole));
    // The first half in one run and the second in another: more follows, so the newest points must wait.
    await detect(["--records", first, "--no-flush", ...where("halves")]);
    expect(alertsOf(await detect(["--records", second, "--from-seq", "1", ...where("halves")]))).toEqual(whole);
  });

  test("goes on in a file that grew", async () => {
    const lines = (await readFile(records, "utf8")).split("\n");
    const growing = file("growing.csv", `${lines.slice(0, 5_000).join("\n")}\n`);
    await detect(["--records", growing, "--no-flush", ...where("growing")]);
    file("growing.csv", lines.join("\n"));
    await detect(["--records", growing, ...where("growing")]);
    await detect(["--records", records, ...where("whole")]);
    expect(await storedAlerts("growing")).toEqual(await storedAlerts("whole"));
  });

  test("of two and more processes at once stores and tells what one does", async () => {
    const alone = await detect(["--records", records, ...where("alone")]);
    const many = await Promise.all(
      [1, 2, 3].map(() => detect(["--records", records, "--from-seq", "1", ...where("together")])),
    );
    expect(await storedAlerts("together")).toEqual(await storedAlerts("alone"));
    for (const { stdout } of many) expect(stdout).toBe(alone.stdout);
  });

  test("makes alerts whose labels and annotations keep to what an alert may have", async () => {
    const annotated = `${STRATEGIES}    annotations: { summary: "${"{{ host }} ".repeat(9)}" }\n`;
    const host = "x".repeat(16_000);
    const path = file("long.csv", [HEADER, `1795417160,${host},memory,99`, `1795417200,${host},memory,99`].join("\n"));
    const { stdout } = await becalm(["detect", "--strategies", file("long.yaml", annotated), "--records", path]);
    const [line] = jsonLines<{ body: { annotations: { summary: string } }[] }>(stdout);
    expect(line?.body[0]?.annotations.summary).toBe("{{ host }} ".repeat(9));
    const policies = join(ROOT, "demo/host-policies.yaml");
    const run = await becalm(["run", "--policies", policies, "--alerts", "-", "--strict"], { input: stdout });
    expect(run.code).toBe(0);
  });

  test("is the second part of the demo: from the records of a host to a few actions", async () => {
    const { code, stdout, stderr } = await becalm(["demo"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain("6,600 records -> 3,000 state events -> 34 alerts -> 17 instances -> 3 actions");
    const kept = ["demo", "--store", redis.url];
    const [first, second] = [await becalm(kept), await becalm(kept)];
    expect([first.code, second.stdout]).toEqual([0, first.stdout]);
  });

  test("decides what a pipe brought without waiting for its end", async () => {
    const { child, ended } = startBecalm(["detect", "--strategies", strategies, "--records", "-", ...where("pipe")], {
      keepsInputOpen: true,
    });
    child.stdin?.write(`${[HEADER, ...HOT].join("\n")}\n`);
    await expectToldThenStopped({ child, ended });
  });

  test("decides what a named pipe brought without waiting for its end, and stops while it is open", async () => {
    const path = file("pipe", "");
    await rm(path);
    expect(spawnSync("mkfifo", [path]).status).toBe(0);
    const running = startBecalm(["detect", "--strategies", strategies, "--records", path, ...where("named-pipe")]);
    const writing = await open(path, "w");
    await writing.write(`${[HEADER, ...HOT].join("\n")}\n`);
    await expectToldThenStopped(running);
    await writing.close();
  });
});

describe("bad input", () => {
  const good = (value: string, time = 1_795_417_160) => `${time},h1,cpu,${value}`;

  test.each([
    ["a time that is missing", ",h1,cpu,1", "time"],
    ["a time in ms", "1795417160000,h1,cpu,1", "time_in_ms"],
    ["a time without its zone", "2026-11-23T07:00:00,h1,cpu,1", "time_not_a_number"],
    ["a day number of a spreadsheet", "45244.93,h1,cpu,1", "time_out_of_range"],
    ["a value that no number is so great", good("1e999"), "value_not_finite"],
    ["a text instead of a number", good("n/a"), "value_not_a_number"],
    ["a cell too few", "1795417160,h1,cpu", "row_short"],
    ["a cell too many", `${good("1")},5`, "row_long"],
    ["binary garbage", `1795417160,\u0000\u0001,cpu,1`, "binary"],
    ["a stray quote", `1795417160,"h"1,cpu,1`, "quote_misplaced"],
    ["a dimension too long for a label", `1795417160,${"é".repeat(8_193)},cpu,1`, "dimension_too_long"],
    ["a row without end", `1795417160,${"x".repeat(70_000)},cpu,1`, "row_too_long"],
  ])("%s is rejected with its line, counted, and the next row is read", async (_what, row, reason) => {
    const path = file("bad.csv", [HEADER, good("1"), row, good("2", 1_795_417_170)].join("\n"));
    const { code, stdout, stderr } = await detect(["--records", path]);
    const summary = summaryOf(stdout);
    expect(code).toBe(0);
    expect(summary).toMatchObject({ records: 3, rejected: 1, accepted: 2 });
    expect(Object.keys(summary.reasons)[0]).toContain(reason);
    expect(stderr).toContain(`bad.csv:3: rejected: `);
    expect((await detect(["--records", path, "--strict"])).code).toBe(1);
  });

  test.each([
    ["a nested value", '{"time":1795417160,"host":"h1","metric":"cpu","value":{"a":1}}', "value_not_a_number"],
    ["half a line", '{"time":1795417160,"host"', "json_invalid"],
    ["a list", "[1,2]", "record_not_an_object"],
    ["a time that is missing", '{"host":"h1","metric":"cpu","value":1}', "time_missing"],
    [
      "a column that changes its type",
      '{"time":1795417165,"host":"h1","metric":"cpu","value":"many"}',
      "value_not_a_number",
    ],
    [
      "nests without end",
      `{"time":1795417160,"host":${"[".repeat(20_000)}${"]".repeat(20_000)},"metric":"cpu","value":1}`,
      "dimension_too_deep",
    ],
  ])("%s in JSON lines is rejected with its line", async (_what, line, reason) => {
    const fine = '{"time":1795417160,"host":"h1","metric":"cpu","value":"7"}';
    const path = file(
      "bad.jsonl",
      [fine, "", line, '{"time":1795417170,"host":7,"metric":"cpu","value":true}'].join("\n"),
    );
    const { code, stdout, stderr } = await detect(["--records", path, "--strict"]);
    expect(code).toBe(1);
    expect(summaryOf(stdout)).toMatchObject({ records: 3, rejected: 1, accepted: 2, reasons: { [reason]: 1 } });
    expect(stderr).toContain("bad.jsonl:3: rejected: ");
  });

  test("numbers as text are numbers, and an empty value is none", async () => {
    const path = file(
      "text.csv",
      [HEADER, good(" 95 "), good("1e2", 1_795_417_170), good("", 1_795_417_180)].join("\n"),
    );
    expect(summaryOf((await detect(["--records", path])).stdout)).toMatchObject({ accepted: 2, withoutValue: 1 });
  });

  test.each([
    ["an empty file", "", "is empty"],
    ["a header that lacks columns", "time,value\n1,2\n", "has no column metric, host"],
    ["a column twice", "time,time,host,metric,value\n", "twice"],
    ["binary garbage", Buffer.from([0x89, 0x50, 0x4e, 0x47, 0, 1, 2, 10, 0xff, 0xfe]).toString("latin1"), "header"],
  ])("%s is an error with its line, and the exit code is 2", async (_what, text, message) => {
    const path = file("header.csv", text);
    const { code, stdout, stderr } = await detect(["--records", path]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain("BECALM_ARGUMENT_INVALID");
    expect(stderr).toContain("header.csv:1: ");
    expect(stderr).toContain(message);
  });

  test("a header and nothing else is not an error", async () => {
    const { code, stdout } = await detect(["--records", file("none.csv", `${HEADER}\n`), "--strict"]);
    expect({ code, ...summaryOf(stdout) }).toMatchObject({ code: 0, records: 0, rejected: 0 });
  });

  test("what records hold never reaches a terminal as a command to it", async () => {
    const [time, escapes] = [1_795_417_160, '"\\u001b]0;x\\u0007\\u009b31m\\u007f\\n"'];
    const records = [escapes, 99].map((v) => `{"time":${time},"host":${escapes},"metric":"memory","value":${v}}`);
    const annotated = `${STRATEGIES}    annotations: { summary: "{{ host }}" }\n`;
    const path = file("escapes.jsonl", records.join("\n"));
    const found = await becalm(["detect", "--strategies", file("escapes.yaml", annotated), "--records", path]);
    const [line] = jsonLines<{ body: [DetectedAlert["alert"]] }>(found.stdout);
    const alert = { ...(line as NonNullable<typeof line>).body[0], status: "firing" as const };
    expect(alert.annotations["summary"]).toBe(JSON.parse(escapes));
    const detected = {
      time,
      severity: "warning",
      strategy: "memory",
      reason: "triggered",
      dimensionsMd5: "",
      alert,
    } as const;
    const told = peopleLine(detected, { outColors: pico.createColors(false), reader: ENGLISH_UTC });
    for (const text of [told, ...found.stderr.trimEnd().split("\n")]) expect(text).not.toMatch(/\p{Cc}/u);
  });

  test("wrong strategies, options and paths are told before anything is read", async () => {
    const wrong = file("wrong.yaml", "strategies:\n  - name: x\n    interval: 1s\n");
    const cases: [string[], number, string][] = [
      [["detect", "--strategies", wrong, "--records", records], 2, "BECALM_STRATEGY_INVALID"],
      [["detect", "--strategies", strategies, "--records", "nowhere.csv"], 3, "BECALM_NOT_FOUND"],
      [["detect", "--strategies", strategies, "--records", ROOT], 2, "directory"],
      [["detect", "--strategies", strategies, "--records", records, records], 2, "twice"],
      [["detect", "--strategies", strategies, "--records", records, "--from-seq", "0"], 2, "whole number"],
      [
        ["detect", "--strategies", strategies, "--records", records, "--stream", "a b", "--store", redis.url],
        2,
        "not a valid name",
      ],
      [["detect", "--strategies", strategies, "--records", records, "-", "--source", "x"], 2, "single input"],
      [
        ["detect", "--strategies", strategies, "--records", records, "--store", "redis://127.0.0.1:1"],
        1,
        "cannot be used",
      ],
    ];
    for (const [args, code, message] of cases) {
      const ended = await becalm(args);
      expect([args.at(-1), ended.code]).toEqual([args.at(-1), code]);
      expect(ended.stderr).toContain(message);
      expect(ended.stdout).toBe("");
    }
  });

  test("the same path with other rows is refused instead of skipped", async () => {
    const path = file("replaced.csv", metricCsv({ count: 50, hosts: 2, seed: 4 }));
    expect((await detect(["--records", path, ...where("replaced")])).code).toBe(0);
    file("replaced.csv", metricCsv({ count: 50, hosts: 2, seed: 5 }));
    const { code, stderr } = await detect(["--records", path, ...where("replaced")]);
    expect(code).toBe(4);
    expect(stderr).toContain("begins otherwise");
  });
});

describe("a large file", () => {
  test("needs hardly more memory than a small one, with Node as it is started", {
    timeout: 180_000,
  }, async () => {
    const large = file("large.csv", "");
    await pipeline(Readable.from(largeCsv()), createWriteStream(large));
    const { size } = await stat(large);
    expect(size).toBeGreaterThan(50_000_000);
    const [small, whole] = [await peakMibOf(records), await peakMibOf(large)];
    expect(whole).toBeLessThan(1.3 * small);
  });
});

function* largeCsv(): Generator<string> {
  let piece = `${HEADER}\n`;
  for (const row of metricRows({ count: 1_800_000, hosts: 40, seed: 6 })) {
    piece += `${row}\n`;
    if (piece.length < 65_536) continue;
    yield piece;
    piece = "";
  }
  yield piece;
}

/** The most memory that the process had, by the kernel's word. */
async function peakMibOf(path: string): Promise<number> {
  const args = ["detect", "--strategies", strategies, "--records", path, "--quiet"];
  const { child, ended } = startBecalm(args, { env: { NODE_OPTIONS: "" } });
  let peakKib = 0;
  const look = async () => {
    const text = await readFile(`/proc/${child.pid}/status`, "utf8").catch(() => "");
    peakKib = Number(/VmHWM:\s+(\d+)/.exec(text)?.[1] ?? peakKib);
  };
  const timer = setInterval(() => void look(), 50);
  const { code, stderr } = await ended;
  clearInterval(timer);
  // Nor does V8 complain of a flag that it does not know.
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return peakKib / 1_024;
}
