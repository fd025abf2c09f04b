/**
 * The checkpoint envelope: what one instance is between two commits, and its text form.
 *
 * Stored value: `<audit head> <body>`. The head is the hash of the instance's last history line; the body is JSON without defaults.
 * The audit's checkpoint hash is the sha256 of the body. The policy's part of the context is not stored: it comes from the policy version.
 */
import type { VerdictKind } from "../convergence/convergence.ts";
import { BecalmError } from "../model/errors.ts";
import { groupIdFrom, storedGroup } from "../model/ids.ts";
import {
  type ArmedTimer,
  type InstanceContext,
  type InstanceTimerName,
  initialContext,
} from "../model/instance-types.ts";
import { REASONS, type ReasonCode } from "../model/reasons.ts";
import { type PolicyVersions, policyKey } from "../policy/policy-versions.ts";
import { RESTING_STATES, type Snapshot, type StateText } from "./step.ts";

export const CHECKPOINT_FORMAT = 1;
export const MACHINE_ID = "action-instance";
/** Rises when a stored snapshot would mean something else to the machine. */
export const MACHINE_VERSION = 1;
/** As it is stored: machine, its version, and the format of the envelope. */
const MACHINE = `${MACHINE_ID}@${MACHINE_VERSION}/${CHECKPOINT_FORMAT}`;
const MACHINE_TEXT = /^(.*)@(\d+)\/(\d+)$/;

/** `action`: made by an alert. The other two are notices that the engine sends by itself; they retry and are audited like any other. */
export type InstanceKind = "action" | "summary" | "approval-request";

export type Instance = {
  readonly id: string;
  readonly kind: InstanceKind;
  readonly policy: string;
  readonly policyVersion: string;
  readonly groupId: string | null;
  /** Epoch of the group's formation that it was decided in; null: not decided in any (no rule, silenced, not decided yet). */
  readonly epoch: number | null;
  readonly isOpener: boolean;
  readonly createdAtMs: number;
  /** When it was decided at last, if it was parked before; null: as it was created. Its group counts it from then on. */
  readonly decidedAtMs: number | null;
  /** Time of the last step. */
  readonly atMs: number;
  /** Rises by one with every commit: in a decision, that of the commit which it makes. 0: nothing has happened to it yet. */
  readonly version: number;
  readonly snapshot: Snapshot;
  /** The last verdict, and why the instance is where it is. */
  readonly verdict: VerdictKind | null;
  readonly reason: ReasonCode | null;
  /** Waiting for the dimension lock: the timer that decides it. */
  readonly parked: ArmedTimer | null;
  /** When its last attempt succeeded. */
  readonly succeededAtMs: number | null;
  /** Hash of the last history line. */
  readonly head: string;
};

/** JSON of the envelope, without what a default says. Key order is fixed: the text is hashed. */
export function encodeBody(instance: Instance): string {
  const { snapshot, kind, groupId, epoch, isOpener, parked, succeededAtMs } = instance;
  const { context } = snapshot;
  return JSON.stringify({
    machine: MACHINE,
    kind: kind === "action" ? undefined : kind,
    policy: policyKey({ name: instance.policy, version: instance.policyVersion }),
    group: groupId === null ? undefined : storedGroup(groupId, instance.policy),
    epoch: epoch ?? undefined,
    opener: isOpener || undefined,
    createdAtMs: instance.createdAtMs,
    decidedAtMs: instance.decidedAtMs ?? undefined,
    atMs: instance.atMs === instance.createdAtMs ? undefined : instance.atMs,
    state: snapshot.state,
    verdict: instance.verdict === usualVerdict(snapshot.state) ? undefined : instance.verdict,
    reason: instance.reason ?? undefined,
    parked: parked ?? undefined,
    succeededAtMs: succeededAtMs === null ? undefined : succeededAtMs,
    attempt: context.attempt || undefined,
    roundAttempt: context.roundAttempt || undefined,
    outcome: context.outcome === "none" ? undefined : context.outcome,
    cause: context.cause ?? undefined,
    closed: context.closed || undefined,
    cancelled: context.cancelled || undefined,
    waitDueAtMs: context.waitDueAtMs ?? undefined,
    timers: isEmpty(context.timers) ? undefined : context.timers,
    arms: context.arms || undefined,
  });
}

function isEmpty(timers: InstanceContext["timers"]): boolean {
  for (const _ in timers) return false;
  return true;
}

type Stored = { readonly id: string; readonly version: number; readonly value: string };
type Fields = Record<string, unknown>;

/**
 * Reads a stored checkpoint.
 * @throws BECALM_CHECKPOINT_INVALID, BECALM_CHECKPOINT_UNKNOWN_MACHINE or BECALM_CHECKPOINT_NEWER: the instance is quarantined, nothing may be written over it.
 */
export function decodeCheckpoint(stored: Stored, policies: PolicyVersions): Instance {
  const separator = stored.value.indexOf(" ");
  const body = parseBody(stored, stored.value.slice(separator + 1));
  refuseForeign(stored, body);
  const key = text(stored, body, "policy");
  const compiled = policies.get(key);
  if (compiled === undefined)
    throw broken(stored, `it was made under policy ${key}, which the namespace does not know`, { unknownPolicy: key });
  const { name, version: policyVersion } = compiled.policy;
  const groupId = body["group"] === undefined ? null : groupIdFrom(text(stored, body, "group"), name);
  const createdAtMs = number(stored, body, "createdAtMs");
  return {
    id: stored.id,
    version: stored.version,
    head: stored.value.slice(0, Math.max(separator, 0)),
    kind: oneOf(stored, body, { key: "kind", allowed: ["action", "summary", "approval-request"] }) ?? "action",
    policy: name,
    policyVersion,
    groupId,
    epoch: optionalNumber(stored, body, "epoch"),
    isOpener: body["opener"] === true,
    createdAtMs,
    decidedAtMs: optionalNumber(stored, body, "decidedAtMs"),
    atMs: optionalNumber(stored, body, "atMs") ?? createdAtMs,
    snapshot: {
      state: stateOf(stored, body),
      context: contextOf(stored, body, initialContext(groupId === null ? compiled.ungoverned : compiled.governed)),
    },
    verdict: verdictOf(stored, body),
    reason: reasonOf(stored, body),
    parked: body["parked"] === undefined ? null : timerOf(stored, "parked", body["parked"]),
    succeededAtMs: optionalNumber(stored, body, "succeededAtMs"),
  };
}

/** The verdict that goes without saying: what is in Skipped was skipped. Anything else is stored. */
export function usualVerdict(state: string | undefined): VerdictKind | null {
  return state === "Skipped" ? "skip" : null;
}

function verdictOf(stored: Stored, body: Fields): VerdictKind | null {
  if (body["verdict"] === undefined) return usualVerdict(stateOf(stored, body));
  return body["verdict"] === null
    ? null
    : oneOf(stored, body, { key: "verdict", allowed: ["run", "skip", "wait", "approve"] });
}

function parseBody(stored: Stored, body: string): Fields {
  try {
    const value: unknown = JSON.parse(body);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Fields;
  } catch {
    // Said below, with the id.
  }
  throw broken(stored, "its text is not a JSON object");
}

function refuseForeign(stored: Stored, body: Fields): void {
  const machine = text(stored, body, "machine");
  if (machine === MACHINE) return;
  const [, id, version, format] = MACHINE_TEXT.exec(machine) ?? [];
  if (id !== MACHINE_ID) {
    throw new BecalmError(
      "BECALM_CHECKPOINT_UNKNOWN_MACHINE",
      `Checkpoint of ${stored.id} (version ${stored.version}) belongs to machine "${id ?? machine}", not to "${MACHINE_ID}". Run the program that made it, or remove it.`,
      { details: { id: stored.id, machine } },
    );
  }
  throw new BecalmError(
    "BECALM_CHECKPOINT_NEWER",
    `Checkpoint of ${stored.id} has machine version ${version}, format ${format}; this program knows ${MACHINE_VERSION} and ${CHECKPOINT_FORMAT}. Upgrade Becalm.`,
    { details: { id: stored.id, machine } },
  );
}

function contextOf(stored: Stored, body: Fields, defaults: InstanceContext): InstanceContext {
  return {
    policy: defaults.policy,
    attempt: optionalNumber(stored, body, "attempt") ?? 0,
    roundAttempt: optionalNumber(stored, body, "roundAttempt") ?? 0,
    outcome: oneOf(stored, body, { key: "outcome", allowed: ["succeeded", "failed"] }) ?? "none",
    cause: oneOf(stored, body, { key: "cause", allowed: ["own", "peer"] }),
    closed: body["closed"] === true,
    cancelled: body["cancelled"] === true,
    waitDueAtMs: optionalNumber(stored, body, "waitDueAtMs"),
    timers: timersOf(stored, body["timers"]),
    arms: optionalNumber(stored, body, "arms") ?? 0,
  };
}

function timersOf(stored: Stored, value: unknown): InstanceContext["timers"] {
  if (value === undefined) return {};
  if (typeof value !== "object" || value === null) throw broken(stored, "`timers` is no object");
  const timers: Partial<Record<InstanceTimerName, ArmedTimer>> = {};
  for (const [name, timer] of Object.entries(value)) {
    if (name !== "retry" && name !== "wait" && name !== "approval") throw broken(stored, `unknown timer "${name}"`);
    timers[name] = timerOf(stored, name, timer);
  }
  return timers;
}

function timerOf(stored: Stored, name: string, value: unknown): ArmedTimer {
  const timer = value as Partial<ArmedTimer> | null;
  if (typeof timer?.dueAtMs === "number" && typeof timer.arm === "number")
    return { dueAtMs: timer.dueAtMs, arm: timer.arm };
  throw broken(stored, `timer "${name}" lacks dueAtMs or arm`);
}

function stateOf(stored: Stored, body: Fields): StateText {
  const state = body["state"];
  if ((RESTING_STATES as readonly unknown[]).includes(state)) return state as StateText;
  throw broken(stored, `unknown state ${JSON.stringify(state)}`);
}

function reasonOf(stored: Stored, body: Fields): ReasonCode | null {
  const reason = body["reason"];
  if (reason === undefined) return null;
  if (typeof reason === "string" && Object.hasOwn(REASONS, reason)) return reason as ReasonCode;
  throw broken(stored, `unknown reason ${JSON.stringify(reason)}`);
}

function text(stored: Stored, body: Fields, key: string): string {
  const value = body[key];
  if (typeof value === "string") return value;
  throw broken(stored, `\`${key}\` is not a text`);
}

function number(stored: Stored, body: Fields, key: string): number {
  const value = body[key];
  if (typeof value === "number") return value;
  throw broken(stored, `\`${key}\` is not a number`);
}

function optionalNumber(stored: Stored, body: Fields, key: string): number | null {
  return body[key] === undefined ? null : number(stored, body, key);
}

function oneOf<const T extends string>(
  stored: Stored,
  body: Fields,
  { key, allowed }: { key: string; allowed: readonly T[] },
): T | null {
  const value = body[key];
  if (value === undefined) return null;
  if ((allowed as readonly unknown[]).includes(value)) return value as T;
  throw broken(stored, `\`${key}\` is ${JSON.stringify(value)}, not one of ${allowed.join(", ")}`);
}

/** The policy version, as `name@version`, that a checkpoint could not be read for want of; null: it failed for another reason. */
export function unknownPolicyOf(error: BecalmError): string | null {
  const key = error.details["unknownPolicy"];
  return typeof key === "string" ? key : null;
}

function broken(stored: Stored, what: string, details: Record<string, unknown> = {}): BecalmError {
  return new BecalmError(
    "BECALM_CHECKPOINT_INVALID",
    `Checkpoint of ${stored.id} (version ${stored.version}) cannot be read: ${what}. It is quarantined and left as it is; repair or remove it.`,
    { details: { id: stored.id, version: stored.version, ...details } },
  );
}
