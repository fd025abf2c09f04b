import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { loadPolicySet } from "../../src/formats/policy-file.ts";
import { runProgram, skipUnlessThere } from "../support/debian-programs.ts";
import { send } from "../support/http-client.ts";
import { type ServerWorld, serverWorld } from "../support/server-world.ts";

const RULES = "deploy/becalm-rules.yml";
type RuleFile = { groups: { rules: { alert: string; annotations: { summary: string } }[] }[] };
const SUMMARIES = new Map(
  (parse(readFileSync(RULES, "utf8")) as RuleFile).groups.flatMap(({ rules }) =>
    rules.map(({ alert, annotations }) => [alert, annotations.summary] as const),
  ),
);
const [ALIVE, SILENT] = ["BecalmAlive", "BecalmDecidesNothing"].map((name) => SUMMARIES.get(name));

describe("alert rules for Becalm itself", () => {
  let world: ServerWorld;
  beforeAll(async () => {
    world = await serverWorld();
  });
  afterAll(() => world.close());

  test("ask only for metrics that a server has", async () => {
    const { text } = await send(`${world.url}/metrics`);
    const asked = new Set([...readFileSync(RULES, "utf8").matchAll(/becalm_[a-z_]+/g)].map(([name]) => name));
    const missing = [...asked].filter((name) => !text.includes(`# TYPE ${name.replace(/_bucket$/, "")} `));
    expect(missing).toEqual([]);
  });

  test.skipIf(skipUnlessThere())("bring BecalmAlive back again and again, and notice when nothing is decided", () => {
    const alive = (at: string, isThere: boolean) => ({
      eval_time: at,
      alertname: "BecalmAlive",
      exp_alerts: isThere ? [{ exp_labels: { severity: "none" }, exp_annotations: { summary: ALIVE } }] : [],
    });
    const silent = (at: string, isThere: boolean) => ({
      eval_time: at,
      alertname: "BecalmDecidesNothing",
      exp_alerts: isThere
        ? [{ exp_labels: { job: "becalm", severity: "warn" }, exp_annotations: { summary: SILENT } }]
        : [],
    });
    const series = (name: string, instance: string, values: string) => ({
      series: `${name}{job="becalm",instance="${instance}"}`,
      values,
    });
    const starts = ["a", "b"].map((one) => series("becalm_process_start_time_seconds", one, "0x60"));
    const quiet = series("becalm_last_decision_timestamp_seconds", "b", "0x60");
    const decided = "0x9 600x9 1200x9 1800x9 2400x20";
    const tests = {
      rule_files: [join(process.cwd(), RULES)],
      evaluation_interval: "1m",
      tests: [
        {
          interval: "1m",
          input_series: [...starts, quiet, series("becalm_last_decision_timestamp_seconds", "a", decided)],
          alert_rule_test: [
            ...["2m", "12m", "22m"].map((at) => alive(at, true)),
            ...["7m", "17m"].map((at) => alive(at, false)),
            ...["10m", "20m", "39m"].map((at) => silent(at, false)),
            silent("61m", true),
          ],
        },
        {
          interval: "1m",
          input_series: [...starts, quiet, series("becalm_last_decision_timestamp_seconds", "a", "0x60")],
          alert_rule_test: [silent("15m", false), silent("25m", true)],
        },
      ],
    };
    const folder = mkdtempSync(join(tmpdir(), "becalm-rules-"));
    writeFileSync(join(folder, "tests.yml"), JSON.stringify(tests));
    const { code, stdout, stderr } = runProgram("promtool", ["test", "rules", join(folder, "tests.yml")]);
    rmSync(folder, { recursive: true });
    expect([code, stderr], stdout).toEqual([0, ""]);
  });

  test("may rely on counters that begin with 0: what comes to be with 1 has not increased", async () => {
    const { text } = await send(`${world.url}/metrics`);
    const rates = [...readFileSync(RULES, "utf8").matchAll(/(becalm_\w+_total\{[^}]+\})/g)].map(([name]) => name);
    expect(rates.length).toBeGreaterThan(1);
    expect(rates.filter((name) => !text.includes(`${name} 0\n`))).toEqual([]);
  });

  test.skipIf(skipUnlessThere())("pass Prometheus's own check", () => {
    const { code, stderr } = runProgram("promtool", ["check", "rules", RULES]);
    expect([code, stderr]).toEqual([0, ""]);
  });
});

type Panel = {
  type: string;
  title: string;
  targets?: { expr: string }[];
  gridPos: { x: number; y: number; w: number; h: number };
};
type Service = {
  image?: string;
  build?: { dockerfile: string };
  volumes?: string[];
  healthcheck?: object;
  depends_on?: Record<string, unknown>;
};

const STRATEGIES = `strategies:
  - { name: s, query: { value: v, time: t, dimensions: [] }, interval: 1s, levels: [{ severity: page, when: "> 1" }] }
`;

describe("the dashboard", () => {
  const dashboard = JSON.parse(readFileSync("deploy/grafana-dashboard.json", "utf8")) as { panels: Panel[] };
  const expressions = dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));

  test("asks only for metrics that a server has, with labels that they have", async () => {
    const world = await serverWorld({ strategies: STRATEGIES });
    const { text } = await send(`${world.url}/metrics`);
    await world.close();
    const asked = new Set(
      expressions.flatMap((expr) => [...expr.matchAll(/becalm_[a-z0-9_]+/g)].map(([name]) => name)),
    );
    expect(asked.size).toBeGreaterThan(15);
    const missing = [...asked].filter((name) => !text.includes(`# TYPE ${name.replace(/_bucket$/, "")} `));
    expect(missing).toEqual([]);
  });

  test("has panels that do not lie on each other, each with something to ask", () => {
    const panels = dashboard.panels.filter(({ type }) => type !== "row");
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, n) => `${x + (n % w)} ${y + Math.floor(n / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    expect(panels.filter(({ targets = [] }) => targets.length === 0)).toEqual([]);
  });

  test.skipIf(skipUnlessThere())("asks in a language that Prometheus reads", () => {
    const folder = mkdtempSync(join(tmpdir(), "becalm-dashboard-"));
    const rules = expressions.map((expr, n) => ({
      record: `becalm:panel_${n}`,
      expr: expr.replaceAll("$__rate_interval", "5m"),
    }));
    writeFileSync(join(folder, "rules.yml"), JSON.stringify({ groups: [{ name: "panels", rules }] }));
    const { code, stderr } = runProgram("promtool", ["check", "rules", join(folder, "rules.yml")]);
    rmSync(folder, { recursive: true });
    expect([code, stderr]).toEqual([0, ""]);
  });
});

describe("the container files", () => {
  const dockerfile = readFileSync("deploy/Dockerfile", "utf8");
  const compose = parse(readFileSync("deploy/compose.yaml", "utf8")) as { services: Record<string, Service> };

  test("run as a user without rights, say whether they are healthy, and copy what is there", () => {
    const last = dockerfile.slice(dockerfile.lastIndexOf("\nFROM "));
    expect(last).toMatch(/^USER node$/m);
    expect(last.indexOf("USER node")).toBeLessThan(last.indexOf("ENTRYPOINT"));
    expect(last).toMatch(/^HEALTHCHECK /m);
    const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, names]) =>
      (names as string).split(" "),
    );
    expect(copied.filter((name) => !existsSync(name))).toEqual([]);
  });

  test("compose Becalm with Redis, Prometheus and Alertmanager, and mount files that are there or made by the page", () => {
    expect(Object.keys(compose.services).sort((a, b) => a.localeCompare(b))).toEqual([
      "alertmanager",
      "becalm",
      "prometheus",
      "redis",
    ]);
    const mounted = Object.values(compose.services).flatMap(({ volumes = [] }) =>
      volumes
        .filter((volume) => volume.startsWith("./"))
        .map((volume) => join("deploy", volume.split(":")[0] as string)),
    );
    const page = readFileSync("deploy/compose/README.md", "utf8");
    const missing = mounted.filter((path) => !existsSync(path) && !page.includes(`> ${path.split("/").at(-1)}`));
    expect(missing).toEqual([]);
    expect(Object.values(compose.services).filter(({ image }) => image?.endsWith(":latest"))).toEqual([]);
  });

  test("begin with policies that act on nothing", () => {
    const { policies } = loadPolicySet(readFileSync("deploy/compose/policies.yaml", "utf8"), { file: "policies.yaml" });
    expect(policies.map(({ mode }) => mode)).toEqual(["observe"]);
  });

  test.skipIf(skipUnlessThere())("hold configurations that Prometheus and Alertmanager read", () => {
    const folder = mkdtempSync(join(tmpdir(), "becalm-compose-"));
    const config = readFileSync("deploy/compose/prometheus.yml", "utf8").replaceAll(
      "/etc/prometheus/becalm-token",
      join(folder, "token"),
    );
    writeFileSync(join(folder, "token"), "x");
    writeFileSync(
      join(folder, "prometheus.yml"),
      config.replace("/etc/prometheus/becalm-rules.yml", join(process.cwd(), RULES)),
    );
    const checks = [
      runProgram("promtool", ["check", "config", join(folder, "prometheus.yml")]),
      runProgram("amtool", ["check-config", "deploy/compose/alertmanager.yml"]),
    ];
    rmSync(folder, { recursive: true });
    expect(checks.map(({ code }) => code)).toEqual([0, 0]);
  });
});
