/** The forms in which a file of alerts may come, through the command. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { becalm, jsonLines, ROOT, useFiles } from "../support/command.ts";

const file = useFiles();
const POLICIES = file(
  "policies.yaml",
  `policies:
  - name: few
    match: ['alertname="UnitDown"']
    action: { log: {} }
    converge: { function: skip_when_exceed, by: [site], count: 1, window: 5m }
`,
);

type Summary = { readonly summary: Readonly<Record<string, number>> };

function run(alerts: string, more: readonly string[] = []) {
  return becalm(["run", "--policies", POLICIES, "--alerts", alerts, "--json", ...more]);
}

function summaryOf(stdout: string): Readonly<Record<string, number>> {
  return (jsonLines(stdout).at(-1) as Summary).summary;
}

function alert(unit: string, startsAt: string, more: object = {}) {
  return { labels: { alertname: "UnitDown", site: "north", unit }, startsAt, ...more };
}

const captured = ["06:00", "06:01", "06:02"].map((minute, index) => ({
  receivedAt: `2026-11-23T${minute}:00Z`,
  body: [alert(`u${index}`, `2026-11-23T${minute}:00Z`), alert("again", "2026-11-23T06:00:00Z")],
}));
const LINES = captured.map((request) => JSON.stringify(request)).join("\n");

describe("a file of the same requests gives the same output", () => {
  test.each<[string, string]>([
    ["as one pretty-printed list", JSON.stringify(captured, null, 2)],
    ["as one list on one line", JSON.stringify(captured)],
    ["as one list, a request a line", `[\n${captured.map((request) => JSON.stringify(request)).join(",\n")}\n]\n`],
    ["pretty-printed one after the other", captured.map((request) => JSON.stringify(request, null, 4)).join("\n")],
    [
      "pretty-printed behind blank lines, with CRLF",
      `\r\n\r\n${JSON.stringify(captured, null, 2).replaceAll("\n", "\r\n")}`,
    ],
    [
      "in another order, sorted",
      captured
        .toReversed()
        .map((request) => JSON.stringify(request))
        .join("\n"),
    ],
  ])("%s", async (how, text) => {
    const sorted = how.endsWith("sorted") ? ["--sort"] : [];
    const lines = await run(file("lines.jsonl", LINES));
    const other = await run(file("other.json", text), ["--strict", ...sorted]);
    expect(other.stderr).toBe(lines.stderr);
    expect(other.stdout).toBe(lines.stdout);
    expect(other.code).toBe(0);
  });

  test("also the storm, printed by jq", async () => {
    const storm = join(ROOT, "test/data/prometheus-storm/api-v2-alerts.jsonl");
    const pretty = readFileSync(storm, "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.stringify(JSON.parse(line), null, 2))
      .join("\n");
    const policies = ["--policies", join(ROOT, "demo/policies.yaml"), "--json"];
    const lines = await becalm(["run", "--alerts", storm, ...policies]);
    const printed = await becalm(["run", "--alerts", file("storm.json", pretty), ...policies]);
    expect(printed.stdout).toBe(lines.stdout);
  });
});

describe("a file that is not what it should be", () => {
  test.each<[string, string, RegExp]>([
    ["a CSV", "time,host,value\n1,a,2\n2,b,3\n", /line 1 rejected: the line is not JSON.*the 2 others/],
    ["a log", '{"msg":"a"}\n{"msg":"b"}\n', /line 1 rejected: .*the keys "msg"/],
    ["a pretty-printed list of something else", JSON.stringify([{ x: 1 }, { x: 2 }], null, 2), /the keys "x"/],
    [
      "a broken pretty-printed list",
      '[\n  {\n    "labels": }\n  }\n]\n',
      /unexpected "}.*at character 15 of its line 3/,
    ],
    ["a list that does not end", '[\n  {\n    "labels": {}\n', /ends too early/],
  ])("%s: one sentence, exit 2, nothing on stdout", async (_, text, reason) => {
    const { code, stdout, stderr } = await run(file("odd.json", text));
    expect(code).toBe(2);
    expect(stdout).toBe("");
    expect(stderr).toMatch(/^error BECALM_ARGUMENT_INVALID: Nothing in .*odd\.json has the shape of alerts/);
    expect(stderr).toMatch(reason);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
  });

  test("nothing of it could be taken: exit 1, with every reason and the summary", async () => {
    const text = `${JSON.stringify([{ labels: {} }])}\n${JSON.stringify([alert("u1", "soon")])}\n`;
    const { code, stdout, stderr } = await run(file("bad.jsonl", text));
    expect(code).toBe(1);
    expect(stderr.match(/rejected: /g)).toHaveLength(2);
    expect(summaryOf(stdout)).toMatchObject({ alerts: 0, rejected: 2 });
  });

  test("only its first line is torn: the others are taken", async () => {
    const { code, stdout, stderr } = await run(file("torn.jsonl", `${LINES.slice(0, 40)}\n${LINES}`));
    expect(code).toBe(0);
    expect(stderr).toContain("line 1 rejected: the line is not JSON: it ends too early");
    expect(summaryOf(stdout)).toMatchObject({ alerts: 6, rejected: 1 });
  });

  test("only its last document is torn: it is told by the line where it begins", async () => {
    const whole = JSON.stringify(captured[0], null, 2);
    const text = `${whole}\n${JSON.stringify(captured[1], null, 2).slice(0, -4)}`;
    const { code, stdout, stderr } = await run(file("torn.json", text));
    expect(code).toBe(0);
    expect(stderr).toContain(`line ${whole.split("\n").length + 1} rejected: `);
    expect(summaryOf(stdout)).toMatchObject({ alerts: 2, rejected: 1 });
  });

  test("a request in a list is told by its number", async () => {
    const { stderr } = await run(file("list.json", JSON.stringify([captured[0], { receivedAt: 1, body: [] }])));
    expect(stderr).toContain("line 1, request 2 rejected: receivedAt");
  });
});

describe("Alertmanager's event recorder", () => {
  const labels = { alertname: "UnitDown", site: "north", unit: "u7" };
  const asPairs = { labels: Object.entries(labels).map(([key, value]) => ({ key, value })) };
  const event = (at: string, data: object) => ({ "@timestamp": at, instance: "am-1", data });
  const times = { startsAt: "2026-11-23T09:59:00Z", endsAt: "2026-11-23T10:04:00Z" };
  const story = (spelled: unknown) =>
    [
      event("2026-11-23T09:58:00Z", { alertmanagerStartupEvent: { version: "0.34.0" } }),
      event("2026-11-23T10:00:00.1Z", { alertCreated: { alert: { labels: spelled, ...times } } }),
      event("2026-11-23T10:00:30Z", {
        notification: { alerts: [{ hash: "1", details: { labels: spelled, ...times } }] },
      }),
      event("2026-11-23T10:05:00Z", {
        alertResolved: { alert: { details: { labels: spelled, ...times, resolved: true } } },
      }),
    ]
      .map((line) => JSON.stringify(line))
      .join("\n");

  test("both of its schemas give the same output: one instance, which is resolved at the end", async () => {
    const first = await run(file("v1.jsonl", story(asPairs)), ["--strict"]);
    const second = await run(file("v2.jsonl", story(labels)), ["--strict"]);
    expect(first.code).toBe(0);
    expect(second.stdout).toBe(first.stdout);
    expect(summaryOf(first.stdout)).toMatchObject({ alerts: 3, instances: 1, executed: 1, resolved: 1, rejected: 0 });
  });
});
