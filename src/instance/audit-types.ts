/** What an audit trail is made of. */

import type { Counterfactual, VerdictKind } from "../convergence/convergence.ts";
import type { Alert } from "../model/alert.ts";
import type { Observation } from "../model/convergence-rule.ts";
import type { InstanceEvent, InstanceState, PauseNote } from "../model/instance-types.ts";
import type { ReasonCode } from "../model/reasons.ts";
import type { Policy } from "../policy/policy.ts";
import type { InstanceKind } from "./checkpoint.ts";

/** Who acts when no person and no program does. */
export const ENGINE_ACTOR = "becalm";

/** What an instance was made of. The alert is stored once, here. */
export type Birth = {
  readonly kind: InstanceKind;
  readonly policy: string;
  readonly policyVersion: string;
  readonly group: string | null;
  readonly createdAtMs: number;
  readonly alert: Alert | null;
  /** Only of a summary or an approval request. */
  readonly notice: Notice | null;
  /** Made while its policy was only watched: it acts on nothing. */
  readonly observed?: true | undefined;
};

export type Notice =
  | {
      readonly kind: "summary";
      readonly group: string;
      readonly opener: string;
      readonly skipped: number;
      readonly sample: readonly string[];
      readonly openedAtMs: number;
      readonly endsAtMs: number;
    }
  | {
      readonly kind: "approval-request";
      readonly group: string | null;
      readonly instance: string;
      /** NO_DUE_AT_MS: there is no deadline. */
      readonly dueAtMs: number;
      /**
       * The pause whose held ones it asks about, all of them; `instance` is the first. Absent: it asks about an
       * instance, or a group.
       */
      readonly pause?: PauseNote;
    };

/** What became of an attempt in one process, when another one has to run it. `process`: who writes this. */
export type AttemptNote =
  /** The process that ran it stopped before the attempt ended. */
  | { readonly type: "effect.interrupted"; readonly attempt: number; readonly process: string }
  /**
   * A process begins it although one has begun it before. `heldBy`: who held it last and left no result; absent: that
   * is not known, or was noted when it was interrupted.
   */
  | {
      readonly type: "effect.begun_again";
      readonly attempt: number;
      readonly process: string;
      readonly heldBy?: string;
    };

/** What the engine itself notes: the machine takes none of these, and the instance stays in its state. */
export type EngineNote = { readonly atMs: number } & (
  | AttemptNote
  /** It stays Idle until the dimension lock may be free. */
  | { readonly type: "lock.busy"; readonly dueAtMs: number; readonly arm: number }
);

/** An event as a line stores it: the entry's `atMs` is not written twice. */
export type StoredEvent = InstanceEvent | EngineNote;

export function isMachineEvent(event: StoredEvent): event is InstanceEvent {
  return event.type !== "lock.busy" && event.type !== "effect.interrupted" && event.type !== "effect.begun_again";
}

export type EntryBody = {
  readonly version: number;
  readonly atMs: number;
  readonly event: StoredEvent;
  readonly path: readonly InstanceState[];
  readonly verdict: VerdictKind | null;
  readonly reason: ReasonCode;
  /** The formation of the group that this step placed the instance into; null: it stayed where it was. */
  readonly epoch: number | null;
  /** sha256 of the checkpoint's body that this step led to, base64url. */
  readonly checkpoint: string;
  /** Id of the process that decided it; absent: in virtual time, or where a store has one process only. */
  readonly process?: string | undefined;
};

/** An audit entry, as read from a history. */
export type AuditEntry = EntryBody & {
  readonly instance: string;
  /** Name of the instance's policy. */
  readonly policy: string;
  readonly observation: Observation | null;
  /** The threshold that was compared with. */
  readonly count: number | null;
  readonly peers: readonly string[];
  readonly ruleVersion: string;
  readonly counterfactual: Counterfactual | null;
  readonly actor: string;
  readonly previousHash: string;
  readonly hash: string;
};

/** Everything about one instance, self-contained: `policy` is the version that it was made under. */
export type History = {
  readonly instance: string;
  readonly policy: Policy;
  readonly birth: Birth;
  readonly birthHash: string;
  readonly entries: readonly AuditEntry[];
};
