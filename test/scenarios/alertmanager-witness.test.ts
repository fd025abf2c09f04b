/** A real Alertmanager as a witness: what the model of its merging says, and where episodes differ from it on purpose. */
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { AlertmanagerModel, type PostedAlert } from "../support/alertmanager-model.ts";
import { type AlertmanagerServer, installedAlertmanager, startAlertmanager } from "../support/alertmanager-server.ts";
import { type Random, randomFrom } from "../support/receipt-streams.ts";
import { ALERTMANAGER_RULES, SlowEpisodes, type SlowReceipt, type SlowRules } from "../support/slow-episodes.ts";

const STREAMS = 450;
const STEPS = 14;
/** Three requests are made in a step. A machine that needs too much of it for them is given longer steps. */
const STEP_MS = 400;
const HOUR_MS = 3_600_000;
/** In steps: a short lease runs out while the stream goes on, unless it is renewed. */
const SHORT_LEASE = 1.5;
/** Of so many streams it must be clear what is right. */
const CLEAR_COUNT_MIN = 200;
/** How far the server's clock may be from ours when it takes a request, beside the time that the request takes. */
const MARGIN_MS = 60;

const program = installedAlertmanager();
if (program === null)
  console.info("No Alertmanager is installed (Debian: apt-get install prometheus-alertmanager): its test is left out.");

type Stream = {
  readonly name: string;
  readonly random: Random;
  readonly receipts: SlowReceipt[];
  /** What the server showed. */
  activities: number;
  wasFiring: boolean;
  /** A lease ended while the server was being asked: nobody can say what is right. */
  isUnclear: boolean;
  leaseEndsMs: number[];
};

describe.runIf(program !== null)("a real Alertmanager", () => {
  test("has as many activities as the model of it, and as episodes without what differs on purpose", async () => {
    const server = await startAlertmanager(program as string);
    try {
      let clear: Stream[] = [];
      for (let stepMs = STEP_MS; clear.length < CLEAR_COUNT_MIN; stepMs *= 2) {
        const streams = Array.from({ length: STREAMS }, (_, seed) => streamOf(seed, stepMs));
        for (let step = 0; step < STEPS; step += 1) await makeStep(server, streams, stepMs);
        clear = streams.filter(({ isUnclear }) => !isUnclear);
      }
      const told = { streams: clear.length, receipts: 0, activities: 0, episodes: 0, sameNumber: 0 };
      for (const { name, receipts, activities } of clear) {
        expect([name, modelActivities(receipts)]).toEqual([name, activities]);
        expect([name, countOf(receipts, ALERTMANAGER_RULES)]).toEqual([name, activities]);
        const episodes = countOf(receipts);
        told.receipts += receipts.length;
        told.activities += activities;
        told.episodes += episodes;
        if (episodes === activities) told.sameNumber += 1;
      }
      console.info(`A real Alertmanager beside episodes: ${JSON.stringify(told)}`);
    } finally {
      await server.stop();
    }
  });
});

function streamOf(seed: number, stepMs: number): Stream {
  const about = { activities: 0, wasFiring: false, isUnclear: false, leaseEndsMs: [] };
  return { name: `s${seed}-${stepMs}`, random: randomFrom(seed + 1), receipts: [], ...about };
}

async function makeStep({ url }: AlertmanagerServer, streams: readonly Stream[], stepMs: number): Promise<void> {
  const begunMs = Date.now();
  const before = await firing(url);
  for (const stream of streams) stream.wasFiring = before.has(stream.name);
  const sentMs = Date.now();
  const posted = streams.flatMap((stream) => {
    const alert = draw(stream, sentMs, SHORT_LEASE * stepMs);
    return alert === null ? [] : [{ stream, alert }];
  });
  const body = JSON.stringify(posted.map(({ stream, alert }) => asJson(stream.name, alert)));
  const headers = { "content-type": "application/json" };
  const answer = await fetch(`${url}/api/v2/alerts`, { method: "POST", headers, body });
  expect([answer.status, await answer.text()]).toEqual([200, ""]);
  const after = await firing(url);
  const seenMs = Date.now();
  for (const { stream, alert } of posted) take(stream, alert, (sentMs + seenMs) / 2);
  for (const stream of streams) {
    if (!stream.wasFiring && after.has(stream.name)) stream.activities += 1;
    const isNear = (endMs: number) => endMs > begunMs - MARGIN_MS && endMs < seenMs + MARGIN_MS;
    if (stream.leaseEndsMs.some(isNear)) stream.isUnclear = true;
  }
  await delay(Math.max(stepMs - (Date.now() - begunMs), 0));
}

/** Starts and resolves of the last hour, leases of hours, short ones, and none at all. */
function draw({ random }: Stream, nowMs: number, shortMs: number): PostedAlert | null {
  const kind = random();
  const startsAtMs = nowMs - 1_000 - Math.floor(random() * HOUR_MS);
  if (kind < 0.3) return null;
  if (kind < 0.45) return { startsAtMs, endsAtMs: nowMs + HOUR_MS * (1 + Math.floor(random() * 5)) };
  if (kind < 0.6) return { startsAtMs, endsAtMs: nowMs + shortMs };
  if (kind < 0.7) return { startsAtMs: random() < 0.5 ? startsAtMs : null, endsAtMs: null };
  const endsAtMs = random() < 0.5 ? nowMs - 500 : startsAtMs + Math.floor(random() * (nowMs - startsAtMs - 500));
  return { startsAtMs: random() < 0.2 ? null : startsAtMs, endsAtMs };
}

function take(stream: Stream, { startsAtMs, endsAtMs }: PostedAlert, receivedAtMs: number): void {
  const isResolved = endsAtMs !== null && endsAtMs <= receivedAtMs;
  const status = isResolved ? "resolved" : "firing";
  stream.receipts.push({ form: "v2", status, startsAtMs, endsAtMs, receivedAtMs });
  if (endsAtMs !== null && !isResolved) stream.leaseEndsMs.push(endsAtMs);
}

function asJson(stream: string, { startsAtMs, endsAtMs }: PostedAlert) {
  const time = (atMs: number | null) => (atMs === null ? undefined : new Date(atMs).toISOString());
  return { labels: { alertname: "Witness", stream }, startsAt: time(startsAtMs), endsAt: time(endsAtMs) };
}

async function firing(url: string): Promise<Set<string>> {
  const alerts = (await (await fetch(`${url}/api/v2/alerts`)).json()) as { labels: { stream: string } }[];
  return new Set(alerts.map(({ labels }) => labels.stream));
}

function modelActivities(receipts: readonly SlowReceipt[]): number {
  const model = new AlertmanagerModel();
  for (const receipt of receipts) model.post(receipt, receipt.receivedAtMs);
  return model.activities;
}

function countOf(receipts: readonly SlowReceipt[], rules: Partial<SlowRules> = {}): number {
  const slow = new SlowEpisodes(rules);
  for (const receipt of receipts) slow.receive(receipt);
  return slow.episodes.length;
}
