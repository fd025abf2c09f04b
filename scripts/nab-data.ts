/**
 * The Numenta Anomaly Benchmark as strategies and records: a checkout of https://github.com/numenta/NAB that the reader
 * brings.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** Limits are chosen on the first part of each file; what happens in it is not judged. */
export const TRAINING_SHARE = 0.15;

export type Anomaly = {
  /** Epoch seconds. The window in which an alert counts, and the labelled moment in it. */
  readonly from: number;
  readonly to: number;
  readonly labelledAt: number;
};

export type NabFile = {
  /** `realTraffic/speed_6005.csv` */
  readonly name: string;
  readonly category: string;
  readonly points: readonly { readonly time: number; readonly value: number }[];
  /** Where the part that limits are chosen on ends. */
  readonly judgedFrom: number;
  readonly intervalSeconds: number;
  readonly lowest: number;
  readonly highest: number;
  readonly anomalies: readonly Anomaly[];
};

export type Rule = {
  /** How far outside of what the first part shows a limit is, as a share of the first part's range. */
  readonly margin: number;
  readonly count: number;
  readonly window: number;
  readonly recovery: number;
  /** Beside the limits: the change to the mean of so many points before, as much beyond what the first part shows. */
  readonly change?: { readonly over: number; readonly margin: number };
};

export function readNab(checkout: string): NabFile[] {
  const read = (path: string) => readFileSync(join(checkout, path), "utf8");
  const windows = JSON.parse(read("labels/combined_windows.json")) as Record<string, [string, string][]>;
  const labels = JSON.parse(read("labels/combined_labels.json")) as Record<string, string[]>;
  return Object.entries(windows).map(([name, own]) => {
    const anomalies = own.map(([from, to], index) => ({
      from: secondsOf(from),
      to: secondsOf(to),
      labelledAt: secondsOf(labels[name]?.[index] ?? from),
    }));
    return fileOf(name, read(`data/${name}`), anomalies);
  });
}

function fileOf(name: string, csv: string, anomalies: readonly Anomaly[]): NabFile {
  const points = csv
    .trim()
    .split(/\r?\n/)
    .slice(1)
    .map((line) => {
      const [time = "", value = ""] = line.split(",");
      return { time: secondsOf(time), value: Number(value) };
    });
  const first = points.slice(0, Math.floor(points.length * TRAINING_SHARE));
  const steps = first.slice(1).map(({ time }, index) => time - (first[index]?.time ?? time));
  const values = first.map(({ value }) => value);
  return {
    name,
    category: name.split("/")[0] ?? "",
    points,
    judgedFrom: points[first.length]?.time ?? 0,
    intervalSeconds: steps.toSorted((a, b) => a - b)[Math.floor(steps.length / 2)] ?? 300,
    lowest: Math.min(...values),
    highest: Math.max(...values),
    anomalies,
  };
}

/** Times are written without a zone: they are taken for UTC. */
function secondsOf(text: string): number {
  return Date.parse(`${text.slice(0, 19).replace(" ", "T")}Z`) / 1_000;
}

/** A strategy for each file; both limits lie outside of everything that its first part shows. */
export function strategiesOf(files: readonly NabFile[], { margin, count, window, recovery, change }: Rule) {
  return {
    strategies: files.map((file, index) => {
      const { name, intervalSeconds, lowest, highest } = file;
      const reach = margin * (highest - lowest || Math.abs(highest) || 1);
      const limits = [`> ${plain(highest + reach)}`, `< ${plain(lowest - reach)}`];
      return {
        name: `f${index}`,
        query: { filter: { file: name }, value: "value", time: "time", dimensions: ["file"], precision: 4 },
        interval: `${intervalSeconds}s`,
        levels: [
          {
            severity: "critical",
            when: [...limits, ...(change === undefined ? [] : changeLimits(file, change))].join(" or "),
            trigger: { count, window },
          },
        ],
        recovery: { count: recovery },
      };
    }),
  };
}

function changeLimits({ points, judgedFrom }: NabFile, { over, margin }: NonNullable<Rule["change"]>): string[] {
  const values = points.filter(({ time }) => time < judgedFrom).map(({ value }) => value);
  const changes = values.slice(over).map((value, index) => {
    const mean = values.slice(index, index + over).reduce((sum, one) => sum + one, 0) / over;
    return mean === 0
      ? value === 0
        ? 0
        : Math.sign(value) * Number.POSITIVE_INFINITY
      : (100 * (value - mean)) / Math.abs(mean);
  });
  const [up, down] = [Math.max(0, ...changes), Math.min(0, ...changes)];
  // What came from nothing in the first part has no limit.
  return [
    ...(Number.isFinite(up) ? [`change(${over}) > ${plain(up * (1 + margin))}%`] : []),
    ...(Number.isFinite(down) ? [`change(${over}) < ${plain(down * (1 + margin))}%`] : []),
  ];
}

/** Without an exponent, as conditions have it; at most four decimals. */
function plain(limit: number): string {
  return limit.toFixed(4).replace(/\.?0+$/, "");
}

export function recordsOf(files: readonly NabFile[]): string {
  const rows = files.flatMap(({ name, points }) => points.map(({ time, value }) => `${time},${name},${value}`));
  return `time,file,value\n${rows.join("\n")}\n`;
}
