import type { VerdictKind } from "../convergence/convergence.ts";
import type { ArmedTimer, InstanceContext, InstanceState } from "../model/instance-types.ts";
import type { ReasonCode } from "../model/reasons.ts";
import { CHECKPOINT_FORMAT, type Instance, type InstanceKind, MACHINE_ID, machineVersionOf } from "./checkpoint.ts";
import { timersOf } from "./draft.ts";
import { type StateValue, stateValue, topLevel } from "./step.ts";

/** The checkpoint envelope as programs read it; it is a persisted XState snapshot as well. */
export type InstanceSnapshot = {
  readonly format: number;
  readonly machine: string;
  readonly machineVersion: number;
  readonly id: string;
  /** Commits so far. */
  readonly version: number;
  readonly kind: InstanceKind;
  readonly policy: string;
  readonly policyVersion: string;
  readonly group: string | null;
  readonly state: InstanceState;
  readonly verdict: VerdictKind | null;
  readonly reason: ReasonCode | null;
  readonly attempt: number;
  readonly timers: Readonly<Record<string, ArmedTimer>>;
  readonly createdAtMs: number;
  /** Time of the last step. */
  readonly atMs: number;
  /** Hash of the last audit line. */
  readonly auditHead: string;
  /**
   * The fields of a persisted XState snapshot, so that the whole can be given to `createActor(actionInstanceMachine, {
   * snapshot })`.
   */
  readonly status: "active";
  readonly value: StateValue;
  readonly context: InstanceContext;
  readonly children: Readonly<Record<string, never>>;
  readonly historyValue: Readonly<Record<string, never>>;
};

export function toSnapshot(instance: Instance): InstanceSnapshot {
  const { state, context } = instance.snapshot;
  return {
    format: CHECKPOINT_FORMAT,
    machine: MACHINE_ID,
    machineVersion: machineVersionOf(instance),
    id: instance.id,
    version: instance.version,
    kind: instance.kind,
    policy: instance.policy,
    policyVersion: instance.policyVersion,
    group: instance.groupId,
    state: topLevel(state),
    verdict: instance.verdict,
    reason: instance.reason,
    attempt: context.attempt,
    timers: Object.fromEntries(timersOf(instance)),
    createdAtMs: instance.createdAtMs,
    atMs: instance.atMs,
    auditHead: instance.head,
    status: "active",
    value: stateValue(state),
    context,
    children: {},
    historyValue: {},
  };
}
