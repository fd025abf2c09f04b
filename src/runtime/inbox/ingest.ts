/** The alerts of one request: sorted into letters, each to its mailbox, and the answers back in the order of the alerts. */
import type { Alert } from "../../model/alert.ts";
import { BecalmError } from "../../model/errors.ts";
import type { Work } from "../commit/batch-read.ts";
import { type Address, mailboxKey } from "../commit/conflicts.ts";
import type { WorkResult } from "../commit/turn.ts";
import type { World } from "../world.ts";
import { type Intake, intakesOf } from "./intake.ts";
import { BatchSize, type Mailboxes } from "./mailboxes.ts";
import type { Receipts } from "./receipts.ts";

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

export type IngestParts = { readonly mailboxes: Mailboxes; readonly receipts: Receipts };

/** What goes to one mailbox together. `places`: of its works, in their order. */
type Letter = {
  readonly address: Address;
  readonly works: Work[];
  readonly places: Place[];
  readonly size: BatchSize;
};

/** What one policy makes of one alert, and what is left of it when it is decided. */
type Place = {
  readonly alert: number;
  readonly policy: string;
  readonly id: string;
  readonly isResolved: boolean;
  /** null: not yet. */
  outcome: Ingested["outcome"] | BecalmError | null;
  /** Of an instance that was there already. */
  lastStepAtMs: number;
};

/** The alerts of one request, on their way. */
export type Mail = {
  readonly places: readonly Place[];
  /** Those that are not sent yet. */
  readonly letters: Letter[];
  readonly unmatched: readonly number[];
  /** Alerts that are refused, and why. */
  readonly refused: Map<number, BecalmError>;
};

/** Sorts the alerts of a request. `readings`: each alert, or why it is none. */
export async function mailOf(
  world: World,
  readings: readonly (Alert | BecalmError)[],
  { atMs }: { atMs: number },
): Promise<Mail> {
  const alerts = readings.map((reading) => (reading instanceof BecalmError ? null : reading));
  const { intakes, unmatched, unreadable } = await intakesOf(world, alerts, { atMs });
  const refused = new Map(unreadable);
  for (const [index, reading] of readings.entries()) if (reading instanceof BecalmError) refused.set(index, reading);
  const places = intakes.map(({ alert, policy, id, work }) => {
    const isResolved = alerts[alert]?.status === "resolved";
    return { alert, policy, id, isResolved, outcome: work === null ? unsent(isResolved) : null, lastStepAtMs: 0 };
  });
  return { places, letters: lettersOf(intakes, places), unmatched, refused };
}

/** An earlier version of the policy has made the instance. */
function unsent(isResolved: boolean): Ingested["outcome"] {
  return isResolved ? "ignored" : "duplicate";
}

/** At most a commit's worth in each letter. */
function lettersOf(intakes: readonly Intake[], places: readonly Place[]): Letter[] {
  const last = new Map<string, Letter>();
  const letters: Letter[] = [];
  for (let index = 0; index < intakes.length; index += 1) {
    const { work, address } = intakes[index] as Intake;
    if (work === null) continue;
    const key = mailboxKey(address);
    let letter = last.get(key);
    if (letter?.size.takes(work) !== true) {
      letter = { address, works: [], places: [], size: new BatchSize(work) };
      last.set(key, letter);
      letters.push(letter);
    }
    letter.works.push(work);
    letter.places.push(places[index] as Place);
  }
  return letters;
}

/** Resolves when every decision about the alerts is durable, or refused. */
export async function deliver(parts: IngestParts, mail: Mail, { atMs }: { atMs: number }): Promise<IngestResult> {
  await Promise.all(sent(parts.mailboxes, mail));
  const { places, unmatched, refused } = mail;
  for (const { alert, outcome } of places) if (outcome instanceof BecalmError) refused.set(alert, outcome);
  const instances: Ingested[] = [];
  for (const { alert, policy, id, outcome, lastStepAtMs } of places) {
    if (refused.size > 0 && refused.has(alert)) continue;
    if (outcome === "duplicate") parts.receipts.received(id, { atMs, lastStepAtMs });
    instances.push({ alert, policy, id, outcome: outcome as Ingested["outcome"] });
  }
  return { instances, unmatched, rejected: [...refused].map(([alert, error]) => ({ alert, error })) };
}

/**
 * Each letter is taken out, and forgotten as soon as it is decided: otherwise all that a request carries would live until its last alert is
 * decided, and be copied by one collection of the garbage after the other.
 */
function sent(mailboxes: Mailboxes, { letters }: Mail): Promise<void>[] {
  return letters.splice(0).map((letter) => send(mailboxes, letter));
}

async function send(mailboxes: Mailboxes, { address, works, places, size }: Letter): Promise<void> {
  try {
    const results = await mailboxes.submit(address, works, size.bytes);
    for (let index = 0; index < places.length; index += 1) settle(places[index] as Place, results[index] as WorkResult);
  } catch (error) {
    if (!(error instanceof BecalmError)) throw error;
    for (const place of places) place.outcome = error;
  }
}

function settle(place: Place, result: WorkResult): void {
  if (result.outcome === "quarantined") place.outcome = result.error;
  else if (place.isResolved) place.outcome = result.outcome === "applied" ? "resolved" : "ignored";
  else place.outcome = result.outcome === "created" ? "created" : "duplicate";
  place.lastStepAtMs = result.instance?.atMs ?? 0;
}
