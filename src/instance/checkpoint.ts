/**
 * The checkpoint envelope: what one instance is between two commits, and its text form.
 *
 * Stored value: `<audit head> <body>`. The head is the hash of the instance's last history line; the body is JSON
 * without defaults. The audit's checkpoint hash is the sha256 of the body. The policy's part of the context is not
 * stored: it comes from the policy version.
 */
import type { VerdictKind } from "../convergence/convergence.ts";
import { BecalmError } from "../model/errors.ts";
import { groupIdFrom, storedGroup } from "../model/ids.ts";
import {
  type ArmedTimer,
  type InstanceContext,
  type InstancePolicy,
  type InstanceTimerName,
  initialContext,
} from "../model/instance-types.ts";
import { isEmpty } from "../model/is-empty.ts";
import { REASONS, type ReasonCode } from "../model/reasons.ts";
import { type CompiledPolicy, type PolicyVersions, policyKey } from "../policy/policy-versions.ts";
import {
  CHECKPOINT_FORMAT,
  MACHINE_ID,
  MACHINE_TEXTS,
  MACHINE_VERSION,
  machineVersionOf,
  migrated,
} from "./machine-version.ts";
import { RESTING_STATES, type Snapshot, type StateText } from "./step.ts";

export { CHECKPOINT_FORMAT, MACHINE_ID, MACHINE_VERSION, machineVersionOf } from "./machine-version.ts";

const MACHINE_TEXT = /^(.*)@(\d+)\/(\d+)$/;

/**
 * `action`: made by an alert. The other two are notices that the engine sends by itself; they retry and are audited
 * like any other.
 */
export type InstanceKind = "action" | "summary" | "approval-request";

export type Instance = {
  readonly id: string;
  readonly kind: InstanceKind;
  readonly policy: string;
  readonly policyVersion: string;
  readonly groupId: string | null;
  /**
   * Epoch of the group's formation that it was decided in; null: not decided in any (no rule, silenced, not decided
   * yet).
   */
  readonly epoch: number | null;
  readonly isOpener: boolean;
  readonly createdAtMs: number;
  /**
   * When it was decided at last, if it was parked before; null: as it was created. Its group counts it from then on.
   */
  readonly decidedAtMs: number | null;
  /** Time of the last step. */
  readonly atMs: number;
  /**
   * Rises by one with every commit: in a decision, that of the commit which it makes. 0: nothing has happened to it
   * yet.
   */
  readonly version: number;
  readonly snapshot: Snapshot;
  /** The last verdict, and why the instance is where it is. */
  readonly verdict: VerdictKind | null;
  readonly reason: ReasonCode | null;
  /** Waiting for the dimension lock: the timer that decides it. */
  readonly parked: ArmedTimer | null;
  /** When its last attempt succeeded. */
  readonly succeededAtMs: number | null;
  /** Made while its policy was only watched: it decides and acts on nothing. */
  readonly isObserved: boolean;
  /** Hash of the last history line. */
  readonly head: string;
};

/**
 * What a step has made of an instance, as the one that was stepped. Field by field: a spread takes three times the
 * memory.
 */
export function withIdentity(next: Instance, { id, head }: Pick<Instance, "id" | "head">): Instance {
  return {
    id,
    kind: next.kind,
    policy: next.policy,
    policyVersion: next.policyVersion,
    groupId: next.groupId,
    epoch: next.epoch,
    isOpener: next.isOpener,
    createdAtMs: next.createdAtMs,
    decidedAtMs: next.decidedAtMs,
    atMs: next.atMs,
    version: next.version,
    snapshot: next.snapshot,
    verdict: next.verdict,
    reason: next.reason,
    parked: next.parked,
    succeededAtMs: next.succeededAtMs,
    isObserved: next.isObserved,
    head,
  };
}

/** JSON of the envelope, without what a default says. Key order is fixed: the text is hashed. */
export function encodeBody(instance: Instance): string {
  const { snapshot, kind, groupId, epoch, isOpener, parked, succeededAtMs } = instance;
  const { context } = snapshot;
  const version = machineVersionOf(instance);
  return JSON.stringify({
    machine: MACHINE_TEXTS[version],
    kind: kind === "action" ? undefined : kind,
    policy: policyKey({ name: instance.policy, version: instance.policyVersion }),
    group: groupId === null ? undefined : storedGroup(groupId, instance.policy),
    epoch: epoch ?? undefined,
    opener: unlessUsual(isOpener),
    observed: unlessUsual(instance.isObserved),
    createdAtMs: instance.createdAtMs,
    decidedAtMs: instance.decidedAtMs ?? undefined,
    atMs: instance.atMs === instance.createdAtMs ? undefined : instance.atMs,
    state: snapshot.state,
    verdict: instance.verdict === usualVerdict(snapshot.state) ? undefined : instance.verdict,
    reason: instance.reason ?? undefined,
    parked: parked ?? undefined,
    succeededAtMs: succeededAtMs === null ? undefined : succeededAtMs,
    attempt: unlessUsual(context.attempt),
    roundAttempt: unlessUsual(context.roundAttempt),
    outcome: context.outcome === "none" ? undefined : context.outcome,
    cause: context.cause ?? undefined,
    closed: unlessUsual(context.closed),
    cancelled: unlessUsual(context.cancelled),
    waitDueAtMs: context.waitDueAtMs ?? undefined,
    timers: isEmpty(context.timers) ? undefined : context.timers,
    arms: unlessUsual(context.arms),
    // Version 1 did not say that a silence skipped an instance: its reason says so.
    silenced: (version > 1 && context.silenced) || undefined,
    paused: unlessUsual(context.paused),
    grants: context.grants.length === 0 ? undefined : context.grants,
    reconsidered: unlessUsual(context.reconsidered),
    agains: unlessUsual(context.agains),
  });
}

/** 0 and false go without saying. */
function unlessUsual<T extends number | boolean>(value: T): T | undefined {
  return value || undefined;
}

type Stored = { readonly id: string; readonly version: number; readonly value: string };
type Fields = Record<string, unknown>;

/**
 * Reads a stored checkpoint.
 * @throws BECALM_CHECKPOINT_INVALID, BECALM_CHECKPOINT_UNKNOWN_MACHINE or BECALM_CHECKPOINT_NEWER: the instance is
 * quarantined, nothing may be written over it.
 */
export function decodeCheckpoint(stored: Stored, policies: PolicyVersions): Instance {
  const separator = stored.value.indexOf(" ");
  const body = readable(stored, parseBody(stored, stored.value.slice(separator + 1)));
  const key = text(stored, body, "policy");
  const compiled = policies.get(key);
  if (compiled === undefined)
    throw broken(stored, `it was made under policy ${key}, which the namespace does not know`, { unknownPolicy: key });
  const { name, version: policyVersion } = compiled.policy;
  const groupId = body["group"] === undefined ? null : groupIdFrom(text(stored, body, "group"), name);
  const kind = oneOf(stored, body, { key: "kind", allowed: ["action", "summary", "approval-request"] }) ?? "action";
  const createdAtMs = number(stored, body, "createdAtMs");
  return {
    id: stored.id,
    version: stored.version,
    head: stored.value.slice(0, Math.max(separator, 0)),
    kind,
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
      context: contextOf(stored, body, initialContext(machinePolicyOf(compiled, { kind, groupId }))),
    },
    verdict: verdictOf(stored, body),
    reason: reasonOf(stored, body),
    parked: body["parked"] === undefined ? null : timerOf(stored, "parked", body["parked"]),
    succeededAtMs: optionalNumber(stored, body, "succeededAtMs"),
    isObserved: body["observed"] === true,
  };
}

/**
 * What the machine's guards read of a policy: it depends on whether its rule governs the instance; a notice is not
 * verified nor decided again.
 */
export function machinePolicyOf(
  compiled: CompiledPolicy,
  { kind, groupId }: Pick<Instance, "kind" | "groupId">,
): InstancePolicy {
  if (kind !== "action") return compiled.notice;
  return groupId === null ? compiled.ungoverned : compiled.governed;
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

/** The body as this version of the machine reads it. */
function readable(stored: Stored, body: Fields): Fields {
  const machine = text(stored, body, "machine");
  const current = migrated(machine, body);
  if (current !== null) return current;
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
    silenced: body["silenced"] === true,
    paused: body["paused"] === true,
    grants: textsOf(stored, body, "grants"),
    reconsidered: optionalNumber(stored, body, "reconsidered") ?? 0,
    agains: optionalNumber(stored, body, "agains") ?? 0,
  };
}

function textsOf(stored: Stored, body: Fields, key: string): readonly string[] {
  const value = body[key];
  if (value === undefined) return [];
  if (Array.isArray(value) && value.every((item) => typeof item === "string")) return value;
  throw broken(stored, `\`${key}\` is not a list of texts`);
}

const TIMER_NAMES: readonly string[] = [
  "retry",
  "wait",
  "approval",
  "verify",
  "reconsider",
  "silence",
  "pause",
] satisfies InstanceTimerName[];

function timersOf(stored: Stored, value: unknown): InstanceContext["timers"] {
  if (value === undefined) return {};
  if (typeof value !== "object" || value === null) throw broken(stored, "`timers` is not an object");
  const timers: Partial<Record<InstanceTimerName, ArmedTimer>> = {};
  for (const [name, timer] of Object.entries(value)) {
    if (!TIMER_NAMES.includes(name)) throw broken(stored, `unknown timer "${name}"`);
    timers[name as InstanceTimerName] = timerOf(stored, name, timer);
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

/**
 * The policy version, as `name@version`, that a checkpoint could not be read for want of; null: it failed for another
 * reason.
 */
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
