/**
 * Under which version of the machine a checkpoint is written, and how an older one is read.
 *
 * A checkpoint bears the lowest version that means the same by it: what uses nothing of version 2 is written as version
 * 1 wrote it, byte for byte, so that histories of both replay to the same hashes and an engine of the version before
 * reads whatever it could have made itself. What it could not (docs/decisions/machine-version-2.md lists it) bears
 * version 2, and is made only in a namespace that was raised to it.
 */
import type { InstanceContext } from "../model/instance-types.ts";
import type { ReasonCode } from "../model/reasons.ts";
import type { Snapshot } from "./step.ts";

export const CHECKPOINT_FORMAT = 1;
export const MACHINE_ID = "action-instance";
/** Rises when a stored snapshot would mean something else to the machine. */
export const MACHINE_VERSION = 2;

export type MachineVersion = 1 | 2;

/** Reasons that last and that version 1 does not know. */
const REASONS_OF_2: ReadonlySet<ReasonCode | null> = new Set<ReasonCode | null>([
  "lease_over",
  "resolve_lost",
  "paused",
  "not_resolved",
]);

type Versioned = { readonly snapshot: Snapshot; readonly reason: ReasonCode | null; readonly isObserved: boolean };

/** The lowest version of the machine that means the same by this instance. */
export function machineVersionOf({ snapshot, reason, isObserved }: Versioned): MachineVersion {
  const { state, context } = snapshot;
  const isOf2 = isObserved || state === "Processing.verifying" || REASONS_OF_2.has(reason) || usesVersion2(context);
  return isOf2 ? 2 : 1;
}

const TIMERS_OF_2 = ["verify", "reconsider", "silence", "pause"] as const;

function usesVersion2({ policy, timers, paused, grants, reconsidered }: InstanceContext): boolean {
  if (policy.verifyMs !== null || policy.again !== null || paused || reconsidered > 0) return true;
  return grants.length > 0 || TIMERS_OF_2.some((name) => timers[name] !== undefined);
}

/** As it is stored: machine, its version, and the format of the envelope. */
export const MACHINE_TEXTS: Readonly<Record<MachineVersion, string>> = {
  1: `${MACHINE_ID}@1/${CHECKPOINT_FORMAT}`,
  2: `${MACHINE_ID}@2/${CHECKPOINT_FORMAT}`,
};

/**
 * Bodies of checkpoints, by the version that they bear, made into the next one. Pure: nothing is written until the
 * instance steps.
 */
const MIGRATIONS: Readonly<Record<string, (body: Fields) => Fields>> = {
  /** Version 2 knows of an instance that it was silenced, so that it can be decided when the silence ends. */
  [MACHINE_TEXTS[1]]: (body) =>
    body["state"] === "Skipped" && body["reason"] === "silenced" ? { ...body, silenced: true } : body,
  [MACHINE_TEXTS[2]]: (body) => body,
};

type Fields = Record<string, unknown>;

/**
 * The body as this version of the machine reads it; null: it belongs to another machine, or to a version that is not
 * known.
 */
export function migrated(machine: string, body: Fields): Fields | null {
  return Object.hasOwn(MIGRATIONS, machine) ? (MIGRATIONS[machine]?.(body) ?? null) : null;
}
