/** Takes the alerts of one request: each to its mailbox, and the answers back in the order of the alerts. */
import type { Alert } from "../core/alert.ts";
import { BecalmError } from "../core/errors.ts";
import type { Work } from "./batch-read.ts";
import { type Address, mailboxKey } from "./conflicts.ts";
import { type Intake, intakesOf } from "./intake.ts";
import { batchesOf, type Mailboxes } from "./mailboxes.ts";
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

/** `result`: null while nothing was asked of a mailbox. */
type Slot = { readonly index: number; readonly alert: Alert; readonly intake: Intake; result: WorkResult | null };
type Sent = { readonly work: Work; readonly slot: Slot };
type Letter = { readonly address: Address; readonly sent: Sent[] };

/** Resolves when every decision about the alerts is durable, or refused. `readings`: each alert, or why it is none. */
export async function ingestAlerts(
  parts: IngestParts,
  readings: readonly (Alert | BecalmError)[],
  atMs: number,
): Promise<IngestResult> {
  const errors = new Map<number, BecalmError>();
  const { slots, unmatched } = await slotsOf(parts.world, { readings, atMs, errors });
  await Promise.all(lettersOf(slots).map((letter) => deliver(parts.mailboxes, letter, errors)));
  const instances: Ingested[] = [];
  for (const { index, alert, intake, result } of slots) {
    if (errors.has(index)) continue;
    const outcome = outcomeOf(alert, result);
    if (outcome === "duplicate")
      parts.receipts.received(intake.id, { atMs, lastStepAtMs: result?.instance?.atMs ?? 0 });
    instances.push({ alert: index, policy: intake.policy, id: intake.id, outcome });
  }
  return { instances, unmatched, rejected: [...errors].map(([alert, error]) => ({ alert, error })) };
}

/** One slot for each piece of work, in the order of the alerts. Alerts that cannot be taken go to `errors`. */
async function slotsOf(
  world: World,
  given: { readings: readonly (Alert | BecalmError)[]; atMs: number; errors: Map<number, BecalmError> },
): Promise<{ slots: Slot[]; unmatched: number[] }> {
  const { readings, atMs, errors } = given;
  const readable: { index: number; alert: Alert }[] = [];
  for (const [index, reading] of readings.entries()) {
    if (reading instanceof BecalmError) errors.set(index, reading);
    else readable.push({ index, alert: reading });
  }
  const found = await intakesOf(
    world,
    readable.map(({ alert }) => alert),
    { atMs },
  );
  const slots: Slot[] = [];
  const unmatched: number[] = [];
  for (const [position, { index, alert }] of readable.entries()) {
    const intakes = found[position] as Intake[] | BecalmError;
    if (intakes instanceof BecalmError) errors.set(index, intakes);
    else if (intakes.length === 0) unmatched.push(index);
    else for (const intake of intakes) slots.push({ index, alert, intake, result: null });
  }
  return { slots, unmatched };
}

/** What goes to one mailbox, at most a commit's worth in each letter. */
function lettersOf(slots: readonly Slot[]): Letter[] {
  const letters = new Map<string, Letter>();
  for (const slot of slots) {
    const { work, address } = slot.intake;
    if (work === null) continue;
    const key = mailboxKey(address);
    const letter = letters.get(key);
    if (letter === undefined) letters.set(key, { address, sent: [{ work, slot }] });
    else letter.sent.push({ work, slot });
  }
  return [...letters.values()].flatMap(({ address, sent }) =>
    batchesOf(sent).map((batch) => ({ address, sent: batch })),
  );
}

async function deliver(
  mailboxes: Mailboxes,
  { address, sent }: Letter,
  errors: Map<number, BecalmError>,
): Promise<void> {
  try {
    const results = await mailboxes.submit(
      address,
      sent.map(({ work }) => work),
    );
    for (const [position, { slot }] of sent.entries()) {
      const result = results[position] as WorkResult;
      slot.result = result;
      if (result.outcome === "quarantined") errors.set(slot.index, result.error);
    }
  } catch (error) {
    if (!(error instanceof BecalmError)) throw error;
    for (const { slot } of sent) errors.set(slot.index, error);
  }
}

function outcomeOf(alert: Alert, result: WorkResult | null): Ingested["outcome"] {
  if (alert.status === "resolved") return result?.outcome === "applied" ? "resolved" : "ignored";
  return result?.outcome === "created" ? "created" : "duplicate";
}
