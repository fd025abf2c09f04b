/** What a run came to, from its sender's and its target's logs and nothing else: it is the same question for every contender. */
import type { Recording } from "../checkers/recording.ts";
import { LIMIT } from "./chaos-policies.ts";
import type { Sender } from "./sender.ts";
import type { TargetLine } from "./target.ts";

const WINDOW_MS = 20_000;

export type Outcome = {
  readonly sent: number;
  readonly acknowledged: number;
  readonly isAllAcknowledged: boolean;
  /** Acknowledged alerts without a limit that no target ever heard of. */
  readonly lost: number;
  /** Deliveries of an attempt that had been delivered before. */
  readonly redelivered: number;
  /** First attempts beyond the limit of a group inside one window. */
  readonly beyondLimit: number;
  readonly deliveries: number;
  /** From the acknowledgement of an alert without a limit to its first delivery. */
  readonly deliveryP50Ms: number;
  readonly deliveryP99Ms: number;
  readonly deliveryMaxMs: number;
  /** Between two deliveries of one attempt: what a death costs. */
  readonly recoveryP50Ms: number;
  readonly recoveryP99Ms: number;
  readonly answerP99Ms: number;
  readonly answerMaxMs: number;
  readonly faultLines: number;
};

type Parts = {
  readonly requests: Recording["requests"];
  readonly faultLines: Recording["faultLines"];
  readonly lines: readonly TargetLine[];
  readonly sender: Pick<Sender, "sentCount" | "acknowledged">;
  readonly isAllAcknowledged: boolean;
};

export function outcomeOf({ requests, faultLines, lines, sender, isAllAcknowledged }: Parts): Outcome {
  const actions = lines.filter(({ kind }) => kind === "action");
  const firsts = new Map<string, TargetLine>();
  const lastOf = new Map<string, number>();
  const recoveries: number[] = [];
  for (const line of actions) {
    const name = String(line.labels?.["name"]);
    if (line.attempt === 1 && !firsts.has(name)) firsts.set(name, line);
    const before = lastOf.get(line.key);
    if (before !== undefined) recoveries.push(line.atMs - before);
    lastOf.set(line.key, line.atMs);
  }
  const each = [...sender.acknowledged.values()].filter(({ labels }) => labels["kind"] === "each");
  const delays = each.flatMap(({ labels, atMs }) => {
    const first = firsts.get(labels["name"] as string);
    return first === undefined ? [] : [Math.max(first.atMs - atMs, 0)];
  });
  const answers = requests.flatMap(({ atMs, answeredAtMs }) => (answeredAtMs === null ? [] : [answeredAtMs - atMs]));
  return {
    sent: sender.sentCount,
    acknowledged: sender.acknowledged.size,
    isAllAcknowledged,
    lost: each.length - delays.length,
    redelivered: recoveries.length,
    beyondLimit: beyondLimit([...firsts.values()]),
    deliveries: lines.length,
    deliveryP50Ms: quantile(delays, 0.5),
    deliveryP99Ms: quantile(delays, 0.99),
    deliveryMaxMs: quantile(delays, 1),
    recoveryP50Ms: quantile(recoveries, 0.5),
    recoveryP99Ms: quantile(recoveries, 0.99),
    answerP99Ms: quantile(answers, 0.99),
    answerMaxMs: quantile(answers, 1),
    faultLines: faultLines.length,
  };
}

/** A window may see the end of one group and the beginning of the next, so twice the limit is allowed. */
function beyondLimit(firsts: readonly TargetLine[]): number {
  const byHost = new Map<string, number[]>();
  for (const { labels, atMs } of firsts) {
    if (labels?.["kind"] !== "limited") continue;
    const times = byHost.get(labels["host"] as string) ?? [];
    byHost.set(labels["host"] as string, times);
    times.push(atMs);
  }
  let beyond = 0;
  for (const times of byHost.values()) {
    times.sort((a, b) => a - b);
    for (const [index, atMs] of times.entries()) {
      const before = times[index - 2 * LIMIT];
      if (before !== undefined && atMs - before < WINDOW_MS) beyond += 1;
    }
  }
  return beyond;
}

export function quantile(values: readonly number[], part: number): number {
  if (values.length === 0) return 0;
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(Math.floor(sorted.length * part), sorted.length - 1)] as number;
}
