/**
 * Letters between the processes of a namespace, as texts. They hold what a mailbox is given and what it answers,
 * without what every process has already: a policy is named by its version.
 */
import type { OutsideEvent } from "../../instance/decide.ts";
import type { Incoming } from "../../instance/receive.ts";
import { BecalmError, type ErrorCode } from "../../model/errors.ts";
import type { SilenceNote } from "../../model/instance-types.ts";
import type { Receipt } from "../../model/receipt.ts";
import { type CompiledPolicy, policyKey } from "../../policy/policy-versions.ts";
import { type Address, type Envelope, type EnvelopeResult, NOTHING } from "../commit/batch.ts";
import { episodeKeyOf } from "../inbox/routing.ts";

/**
 * Raised when an older version would not understand what is written: processes share partitions with those of their own
 * form only.
 */
export const LETTER_FORM = 1;
/** Of one that cannot be read. */
const SHOWN_LETTER_LENGTH = 100;

/** `ask`: decide these. `answer`: to that. `look`: who lives has changed. */
export type Letter =
  | { readonly kind: "ask"; readonly from: string; readonly number: number; readonly batches: readonly WrittenBatch[] }
  | { readonly kind: "answer"; readonly number: number; readonly answers: readonly WrittenAnswer[] }
  | { readonly kind: "look" };

/** What belongs to one mailbox: receipts (`commands`), or results of attempts. */
export type WrittenBatch = {
  readonly address: Address;
  readonly commands: readonly WrittenCommand[];
  readonly results?: readonly WrittenAttempt[];
};

/** An attempt's result: the effect, its instance, and the event that the result is. */
type WrittenAttempt = {
  readonly effect: string;
  readonly instance: string;
  readonly event: OutsideEvent;
  readonly order?: readonly number[];
};

type WrittenCommand = {
  readonly order?: readonly number[];
  readonly atMs: number;
  readonly receipt: Receipt;
  /** `name@version` */
  readonly policy: string;
  readonly ownId: string;
  readonly silence?: SilenceNote;
  readonly mayBegin: boolean;
};

/** Of one batch: a result for each command; why it was refused; null: whoever was asked does not decide it. */
export type WrittenAnswer = readonly WrittenResult[] | WrittenError | null;

type WrittenResult = readonly [
  outcome: EnvelopeResult["outcome"],
  id: string | null,
  sinceMs: number | null,
  error?: WrittenError,
];

type WrittenError = {
  readonly code: ErrorCode;
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
};

/** @throws if it is none: anybody who may write there can put something into an inbox. */
export function readLetter(text: string): Letter {
  const letter = JSON.parse(text) as Letter | null;
  const isAsk = letter?.kind === "ask" && Array.isArray(letter.batches);
  const isAnswer = letter?.kind === "answer" && Array.isArray(letter.answers);
  if (letter === null || !(isAsk || isAnswer || letter.kind === "look"))
    throw new Error(`it is not a letter: ${text.slice(0, SHOWN_LETTER_LENGTH)}`);
  return letter;
}

/** Receipts and results of attempts are sent to others, and nothing else. */
export function canBeWritten(envelopes: readonly Envelope[]): boolean {
  return envelopes.every(({ command }) => command.type === "receipt") || envelopes.every(isResult);
}

function isResult({ command, consumes }: Envelope): boolean {
  return command.type === "event" && consumes.kind === "effect";
}

export function writtenBatch(envelopes: readonly Envelope[]): WrittenBatch {
  const { address } = envelopes[0] as Envelope;
  const commands: WrittenCommand[] = [];
  const results: WrittenAttempt[] = [];
  for (const { command, consumes } of envelopes) {
    if (command.type === "event" && consumes.kind === "effect") {
      const { id: instance, event, order } = command;
      results.push({ effect: consumes.id, instance, event, ...(order === undefined ? {} : { order }) });
    }
    if (command.type !== "receipt") continue;
    const { order, atMs, receipt, policy, ownId, silence, mayBegin } = command;
    commands.push({
      ...(order === undefined ? {} : { order }),
      atMs,
      receipt,
      policy: policyKey(policy.policy),
      ownId,
      ...(silence === null ? {} : { silence }),
      mayBegin,
    });
  }
  return results.length === 0 ? { address, commands } : { address, commands, results };
}

/** When its commands were given. */
export function timesIn({ commands, results = [] }: WrittenBatch): readonly number[] {
  return [...commands.map(({ atMs }) => atMs), ...results.map(({ event }) => event.atMs)];
}

/** The commands again. null: one of them is under a policy that `policyOf` does not give. */
export function readBatch(
  { address, commands, results = [] }: WrittenBatch,
  policyOf: (key: string, command: { readonly mayBegin: boolean }) => CompiledPolicy | undefined,
): readonly Envelope[] | null {
  const envelopes: Envelope[] = [];
  for (const { policy: name, silence = null, order, ...written } of commands) {
    const policy = policyOf(name, written);
    if (policy === undefined) return null;
    const key = episodeKeyOf(policy, written.receipt.fingerprint);
    const ordered = order === undefined ? {} : { order };
    const command: Incoming = { type: "receipt", ...ordered, ...written, policy, key, silence };
    envelopes.push({ address, command, consumes: NOTHING, lastSeen: null });
  }
  for (const { effect, instance: id, event, order } of results) {
    const command: Incoming = { type: "event", id, event, ...(order === undefined ? {} : { order }) };
    envelopes.push({ address, command, consumes: { kind: "effect", id: effect }, lastSeen: null });
  }
  return envelopes;
}

export function writtenAnswer(results: readonly EnvelopeResult[]): WrittenAnswer {
  return results.map((result): WrittenResult => {
    const { outcome, instance } = result;
    const id = instance?.id ?? result.id ?? null;
    const sinceMs = instance?.atMs ?? result.sinceMs ?? null;
    return outcome === "quarantined" ? [outcome, id, sinceMs, writtenError(result.error)] : [outcome, id, sinceMs];
  });
}

export function writtenError({ code, message, details }: BecalmError): WrittenError {
  return { code, message, details };
}

/** What an answer says. @throws the error that it is */
export function readAnswer(answer: Exclude<WrittenAnswer, null>): readonly EnvelopeResult[] {
  if ("code" in answer) throw readError(answer);
  return answer.map(([outcome, id, sinceMs, error]) => {
    const result = { id, sinceMs: sinceMs ?? undefined, instance: null };
    return outcome === "quarantined"
      ? { ...result, outcome, error: readError(error as WrittenError) }
      : { ...result, outcome };
  });
}

function readError({ code, message, details }: WrittenError): BecalmError {
  return new BecalmError(code, message, { details });
}
