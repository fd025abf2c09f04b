/** Alerts as people met them, one folder each in test/data/cases/alerts, through the command. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { becalm, jsonLines, ROOT } from "../support/command.ts";

const CASES = join(ROOT, "test/data/cases/alerts");

/** What is right. `states`: of the instances, in the order of the output. */
type Right = {
  readonly code?: number;
  readonly options?: readonly string[];
  readonly summary?: Readonly<Record<string, number>>;
  readonly states?: readonly string[];
  readonly stderr?: RegExp;
};

type Line = { readonly state?: string; readonly summary?: Record<string, number> };

function repeated(count: number, state: string): string[] {
  return Array<string>(count).fill(state);
}

const RIGHT: readonly (readonly [folder: string, guarantee: string, right: Right])[] = [
  [
    "01-ha-prometheus-pair",
    "two Prometheus servers with different starts are one episode",
    { summary: { alerts: 4, instances: 1, executed: 1, resolved: 0, late: 0 } },
  ],
  [
    "01c-ha-pair-and-an-approval",
    "they ask for one approval, and the resolve of one takes it back",
    { states: ["Success", "Skipped"], summary: { instances: 2, waiting: 0, resolved: 1, late: 0 } },
  ],
  [
    "03-no-startsAt-resent",
    "an alert without a start that is re-sent runs once",
    { summary: { instances: 1, executed: 1 } },
  ],
  [
    "04-resolve-without-startsAt",
    "a resolve without a start takes the approval back",
    { states: ["Success", "Skipped"], summary: { resolved: 1, late: 0 } },
  ],
  [
    "06-resolved-then-same-start",
    "an alert that fires again with its old start is decided again",
    { states: ["Success", "Skipped", "Skipped"], summary: { instances: 3, resolved: 1, late: 0 } },
  ],
  [
    "08-truncated-alerts",
    "alerts that the sender left out are counted and told",
    { summary: { alerts: 1, truncated: 19 }, stderr: /19 alerts were left out by the sender .*first in line 1/ },
  ],
  ["09-pretty-printed-file", "a pretty-printed webhook is read", { summary: { alerts: 2, executed: 2, rejected: 0 } }],
  [
    "10-status-of-the-group-only",
    "an alert without a status has its webhook's",
    { summary: { alerts: 2, instances: 1, executed: 1, resolved: 1, rejected: 0 } },
  ],
  [
    "12-dump-with-suppressed-alert",
    "an alert that Alertmanager held back runs nothing",
    { summary: { instances: 1, executed: 1, rejected: 1 }, stderr: /alert 2 rejected: .*held it back by "810ccf7f"/ },
  ],
  [
    "14-one-clock-in-the-future",
    "a clock ten years ahead is reported, and what goes back after it is counted",
    {
      summary: { executed: 3, skipped: 2 },
      stderr: /line 2 lies 10 years ahead.*\n.*3 requests go back in time: first line 3/,
    },
  ],
  [
    "14-one-clock-in-the-future",
    "sorted, it harms nobody else",
    {
      options: ["--sort"],
      summary: { executed: 5, skipped: 0 },
      stderr: /^\S+: line 2 lies 10 years ahead [^\n]*\n5 created, [^\n]*\n$/,
    },
  ],
  ["15-start-equals-end", "an alert that ends as it starts is resolved", { summary: { instances: 0, resolved: 1 } }],
  ["16a-silence-that-matches-everything", "a silence with !~ holds without the label", { states: ["Skipped"] }],
  [
    "16b-silence-that-matches-everything",
    "a silence that matches the empty text is refused",
    { code: 2, stderr: /silences\[0\]\.match: expected at least one matcher/ },
  ],
  ["20-label-with-control-characters", "control characters harm nothing", { states: ["Success"] }],
  [
    "21-utf8-label-names",
    "UTF-8 names work in match, by and where",
    { states: ["Success", "Skipped", "Success"], summary: { rejected: 0 } },
  ],
  [
    "23-resolved-only",
    "a resolved alert alone makes nothing and is counted",
    { summary: { instances: 0, resolved: 1 } },
  ],
  [
    "24-resolved-fifteen-times",
    "a resolve that is repeated changes nothing",
    { summary: { instances: 1, resolved: 15, late: 0 } },
  ],
  [
    "27-third-time-in-ten-days",
    "three run, the next two ask, after ten days it runs again",
    { summary: { instances: 6, executed: 4 } },
  ],
  [
    "28-whole-fleet-at-once",
    "five of a fleet run, all others wait for a person",
    { states: [...repeated(5, "Success"), ...repeated(195, "Waiting")] },
  ],
  ["29-label-with-the-value", "a label that changes with the value runs once", { summary: { executed: 1 } }],
  [
    "33-dot-does-not-match-newline",
    "a dot matches no line feed, as in Alertmanager",
    { summary: { instances: 1, unmatched: 1 } },
  ],
  [
    "34-many-or-long-labels",
    "73 labels and values of kilobytes are taken",
    { summary: { instances: 3, executed: 3, rejected: 0 } },
  ],
  ["37-one-alert-object-a-line", "an alert a line is read", { summary: { alerts: 2, executed: 2, rejected: 0 } }],
  [
    "38-prometheus-api-v1-alerts",
    "what is no file of alerts is named, and nothing is done",
    { code: 2, stderr: /this is Prometheus' GET \/api\/v1\/alerts/ },
  ],
  ["40-python-isoformat-no-zone", "a time without a zone is UTC", { summary: { alerts: 1, rejected: 0 } }],
  [
    "41-unknown-body-shapes",
    "unknown shapes are reported with their reason, the good lines taken",
    { summary: { alerts: 2, rejected: 4 }, stderr: /line 1 rejected: this is Grafana's(.*\n)+.*line 6 rejected: / },
  ],
  ["45-slow-regular-expression", "a regular expression takes no time", { summary: { alerts: 4, unmatched: 4 } }],
  [
    "48-start-moves-earlier-inside-alertmanager",
    "an alert whose start Alertmanager moves earlier is one episode",
    { summary: { alerts: 5, instances: 2, executed: 2, resolved: 2, late: 0 } },
  ],
  [
    "17-still-firing-after-success",
    "an alert that fires on after its action is one episode, and is not run again",
    { states: ["Success"], summary: { alerts: 4, instances: 1, executed: 1, late: 0 } },
  ],
  [
    "17-still-firing-after-success",
    "and with verify done is not solved",
    {
      options: ["--policies", join(CASES, "17-still-firing-after-success/verified.yaml")],
      states: ["Failed"],
      summary: { alerts: 4, instances: 1, executed: 1 },
    },
  ],
  ["46-new-pod-name-each-restart", "a new pod name each restart runs once", { summary: { executed: 1, skipped: 3 } }],
];

describe("alerts as people met them", () => {
  test.each(RIGHT)("%s: %s", async (folder, _, { code = 0, options = [], summary, states, stderr }) => {
    const dir = join(CASES, folder);
    const alerts = ["alerts.jsonl", "alerts.json"].map((name) => join(dir, name)).find(existsSync) as string;
    const args = ["run", "--policies", join(dir, "policies.yaml"), "--alerts", alerts, "--json", ...options];
    const ended = await becalm(args);
    expect(ended.code).toBe(code);
    if (stderr !== undefined) expect(ended.stderr).toMatch(stderr);
    if (code !== 0) expect(ended.stdout).toBe("");
    const lines = jsonLines<Line>(ended.stdout);
    if (summary !== undefined) expect(lines.at(-1)?.summary).toMatchObject(summary);
    if (states !== undefined) expect(lines.slice(0, -1).map(({ state }) => state)).toEqual(states);
  });
});
