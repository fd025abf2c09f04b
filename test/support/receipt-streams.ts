/** Random streams of receipts of one alert, as two senders make them; the same seed gives the same streams. */
import type { SlowReceipt } from "./slow-episodes.ts";

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const RESOLVED_FOR_MS = 15 * MINUTE_MS;
const BEGIN_MS = 1_763_000_000_000;

export type Random = () => number;

/** mulberry32: small, seeded, good enough to draw cases with. */
export function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

type Sender = {
  readonly intervalMs: number;
  /** Its clock beside that of the receiver. */
  readonly skewMs: number;
  readonly leaseIntervals: number;
  readonly sendsStart: boolean;
  readonly sendsLease: boolean;
  /** Restarts set its start anew, and lose what it would have said of the end. */
  readonly forgets: number;
};

/** The times between which the thing that both senders watch is broken. */
type Trouble = { readonly fromMs: number; readonly toMs: number };

/** What two senders post to API v2 about one alert, in the order of receipt: skew, outages, restarts, resolves for 15 minutes, leases. */
export function v2Stream(random: Random): SlowReceipt[] {
  const troubles = drawTroubles(random);
  const receipts = [drawSender(random), drawSender(random)].flatMap((sender) => posts(sender, troubles, random));
  return inOrder(receipts);
}

/** The same with senders of webhooks among them, which may also lose their resolves. */
export function mixedStream(random: Random): SlowReceipt[] {
  const losesResolves = random() < 0.3;
  return v2Stream(random)
    .map((receipt): SlowReceipt => {
      if (random() < 0.6) return receipt;
      const isResolved = receipt.status === "resolved";
      return { ...receipt, form: "v4", endsAtMs: isResolved && random() < 0.9 ? receipt.endsAtMs : null };
    })
    .filter(({ status }) => status === "firing" || !losesResolves || random() < 0.05);
}

function drawTroubles(random: Random): Trouble[] {
  const troubles: Trouble[] = [];
  let atMs = BEGIN_MS + whole(random, 5 * MINUTE_MS);
  for (let count = 1 + whole(random, 3); count > 0; count -= 1) {
    const toMs = atMs + MINUTE_MS + whole(random, 20 * MINUTE_MS);
    troubles.push({ fromMs: atMs, toMs });
    atMs = toMs + whole(random, random() < 0.5 ? 3 * MINUTE_MS : 40 * MINUTE_MS);
  }
  return troubles;
}

function drawSender(random: Random): Sender {
  const sendsStart = random() < 0.8;
  return {
    intervalMs: pick(random, [15, 30, 60]) * SECOND_MS,
    skewMs: whole(random, 60 * SECOND_MS) - 30 * SECOND_MS,
    leaseIntervals: 4,
    sendsStart,
    // Of a lease without a start Alertmanager makes an activity that is still to come, and forgets a longer one for it.
    sendsLease: sendsStart && random() < 0.8,
    forgets: random() < 0.3 ? 0.02 : 0,
  };
}

function posts(sender: Sender, troubles: readonly Trouble[], random: Random): SlowReceipt[] {
  const { intervalMs, skewMs } = sender;
  const lateMs = whole(random, 2 * MINUTE_MS);
  const outage = random() < 0.4 ? drawOutage(random) : { fromMs: 0, toMs: 0 };
  const receipts: SlowReceipt[] = [];
  for (const { fromMs, toMs } of troubles) {
    let startMs = fromMs + lateMs + skewMs;
    const endMs = Math.max(toMs + whole(random, MINUTE_MS), startMs - skewMs + SECOND_MS);
    let knows = true;
    for (let atMs = fromMs + lateMs; atMs < endMs + RESOLVED_FOR_MS; atMs += intervalMs) {
      const receivedAtMs = atMs + whole(random, SECOND_MS);
      if (random() < sender.forgets) {
        startMs = atMs + skewMs;
        knows = atMs < endMs;
      }
      const isOut = atMs >= outage.fromMs && atMs < outage.toMs;
      if (isOut || !knows || isWithinLater(troubles, fromMs, atMs - lateMs)) continue;
      const startsAtMs = sender.sendsStart ? startMs : null;
      if (atMs >= endMs) receipts.push(resolved({ startsAtMs, endsAtMs: Math.min(endMs, receivedAtMs), receivedAtMs }));
      else receipts.push(firing(sender, { startsAtMs, receivedAtMs }));
    }
  }
  return receipts;
}

/** The alert fires anew: nobody repeats the end of the trouble before. */
function isWithinLater(troubles: readonly Trouble[], fromMs: number, atMs: number): boolean {
  return troubles.some((trouble) => trouble.fromMs > fromMs && atMs >= trouble.fromMs);
}

function firing(sender: Sender, times: Pick<SlowReceipt, "startsAtMs" | "receivedAtMs">): SlowReceipt {
  const leaseMs = times.receivedAtMs + sender.intervalMs * sender.leaseIntervals;
  return { form: "v2", status: "firing", ...times, endsAtMs: sender.sendsLease ? leaseMs : null };
}

function resolved(times: Pick<SlowReceipt, "startsAtMs" | "endsAtMs" | "receivedAtMs">): SlowReceipt {
  return { form: "v2", status: "resolved", ...times };
}

function drawOutage(random: Random): Trouble {
  const fromMs = BEGIN_MS + whole(random, 60 * MINUTE_MS);
  return { fromMs, toMs: fromMs + whole(random, 15 * MINUTE_MS) };
}

function inOrder(receipts: SlowReceipt[]): SlowReceipt[] {
  return receipts.sort((a, b) => a.receivedAtMs - b.receivedAtMs);
}

function whole(random: Random, below: number): number {
  return Math.floor(random() * below);
}

function pick<T>(random: Random, choices: readonly T[]): T {
  return choices[whole(random, choices.length)] as T;
}
