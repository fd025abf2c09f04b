import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Episode } from "../../src/model/episode.ts";
import { NO_GRACE } from "../../src/model/episode.ts";
import { decodeEpisode, encodeEpisode } from "../../src/model/episode-codec.ts";
import { endLast, lastEpisode, leaseEndPosition, receiveRecorded } from "../../src/model/episode-record.ts";
import { mixedStream, randomFrom } from "../support/receipt-streams.ts";
import type { SlowReceipt } from "../support/slow-episodes.ts";

const START = Date.parse("2026-11-23T10:00:00Z");
const OPEN: Episode = {
  startMs: START,
  sentStartMs: START,
  leaseUntilMs: START + 240_000,
  lastReceiptAtMs: START + 12_000,
  end: null,
};

const timeOf = fc.integer({ min: 0, max: 253_402_300_799_999 });
const endOf = fc.record({
  reason: fc.constantFrom("alert_resolved" as const, "lease_over" as const, "resolve_lost" as const),
  atMs: timeOf,
  receivedAtMs: timeOf,
});

describe("the record of an episode", () => {
  test("is read as it was written, at any time", () => {
    const episodes = fc.record({
      startMs: timeOf,
      sentStartMs: timeOf,
      leaseUntilMs: fc.option(timeOf),
      lastReceiptAtMs: timeOf,
      end: fc.option(endOf),
    });
    fc.assert(
      fc.property(episodes, (episode) => {
        // An ended episode needs neither its lease nor its last receipt.
        const { end } = episode;
        const kept = end === null ? episode : { ...episode, leaseUntilMs: null, lastReceiptAtMs: end.receivedAtMs };
        expect(decodeEpisode(encodeEpisode(episode))).toEqual(kept);
      }),
    );
  });

  test("takes no more than 30 characters for alerts as they come", () => {
    const DAY_MS = 86_400_000;
    expect(encodeEpisode(OPEN)).toBe("omwt3h340..99c.556o");
    const repeated = { ...OPEN, lastReceiptAtMs: START + 30 * DAY_MS, leaseUntilMs: START + 30 * DAY_MS + 240_000 };
    expect(encodeEpisode(repeated).length).toBeLessThanOrEqual(30);
    const end = { reason: "alert_resolved" as const, atMs: START + DAY_MS, receivedAtMs: START + DAY_MS + 5_000 };
    expect(encodeEpisode({ ...OPEN, end }).length).toBeLessThanOrEqual(30);
  });

  test("that cannot be read is an error with a code, and never taken for something else", () => {
    for (const text of ["", "o", "omwt3h340.1.2", "zmwt3h340...", "omwt3h340....", "omwt3h340.A..", "o-.-.-.-"])
      expect(() => decodeEpisode(text), text).toThrow(/cannot be read/);
  });
});

describe("the record of a virtual namespace", () => {
  test("gives every receipt of a file that is run again, after a stop anywhere, the word that it had the first time", () => {
    for (let seed = 1; seed <= 1_000; seed += 1) {
      const random = randomFrom(seed);
      const stream = mixedStream(random);
      const words: string[] = [];
      const once = play(stream, null, (word) => words.push(word));
      const stopAt = Math.floor(random() * stream.length);
      const stopped = play(stream.slice(0, stopAt), null, () => {});
      const again: string[] = [];
      const resumed = play(stream, stopped, (word) => again.push(word));
      expect(resumed, `seed ${seed}`).toBe(once);
      // What made an episode the first time finds it there.
      expect(again.slice(0, stopAt), `seed ${seed}`).toEqual(words.slice(0, stopAt).map(asRepeated));
      expect(again.slice(stopAt), `seed ${seed}`).toEqual(words.slice(stopAt));
    }
  });

  test("ends its last episode where the lease ended, after all receipts of that moment", () => {
    const firing = { form: "v2", status: "firing", startsAtMs: START, endsAtMs: START + 60_000 } as const;
    const at = (atMs: number) => ({ position: { atMs, turn: 0, index: 0 }, grace: NO_GRACE });
    const begun = receiveRecorded(null, { ...firing, receivedAtMs: START }, at(START)).record as string;
    const end = { reason: "lease_over", atMs: START + 60_000, receivedAtMs: START + 60_000 } as const;
    const record = endLast(begun, { ...lastEpisode(begun), end }, leaseEndPosition(START + 60_000));
    expect(lastEpisode(record).end).toEqual(end);
    const atItsEnd = receiveRecorded(record, { ...firing, receivedAtMs: START + 60_000 }, at(START + 60_000));
    expect(atItsEnd).toMatchObject({ reception: { kind: "goes_on" }, record: null });
    const afterIt = receiveRecorded(
      record,
      { ...firing, endsAtMs: null, receivedAtMs: START + 60_001 },
      at(START + 60_001),
    );
    expect(afterIt.reception.kind).toBe("begins");
  });
});

function asRepeated(word: string): string {
  return word === "begins" ? "goes_on" : word;
}

function play(stream: readonly SlowReceipt[], from: string | null, tell: (word: string) => void): string | null {
  let record = from;
  let last = { atMs: -1, turn: 0 };
  for (const receipt of stream) {
    const atMs = receipt.receivedAtMs;
    last = { atMs, turn: last.atMs === atMs ? last.turn + 1 : 0 };
    const options = { position: { ...last, index: 0 }, grace: NO_GRACE };
    const { reception, record: changed } = receiveRecorded(record, receipt, options);
    tell(reception.kind);
    record = changed ?? record;
  }
  return record;
}
