import { describe, expect, test } from "vitest";
import { type Episode, receive } from "../../src/model/episode.ts";
import { decodeEpisode, encodeEpisode } from "../../src/model/episode-codec.ts";
import { AlertmanagerModel } from "../support/alertmanager-model.ts";
import { mixedStream, randomFrom, v2Stream } from "../support/receipt-streams.ts";
import { ALERTMANAGER_RULES, SlowEpisodes, type SlowReceipt, type SlowRules } from "../support/slow-episodes.ts";

describe("episodes: random streams of two senders", () => {
  test("make exactly the episodes of the slow model, through the text form of the record", () => {
    const words = new Map<string, number>();
    for (let seed = 1; seed <= 2_000; seed += 1) {
      const stream = mixedStream(randomFrom(seed));
      const slow = new SlowEpisodes();
      let record: string | null = null;
      const starts: number[] = [];
      for (const receipt of stream) {
        const expected = slow.receive(receipt);
        const reception = receive(record === null ? null : decodeEpisode(record), receipt);
        expect(reception.kind, `seed ${seed} at ${receipt.receivedAtMs}`).toBe(expected);
        words.set(expected, (words.get(expected) ?? 0) + 1);
        if (reception.kind === "begins") starts.push(reception.episode.startMs);
        const changed = changedBy(reception);
        if (changed !== null) record = encodeEpisode(changed);
      }
      expect(starts, `seed ${seed}`).toEqual(slow.episodes.map(({ startMs }) => startMs));
    }
    // Every word of the rules was tried, and not only once.
    expect([...words].filter(([, count]) => count > 500).map(([word]) => word)).toHaveLength(5);
  });

  test("are as many as Alertmanager has uninterrupted activities, but for late words and leases", () => {
    const counts = { streams: 0, equal: 0, lateWords: 0, recordedLeases: 0, greatestLease: 0, receiptFirst: 0 };
    for (let seed = 1; seed <= STREAMS; seed += 1) {
      const stream = v2Stream(randomFrom(seed));
      const activities = activitiesOf(stream);
      // Without what differs on purpose nothing differs.
      expect(countOf(stream, ALERTMANAGER_RULES), `seed ${seed}`).toBe(activities);
      counts.streams += 1;
      if (countOf(stream) === activities) counts.equal += 1;
      else
        for (const rule of RULES)
          if (countOf(stream, { ...ALERTMANAGER_RULES, [rule]: true }) !== activities) counts[rule] += 1;
    }
    console.info(`Episodes beside Alertmanager's activities: ${JSON.stringify(counts)}`);
    expect(counts.equal).toBeGreaterThan(counts.streams / 4);
  }, 600_000);
});

/** BECALM_EPISODE_STREAMS=100000 is a matter of minutes. */
const STREAMS = Number(process.env["BECALM_EPISODE_STREAMS"] ?? 2_000);

const RULES = Object.keys(ALERTMANAGER_RULES) as (keyof SlowRules)[];

function countOf(stream: readonly SlowReceipt[], rules: Partial<SlowRules> = {}): number {
  const slow = new SlowEpisodes(rules);
  for (const receipt of stream) slow.receive(receipt);
  return slow.episodes.length;
}

function activitiesOf(stream: readonly SlowReceipt[]): number {
  const alertmanager = new AlertmanagerModel();
  for (const receipt of stream) alertmanager.post(receipt, receipt.receivedAtMs);
  return alertmanager.activities;
}

function changedBy(reception: ReturnType<typeof receive>): Episode | null {
  if (reception.kind === "goes_on") return reception.renewed;
  return reception.kind === "begins" || reception.kind === "ends" ? reception.episode : null;
}
