import { describe, expect, test } from "vitest";
import { type Episode, NO_GRACE, type Reception, receive } from "../../src/model/episode.ts";
import type { ReceiptTimes } from "../../src/model/receipt.ts";

const AT = Date.parse("2026-11-23T10:00:00Z");
const SECOND = 1_000;
const MINUTE = 60 * SECOND;

/** Times are given in ms after AT. */
function v2(receivedAt: number, startsAt: number | null, endsAt: number | null): ReceiptTimes {
  const status = endsAt !== null && endsAt <= receivedAt ? "resolved" : "firing";
  return { form: "v2", status, ...timesOf(receivedAt, startsAt, endsAt) };
}

type Status = ReceiptTimes["status"];

function v4(
  status: Status,
  receivedAt: number,
  ...[startsAt, endsAt = null]: [number | null, (number | null)?]
): ReceiptTimes {
  return { form: "v4", status, ...timesOf(receivedAt, startsAt, endsAt) };
}

function timesOf(receivedAt: number, startsAt: number | null, endsAt: number | null) {
  const at = (ms: number | null) => (ms === null ? null : AT + ms);
  return { receivedAtMs: AT + receivedAt, startsAtMs: at(startsAt), endsAtMs: at(endsAt) };
}

/** The words of a stream, and the starts of its episodes after AT. */
function words(...receipts: ReceiptTimes[]): string[] {
  let last: Episode | null = null;
  return receipts.map((receipt) => {
    const reception: Reception = receive(last, receipt);
    last = afterIt(last, reception);
    return reception.kind === "begins" ? `begins at ${reception.episode.startMs - AT}` : reception.kind;
  });
}

function afterIt(last: Episode | null, reception: Reception): Episode | null {
  if (reception.kind === "begins" || reception.kind === "ends") return reception.episode;
  return reception.kind === "goes_on" ? (reception.renewed ?? last) : last;
}

describe("an episode begins", () => {
  test("at its startsAt, at the receipt if that is missing or still to come", () => {
    expect(words(v4("firing", 0, -MINUTE))).toEqual([`begins at ${-MINUTE}`]);
    expect(words(v4("firing", 0, null))).toEqual(["begins at 0"]);
    expect(words(v4("firing", 0, 10 * MINUTE))).toEqual(["begins at 0"]);
  });

  test("after a resolve at once if it started later than that, otherwise from a minute after its receipt on", () => {
    const ended = [v4("firing", 0, 0), v4("resolved", 5 * MINUTE, 0, 4 * MINUTE)];
    const after = (...receipts: ReceiptTimes[]) => words(...ended, ...receipts).slice(2);
    expect(after(v4("firing", 5 * MINUTE + 1, 4 * MINUTE + 1))).toEqual([`begins at ${4 * MINUTE + 1}`]);
    expect(after(v4("firing", 6 * MINUTE - 1, 4 * MINUTE))).toEqual(["late"]);
    expect(after(v4("firing", 6 * MINUTE, 4 * MINUTE))).toEqual([`begins at ${6 * MINUTE}`]);
    expect(after(v4("firing", 6 * MINUTE - 1, null))).toEqual(["late"]);
  });

  test("after a resolve without endsAt if it started later than that was received", () => {
    const ended = [v4("firing", 0, 0), v4("resolved", 5 * MINUTE, 0)];
    expect(words(...ended, v4("firing", 5 * MINUTE + 2, 5 * MINUTE)).at(-1)).toBe("late");
    expect(words(...ended, v4("firing", 5 * MINUTE + 2, 5 * MINUTE + 1)).at(-1)).toBe(`begins at ${5 * MINUTE + 1}`);
  });

  test("after a lease that ran out at the receipt, or at a later start, and never as a late word", () => {
    const ended = [v2(0, 0, 4 * MINUTE)];
    expect(words(...ended, v2(4 * MINUTE + 1, 0, 8 * MINUTE)).at(-1)).toBe(`begins at ${4 * MINUTE + 1}`);
    expect(words(...ended, v2(9 * MINUTE, 8 * MINUTE, 12 * MINUTE)).at(-1)).toBe(`begins at ${8 * MINUTE}`);
  });

  test("never where another one began", () => {
    const twice = [v4("firing", 0, -MINUTE), v4("resolved", 0, -MINUTE, -MINUTE), v4("firing", MINUTE, 0)];
    expect(words(...twice, v4("resolved", MINUTE, 0, 0), v4("firing", MINUTE + 1, 1)).at(-1)).toBe("begins at 1");
    expect(words(v2(0, 0, 10), v2(10, 0, 10), v2(11, 0, 11), v2(MINUTE + 10, null, null))).toHaveLength(4);
  });
});

describe("an episode goes on", () => {
  test("with every firing receipt, whatever its startsAt and its form", () => {
    const others = [v2(MINUTE, 8 * SECOND, 5 * MINUTE), v2(2 * MINUTE, null, null), v4("firing", 3 * MINUTE, -MINUTE)];
    expect(words(v2(0, 0, 4 * MINUTE), ...others)).toEqual(["begins at 0", "goes_on", "goes_on", "goes_on"]);
  });

  test("at the very end of its lease, and no longer", () => {
    expect(words(v2(0, 0, 4 * MINUTE), v2(4 * MINUTE, 0, 8 * MINUTE))).toEqual(["begins at 0", "goes_on"]);
  });

  test("without a lease as soon as a v4 receipt has come, whatever v2 receipts follow", () => {
    const hours = 5 * 60 * MINUTE;
    const stream = [
      v2(0, 0, 4 * MINUTE),
      v4("firing", MINUTE, 0),
      v2(2 * MINUTE, 0, 6 * MINUTE),
      v4("firing", hours, 0),
    ];
    expect(words(...stream)).toEqual(["begins at 0", "goes_on", "goes_on", "goes_on"]);
  });

  test("while nobody watched its lease for a while", () => {
    const open = (receive(null, v2(0, 0, MINUTE)) as Reception & { kind: "begins" }).episode;
    const grace = { leasesHoldUntilMs: AT + 10 * MINUTE };
    expect(receive(open, v2(9 * MINUTE, 0, 10 * MINUTE), grace).kind).toBe("goes_on");
    expect(receive(open, v2(11 * MINUTE, 0, 12 * MINUTE), grace).kind).toBe("begins");
    expect(receive(open, v2(9 * MINUTE, 0, 10 * MINUTE), NO_GRACE).kind).toBe("begins");
  });
});

describe("an episode's record is renewed", () => {
  const open = (receive(null, v2(0, 0, 4 * MINUTE)) as Reception & { kind: "begins" }).episode;

  test("when less than half of the lease is left, and not before", () => {
    expect(receive(open, v2(MINUTE, 0, 5 * MINUTE))).toMatchObject({ kind: "goes_on", renewed: null });
    expect(receive(open, v2(3 * MINUTE, 0, 7 * MINUTE))).toMatchObject({ renewed: { leaseUntilMs: AT + 7 * MINUTE } });
  });

  test("once per resolve timeout if it has no lease", () => {
    const endless = (receive(null, v4("firing", 0, 0)) as Reception & { kind: "begins" }).episode;
    expect(receive(endless, v4("firing", 5 * MINUTE - 1, 0))).toMatchObject({ renewed: null });
    expect(receive(endless, v4("firing", 5 * MINUTE, 0))).toMatchObject({
      renewed: { lastReceiptAtMs: AT + 5 * MINUTE },
    });
  });

  test("at once when a v4 receipt lifts its lease", () => {
    expect(receive(open, v4("firing", SECOND, 0))).toMatchObject({ renewed: { leaseUntilMs: null } });
  });
});

describe("an episode ends", () => {
  test("with a resolved receipt, also one without startsAt", () => {
    expect(words(v2(0, 0, 4 * MINUTE), v2(2 * MINUTE, null, 2 * MINUTE))).toEqual(["begins at 0", "ends"]);
    expect(words(v4("firing", 0, 0), v4("resolved", MINUTE, null))).toEqual(["begins at 0", "ends"]);
  });

  test("with none that tells of an end before it: v2 before its start, v4 before the startsAt that opened it", () => {
    expect(words(v2(0, 0, MINUTE), v2(1, -MINUTE, -1))).toEqual(["begins at 0", "late"]);
    expect(words(v2(0, 0, MINUTE), v2(1, -MINUTE, 0))).toEqual(["begins at 0", "ends"]);
    const again = [v4("firing", 0, 0), v4("resolved", 1, 0, 1), v4("firing", 2 * MINUTE, 0)];
    expect(words(...again, v4("resolved", 3 * MINUTE, 0, MINUTE)).at(-1)).toBe("ends");
    expect(words(...again, v4("resolved", 3 * MINUTE, 0, -1)).at(-1)).toBe("late");
  });

  test("when the alert has started anew without a word of its end, more than two resolve timeouts after the last", () => {
    const lost = receive(
      (receive(null, v4("firing", 0, 0)) as Reception & { kind: "begins" }).episode,
      v4("firing", 30 * MINUTE, 10 * MINUTE + 1),
    );
    expect(lost).toMatchObject({
      kind: "begins",
      episode: { startMs: AT + 10 * MINUTE + 1 },
      ended: { end: { reason: "resolve_lost" } },
    });
    expect(words(v4("firing", 0, 0), v4("firing", 30 * MINUTE, 10 * MINUTE)).at(-1)).toBe("goes_on");
  });

  test("once: a resolve that is repeated finds nothing open", () => {
    const resolved = [v2(MINUTE, 0, MINUTE), v2(2 * MINUTE, 0, MINUTE)];
    expect(words(v2(0, 0, 4 * MINUTE), ...resolved)).toEqual(["begins at 0", "ends", "nothing_open"]);
    expect(words(v4("resolved", 0, -MINUTE, 0))).toEqual(["nothing_open"]);
  });
});
