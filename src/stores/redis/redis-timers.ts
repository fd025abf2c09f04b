/** Timers over all partitions. */
import type { TimerKey, TimerRow, TimersRequest } from "../store.ts";
import { compareTimers } from "../store-rules.ts";
import { parseTimerMember, timerMember } from "./commit-arguments.ts";
import { ROW_COUNT_MAX } from "./connection.ts";
import type { RedisPartitions } from "./partitions.ts";
import { pairs } from "./scripts.ts";

export class RedisTimers {
  readonly #partitions: RedisPartitions;

  constructor(partitions: RedisPartitions) {
    this.#partitions = partitions;
  }

  async due({ lane, untilMs, limit, fromMs = -Infinity, partition }: TimersRequest): Promise<TimerRow[]> {
    if (limit < 1) return [];
    const { connection, keys } = this.#partitions;
    const fromScore = scoreOf(fromMs);
    const untilScore = scoreOf(untilMs);
    const count = Math.min(limit, ROW_COUNT_MAX);
    // Each partition answers in the port's order (see timerMember), so the first `limit` of all are among the first
    // `limit` of each.
    const dueIn = async (at: number) => {
      const key = keys.timers(at, lane);
      const flat = await connection.client.zrange(
        key,
        fromScore,
        untilScore,
        "BYSCORE",
        "LIMIT",
        0,
        count,
        "WITHSCORES",
      );
      return pairs(flat).map(([member, score]) => ({
        lane,
        partition: at,
        ...parseTimerMember(member),
        dueAtMs: Number(score),
      }));
    };
    if (partition !== undefined) return connection.run(() => dueIn(partition));
    const parts = await this.#partitions.each(dueIn);
    return parts.flat().sort(compareTimers).slice(0, limit);
  }

  async dueTimes(timers: readonly TimerKey[]): Promise<(number | null)[]> {
    const { connection, keys } = this.#partitions;
    const scores = await connection.run(() =>
      Promise.all(
        timers.map((timer) => connection.client.zscore(keys.timers(timer.partition, timer.lane), timerMember(timer))),
      ),
    );
    return scores.map((score) => (score === null ? null : Number(score)));
  }
}

function scoreOf(atMs: number): string {
  if (Number.isFinite(atMs)) return String(atMs);
  return atMs > 0 ? "+inf" : "-inf";
}
