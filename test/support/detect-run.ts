/** `becalm detect` and `becalm check` in this process: what they write, in short. */
import pico from "picocolors";
import { check } from "../../src/cli/check.ts";
import { detect } from "../../src/cli/detect.ts";
import type { DetectCommandOptions } from "../../src/cli/detect-parts.ts";
import { type Terminal, tellError } from "../../src/cli/terminal.ts";
import { ENGLISH_UTC } from "../../src/present/reader.ts";

export type DetectRun = {
  readonly code: number;
  /** `fires`, `again` (sent again) or `ends`, with reason, labels and times of each alert. */
  readonly alerts: readonly string[];
  readonly summary: Summary;
  readonly notes: string;
  readonly lines: readonly string[];
};

type Summary = { readonly reasons: Readonly<Record<string, number>> } & { readonly [count: string]: unknown };

type Line = {
  readonly summary?: Summary;
  readonly body: {
    labels: Record<string, string>;
    annotations: Record<string, string>;
    startsAt: string;
    endsAt?: string;
  }[];
  readonly detection?: { strategy: string; severity: string; reason: string };
};

export function capturing(): { terminal: Terminal; lines: string[]; notes: string[] } {
  const [lines, notes]: [string[], string[]] = [[], []];
  const colors = pico.createColors(false);
  const out = async (line: string) => void lines.push(line);
  const terminal: Terminal = {
    out,
    json: (value) => out(JSON.stringify(value)),
    note: (line) => void notes.push(line),
    status: () => {},
    outlivesReader: () => {},
    columns: 80,
    isWatched: false,
    outColors: colors,
    reader: ENGLISH_UTC,
    say: ENGLISH_UTC.say,
    noteColors: colors,
  };
  return { terminal, lines, notes };
}

export async function runDetect(
  strategies: string,
  records: readonly string[],
  more: Partial<DetectCommandOptions> = {},
): Promise<DetectRun> {
  const { terminal, lines, notes } = capturing();
  const options: DetectCommandOptions = {
    namespace: "default",
    strategies,
    records,
    stream: "default",
    checkpoints: false,
    sort: false,
    live: false,
    flush: true,
    strict: false,
    json: true,
    quiet: false,
    ...more,
  };
  const code = await detect(terminal, options).catch((error: unknown) => tellError(terminal, error));
  const parsed = lines.map((line) => JSON.parse(line) as Line);
  return {
    code,
    alerts: parsed.flatMap((line) => (line.detection === undefined ? [] : [brief(line)])),
    summary: parsed.at(-1)?.summary ?? { reasons: {} },
    notes: notes.join("\n"),
    lines,
  };
}

function brief({ body, detection }: Line): string {
  const [alert] = body;
  if (alert === undefined || detection === undefined) return "";
  const { alertname: _name, severity, no_data: _noData, ...labels } = alert.labels;
  const seconds = (text: string) => Date.parse(text) / 1_000;
  const { reason } = detection;
  const what = reason === "resent" ? "again" : alert.endsAt === undefined ? "fires" : "ends";
  const times = alert.endsAt === undefined ? [alert.startsAt] : [alert.startsAt, alert.endsAt];
  return [what, reason, severity, ...Object.values(labels), times.map(seconds).join("-")].join(" ");
}

export async function runCheck(files: readonly string[]): Promise<{ code: number; text: string }> {
  const { terminal, lines, notes } = capturing();
  const code = await check(terminal, { files, model: false, strict: false, json: false });
  return { code, text: [...lines, ...notes].join("\n") };
}
