/**
 * The alerts of one request: routed into batches, each to its mailbox, and the answers back in the order of the alerts.
 */
import { BecalmError } from "../../model/errors.ts";
import type { Receipt } from "../../model/receipt.ts";
import type { EnvelopeResult } from "../commit/batch.ts";
import { type Envelope, mailboxKey, neededId } from "../commit/batch.ts";
import type { Runtime } from "../runtime.ts";
import { type Filling, type Size, sizeOf, takes } from "./batch-size.ts";
import type { Receipts } from "./receipts.ts";
import { type RoutedAlert, routeAlerts } from "./routed-alerts.ts";

/** What became of one alert under one policy. */
export type Ingested = {
  readonly alert: number;
  readonly policy: string;
  /**
   * Of the instance that it made or belongs to. An `ignored` one may have none: then it is that which it would have
   * made.
   */
  readonly id: string;
  /**
   * Of an alert that fires: `created`; `duplicate`, its episode goes on. Of one that is resolved: `resolved`, it moved
   * its instance; `ignored`, it changed none. Of either: `late`, a word about an activity that is over already, which
   * changes nothing.
   */
  readonly outcome: "created" | "duplicate" | "resolved" | "ignored" | "late";
};

export type IngestResult = {
  readonly instances: readonly Ingested[];
  /** Indexes of alerts that no policy matches. */
  readonly unmatched: readonly number[];
  /**
   * Alerts that were not taken: `BECALM_ALERT_INVALID` is the sender's mistake; anything else was refused for now, send
   * it again.
   */
  readonly rejected: readonly { readonly alert: number; readonly error: BecalmError }[];
};

/** `owners`: has a batch decided, here or by the process that owns its partition. */
export type IngestParts = { readonly owners: Decider; readonly receipts: Receipts };

export type Decider = {
  submit(envelopes: readonly Envelope[], size: Size): Promise<readonly EnvelopeResult[]>;
};

/** What one request sends to one mailbox together. `slots`: of its envelopes, in their order. */
type RoutedBatch = {
  readonly envelopes: Envelope[];
  readonly slots: Slot[];
  readonly size: Filling;
};

/** Where the result of one routed alert is put when it is decided. */
type Slot = {
  readonly alert: number;
  readonly policy: string;
  readonly isResolved: boolean;
  /** Where it goes if it has no episode where it went. */
  readonly fallback: Envelope | null;
  id: string;
  /** null: not yet. */
  outcome: Ingested["outcome"] | BecalmError | null;
  /** Of an instance that was there already. */
  lastStepAtMs: number;
};

/** A request on its way. */
export type RoutedRequest = {
  readonly slots: readonly Slot[];
  /** Those that are not sent yet. */
  readonly batches: RoutedBatch[];
  readonly unmatched: readonly number[];
  /** Alerts that are refused, and why. */
  readonly refused: Map<number, BecalmError>;
};

/** Routes the receipts of a request. `readings`: each receipt, or why it is invalid. */
export async function routeRequest(
  runtime: Runtime,
  readings: readonly (Receipt | BecalmError)[],
  { atMs }: { atMs: number },
): Promise<RoutedRequest> {
  const receipts = readings.map((reading) => (reading instanceof BecalmError ? null : reading));
  const { routed, unmatched, unreadable } = await routeAlerts(runtime, receipts, { atMs, turn: null });
  const refused = new Map(unreadable);
  for (const [index, reading] of readings.entries()) if (reading instanceof BecalmError) refused.set(index, reading);
  const slots = routed.map(({ alert, policy, envelope, fallback }): Slot => {
    const isResolved = receipts[alert]?.status === "resolved";
    return {
      alert,
      policy,
      isResolved,
      fallback,
      id: neededId(envelope.command) ?? "",
      outcome: null,
      lastStepAtMs: 0,
    };
  });
  return { slots, batches: batchesOf(routed, slots), unmatched, refused };
}

/** At most a commit's worth in each batch. */
function batchesOf(routed: readonly RoutedAlert[], slots: readonly Slot[]): RoutedBatch[] {
  const last = new Map<string, RoutedBatch>();
  const batches: RoutedBatch[] = [];
  for (let index = 0; index < routed.length; index += 1) {
    const { envelope } = routed[index] as RoutedAlert;
    const key = mailboxKey(envelope.address);
    const size = sizeOf(envelope);
    let batch = last.get(key);
    if (batch === undefined || !takes(batch.size, size)) {
      batch = { envelopes: [], slots: [], size: { ...size } };
      last.set(key, batch);
      batches.push(batch);
    }
    batch.envelopes.push(envelope);
    batch.slots.push(slots[index] as Slot);
  }
  return batches;
}

/** Resolves when every decision about the alerts is durable, or refused. */
export async function deliver(
  { owners, receipts }: IngestParts,
  { slots, batches, unmatched, refused }: RoutedRequest,
  { atMs }: { atMs: number },
): Promise<IngestResult> {
  // Each batch is taken out, and forgotten as soon as it is decided: otherwise all that a request carries would live
  // until its last alert is decided, and be copied by one collection of the garbage after the other.
  await Promise.all(batches.splice(0).map((batch) => send(owners, batch)));
  for (const { alert, outcome } of slots) if (outcome instanceof BecalmError) refused.set(alert, outcome);
  const instances: Ingested[] = [];
  for (const { alert, policy, id, outcome, lastStepAtMs } of slots) {
    // No outcome: its policy is gone, or no longer matches, and has no open episode of it.
    if (outcome === null || outcome instanceof BecalmError || (refused.size > 0 && refused.has(alert))) continue;
    if (outcome === "duplicate") receipts.received(id, { atMs, lastStepAtMs });
    instances.push({ alert, policy, id, outcome });
  }
  return { instances, unmatched, rejected: [...refused].map(([alert, error]) => ({ alert, error })) };
}

async function send(owners: Decider, { envelopes, slots, size }: RoutedBatch): Promise<void> {
  try {
    const results = await owners.submit(envelopes, size);
    for (let index = 0; index < slots.length; index += 1) {
      const slot = slots[index] as Slot;
      const result = results[index] as EnvelopeResult;
      const isElsewhere = result.outcome === "elsewhere" && slot.fallback !== null;
      fill(
        slot,
        isElsewhere ? ((await owners.submit([slot.fallback], sizeOf(slot.fallback)))[0] as EnvelopeResult) : result,
      );
    }
  } catch (error) {
    if (!(error instanceof BecalmError)) throw error;
    for (const slot of slots) if (slot.outcome === null) slot.outcome = error;
  }
}

function fill(slot: Slot, result: EnvelopeResult): void {
  slot.outcome = outcomeOf(slot, result);
  slot.id = result.instance?.id ?? result.id ?? slot.id;
  slot.lastStepAtMs = result.instance?.atMs ?? result.sinceMs ?? 0;
}

function outcomeOf({ isResolved }: Slot, result: EnvelopeResult): Slot["outcome"] {
  if (result.outcome === "quarantined") return result.error;
  if (result.outcome === "elsewhere") return null;
  if (result.outcome === "late_word") return "late";
  if (isResolved) return result.outcome === "applied" ? "resolved" : "ignored";
  return result.outcome === "created" ? "created" : "duplicate";
}
