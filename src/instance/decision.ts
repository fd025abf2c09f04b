/** What a decision is asked for, and what it is. Shapes only; decide.ts decides. */

import type { Group } from "../convergence/group.ts";
import type { Tally, TallyWrite } from "../convergence/tally.ts";
import type { Alert } from "../model/alert.ts";
import type { ArmedTimer, InstanceEvent, PauseNote, ReconsiderCause, SilenceNote } from "../model/instance-types.ts";
import type { CompiledPolicy, PolicyVersions } from "../policy/policy-versions.ts";
import type { AttemptNote } from "./audit-types.ts";
import type { Instance } from "./checkpoint.ts";
import type { ChangedInstance, LoggedEntry, MemberChange } from "./draft.ts";
import type { Effect, EmissionOrder } from "./effect.ts";

/** Events that come from outside; the decision adds the view of the group where the machine wants one. */
export type OutsideEvent =
  | Exclude<
      InstanceEvent,
      {
        type: "start" | "peers.settled" | "approval.granted" | "approval.counted" | "approval.requested" | "reconsider";
      }
    >
  | {
      readonly type: "approval.granted";
      readonly atMs: number;
      readonly by: string;
      readonly why: string;
      readonly silence: SilenceNote | null;
    }
  | {
      readonly type: "start";
      readonly atMs: number;
      readonly approved: true;
      readonly by: string;
      readonly why: string;
      readonly silence: SilenceNote | null;
    };

/** `order`: its position, from which its effects get their order of emission (instance/effect.ts). */
export type Command = { readonly order?: EmissionOrder } & CommandBody;

type CommandBody =
  /** An alert that a policy matches. `lockBusyUntilMs`: nobody may decide now; look again then. */
  | {
      readonly type: "create";
      readonly id: string;
      readonly atMs: number;
      readonly alert: Alert;
      readonly policy: CompiledPolicy;
      readonly silence: SilenceNote | null;
      readonly lockBusyUntilMs?: number;
    }
  /** `ifVersion`: only if the instance is at one of these versions still. */
  | {
      readonly type: "event";
      readonly id: string;
      readonly event: OutsideEvent;
      readonly ifVersion?: readonly number[];
    }
  /** What became of an attempt that another process has to run. */
  | { readonly type: "note"; readonly id: string; readonly atMs: number; readonly note: AttemptNote }
  /** The dimension lock may be free now. */
  | {
      readonly type: "unpark";
      readonly id: string;
      readonly arm: number;
      readonly atMs: number;
      readonly silence: SilenceNote | null;
      readonly lockBusyUntilMs?: number;
    }
  /**
   * Decides it once more, as if it came now. `silence`: one that is active now. `arm`: of the timer, when its policy
   * says `again`.
   */
  | {
      readonly type: "reconsider";
      readonly id: string;
      readonly atMs: number;
      readonly cause: ReconsiderCause;
      /** Its alert still fires. */
      readonly isOpen: boolean;
      readonly silence: SilenceNote | null;
      readonly arm?: number;
    }
  /**
   * Asks a person about all that a pause holds; `id` is that of the request, so asking twice is harmless. `held`: one
   * of them.
   */
  | {
      readonly type: "askForPause";
      readonly id: string;
      readonly atMs: number;
      readonly pause: PauseNote;
      readonly held: Pick<Instance, "id" | "policy" | "policyVersion" | "isObserved">;
    }
  | { readonly type: "summarise"; readonly arm: number; readonly atMs: number }
  | { readonly type: "wake"; readonly arm: number; readonly atMs: number };

export function timeOf(command: Command): number {
  return command.type === "event" ? command.event.atMs : command.atMs;
}

/**
 * `created`, `applied`: the commit changes the instance. `duplicate`: it exists already. `refused`: its state has no
 * edge for the event. `late`: dated before the instance's last step (virtual time only). `stale`: the timer is no
 * longer listed. `missing`: no such instance. `moved`: it is no longer at the version that the command names.
 */
export type CommandOutcome = "created" | "applied" | "duplicate" | "refused" | "late" | "stale" | "missing" | "moved";

export type CommandResult = { readonly outcome: CommandOutcome; readonly instance: Instance | null };

export type DecideInput = {
  readonly partition: number;
  /** null: a batch of instances that no rule governs. */
  readonly groupId: string | null;
  /** The stored group, null when there is none yet. */
  readonly group: Group | null;
  readonly instances: ReadonlyMap<string, Instance>;
  /** The first waiters of the group, in order; needed when a command other than `create` may settle a peer. */
  readonly waiters: readonly string[];
  /** Instances of the group whose checkpoints cannot be read: they are not peers. */
  readonly quarantined?: { has(id: string): boolean };
  /** More waiters follow after those. */
  readonly hasMoreWaiters: boolean;
  readonly policies: PolicyVersions;
  readonly commands: readonly Command[];
  /**
   * Virtual time: an event dated before the instance's last step changes nothing. Live clocks may differ a little:
   * there it is dated up.
   */
  readonly isVirtual: boolean;
  /** Virtual runs: see instance/effect.ts. Live: 0. */
  readonly turn: number;
  /** The emergency stops that hold. */
  readonly pauses?: readonly PauseNote[];
  /** How many attempts may still begin, and the pause that begins with the next one. */
  readonly brakes?: readonly Brake[];
  /** Instances that are made now are only watched: they decide and act on nothing. */
  readonly isObserving?: boolean;
  /** What was counted beside the group, by key: for the summaries that are sent now. */
  readonly tallies?: ReadonlyMap<string, Tally>;
  /** Engines of the version before may be there: those that are skipped are counted in the group, as they do. */
  readonly isCountingInGroup?: boolean;
  /** Who decides (EntryBody). */
  readonly process?: string | undefined;
};

/** Of a policy, or (pause.scope null) of the whole namespace. */
export type Brake = { readonly attemptsLeft: number; readonly pause: PauseNote };

export type GroupTimer = { readonly name: "summary" | "wake"; readonly timer: ArmedTimer };

export type Decision = {
  /** One an input command. */
  readonly results: readonly CommandResult[];
  /** Nothing changed: there is nothing to commit. */
  readonly isEmpty: boolean;
  readonly group: Group | null;
  /** False: the group stayed as it was stored; that it still is so must hold when the decision is committed. */
  readonly isGroupChanged: boolean;
  readonly instances: readonly ChangedInstance[];
  /** For the log: one an audit line. */
  readonly entries: readonly LoggedEntry[];
  /** Run only after the commit, from the outbox. */
  readonly effects: readonly Effect[];
  readonly memberChanges: readonly MemberChange[];
  readonly tallies: readonly TallyWrite[];
  /** How many attempts of each policy's action it begins. */
  readonly attempts: ReadonlyMap<string, number>;
  /** Pauses that a brake begins with this decision. */
  readonly braked: readonly PauseNote[];
  readonly groupTimersArmed: readonly GroupTimer[];
  readonly groupTimersCancelled: readonly GroupTimer[];
};
