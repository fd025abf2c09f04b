/** Takes the alerts of one request: each to its mailbox, and the answers back in the order of the alerts. */
import type { Alert } from "../core/alert.ts";
import { BecalmError } from "../core/errors.ts";
import type { Work } from "./batch-read.ts";
import { type Address, mailboxKey } from "./conflicts.ts";
import { type Intake, intakesOf } from "./intake.ts";
import { BatchSize, type Mailboxes } from "./mailboxes.ts";
import type { Receipts } from "./receipts.ts";
import type { WorkResult } from "./turn.ts";
import type { World } from "./world.ts";

/** What became of one alert under one policy. */
export type Ingested = {
  readonly alert: number;
  readonly policy: string;
  readonly id: string;
  readonly outcome: "created" | "duplicate" | "resolved" | "ignored";
};

export type IngestResult = {
  readonly instances: readonly Ingested[];
  /** Indexes of alerts that no policy matches. */
  readonly unmatched: readonly number[];
  /** Alerts that were not taken: `BECALM_ALERT_INVALID` is the sender's mistake; anything else was refused for now, send it again. */
  readonly rejected: readonly { readonly alert: number; readonly error: BecalmError }[];
};

export type IngestParts = { readonly world: World; readonly mailboxes: Mailboxes; readonly receipts: Receipts };

/** What goes to one mailbox together. `places`: of its works among the intakes. */
type Letter = {
  readonly address: Address;
  readonly works: Work[];
  readonly places: number[];
  readonly size: BatchSize;
};

/** Resolves when every decision about the alerts is durable, or refused. `readings`: each alert, or why it is none. */
export async function ingestAlerts(
  parts: IngestParts,
  readings: readonly (Alert | BecalmError)[],
  atMs: number,
): Promise<IngestResult> {
  const alerts = readings.map((reading) => (reading instanceof BecalmError ? null : reading));
  const { intakes, unmatched, unreadable } = await intakesOf(parts.world, alerts, { atMs });
  const results: (WorkResult | BecalmError | null)[] = intakes.map(() => null);
  await Promise.all(lettersOf(intakes).map((letter) => deliver(parts.mailboxes, letter, results)));
  const errors = new Map(unreadable);
  for (const [index, reading] of readings.entries()) if (reading instanceof BecalmError) errors.set(index, reading);
  for (const [place, { alert }] of intakes.entries()) {
    const error = errorOf(results[place] ?? null);
    if (error !== null) errors.set(alert, error);
  }
  const instances: Ingested[] = [];
  for (const [place, { alert, policy, id }] of intakes.entries()) {
    if (errors.size > 0 && errors.has(alert)) continue;
    const result = results[place] as WorkResult | null;
    const outcome = outcomeOf(alerts[alert] as Alert, result);
    if (outcome === "duplicate") parts.receipts.received(id, { atMs, lastStepAtMs: result?.instance?.atMs ?? 0 });
    instances.push({ alert, policy, id, outcome });
  }
  return { instances, unmatched, rejected: [...errors].map(([alert, error]) => ({ alert, error })) };
}

function errorOf(result: WorkResult | BecalmError | null): BecalmError | null {
  if (result instanceof BecalmError) return result;
  return result?.outcome === "quarantined" ? result.error : null;
}

/** At most a commit's worth in each letter. */
function lettersOf(intakes: readonly Intake[]): Letter[] {
  const last = new Map<string, Letter>();
  const letters: Letter[] = [];
  for (let place = 0; place < intakes.length; place += 1) {
    const { work, address } = intakes[place] as Intake;
    if (work === null) continue;
    const key = mailboxKey(address);
    let letter = last.get(key);
    if (letter?.size.takes(work) !== true) {
      letter = { address, works: [], places: [], size: new BatchSize(work) };
      last.set(key, letter);
      letters.push(letter);
    }
    letter.works.push(work);
    letter.places.push(place);
  }
  return letters;
}

/** What becomes of each work, in its place. */
async function deliver(
  mailboxes: Mailboxes,
  { address, works, places, size }: Letter,
  into: (WorkResult | BecalmError | null)[],
): Promise<void> {
  try {
    const results = await mailboxes.submit(address, works, size.bytes);
    for (const [index, place] of places.entries()) into[place] = results[index] as WorkResult;
  } catch (error) {
    if (!(error instanceof BecalmError)) throw error;
    for (const place of places) into[place] = error;
  }
}

function outcomeOf(alert: Alert, result: WorkResult | null): Ingested["outcome"] {
  if (alert.status === "resolved") return result?.outcome === "applied" ? "resolved" : "ignored";
  return result?.outcome === "created" ? "created" : "duplicate";
}
