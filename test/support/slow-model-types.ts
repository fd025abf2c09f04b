import type { ConvergenceRule } from "../../src/model/convergence-rule.ts";
import type { InstanceState } from "../../src/model/instance-types.ts";
import type { ReasonCode } from "../../src/model/reasons.ts";
import type { ModelVerdict } from "./slow-model-verdict.ts";

export type ModelPolicy = {
  readonly name: string;
  /** Labels that an alert must have for this policy; default: any alert. */
  readonly match?: Readonly<Record<string, string>>;
  readonly rule: ConvergenceRule | null;
  readonly retry?: { readonly limit: number; readonly delayMs: number; readonly backoff: number };
  readonly approvalTimeoutMs?: number;
  readonly actionTimeoutMs?: number;
  readonly onResolved?: "skip" | "keep";
};

export type ModelSilence = {
  readonly match: Readonly<Record<string, string>>;
  readonly fromMs: number;
  readonly toMs: number;
  /** By which the end of the silence is known; without one it has none. */
  readonly id?: string;
};

export type Labels = Readonly<Record<string, string>>;
export type Episode = { readonly labels: Labels; readonly startsAtMs: number };

/** What a person, the alert or an action's result does to one instance. */
export type ModelEventType = "resolved" | "done" | "failed" | "grant" | "deny" | "cancel" | "end" | "startApproved";

/** Operations come in the order of their time. Timers due before an operation's time fire before it. */
export type ModelOp = { readonly atMs: number } & (
  | ({ readonly type: "firing" } & Episode)
  | ({ readonly type: "resolved" } & Episode)
  /** `done`, `failed`: the result of the instance's current attempt. */
  | { readonly type: Exclude<ModelEventType, "resolved">; readonly instance: string }
  | { readonly type: "grant" | "deny"; readonly group: string }
  /** Only lets time pass: timers due before `atMs` fire. */
  | { readonly type: "advance" }
);

export type ModelEffect =
  | { readonly kind: "run"; readonly atMs: number; readonly instance: string; readonly attempt: number }
  /** `scope`: the group's id, or the instance's own when it was decided without a group. */
  | { readonly kind: "approval-request"; readonly atMs: number; readonly scope: string }
  | { readonly kind: "summary"; readonly atMs: number; readonly group: string; readonly skipped: number };

/** `remembered`: decided without a group, and counted when one opened later. */
export type Membership = "none" | "remembered" | "opener" | "joined";

export type ModelInstance = Episode & {
  readonly id: string;
  readonly policy: string;
  readonly state: InstanceState;
  readonly path: readonly InstanceState[];
  readonly attempts: number;
  /** The last verdict of the convergence function; null when it was never asked. */
  readonly verdict: ModelVerdict["verdict"] | null;
  /** Why each of its steps was taken, in order. */
  readonly reasons: readonly ReasonCode[];
  readonly group: string | null;
  readonly membership: Membership;
};

export type ModelTimer = {
  readonly dueAtMs: number;
  readonly owner: string;
  readonly name: "retry" | "wait" | "approval" | "verify" | "summary";
};

export type SlowModelOptions = {
  readonly silences?: readonly ModelSilence[];
  /** Ids decide the order of timers that are due at the same time, so a comparison with an engine passes the engine's. */
  readonly instanceId?: (policy: string, episode: Episode) => string;
  readonly groupId?: (policy: string, rule: ConvergenceRule, labels: Labels) => string;
};

/** One thing that happened to an instance. `path` begins with the state before it and ends with the state after it. */
export type Entry = {
  readonly order: number;
  readonly commit: number;
  readonly atMs: number;
  readonly path: readonly InstanceState[];
  readonly reason: ReasonCode;
  readonly verdict?: ModelVerdict["verdict"];
  /** The timer that is armed from here on; every later entry disarms it. */
  readonly timer?: Omit<ModelTimer, "owner">;
  readonly attemptBegan?: true;
  readonly attemptEnded?: "succeeded" | "failed";
  readonly roundBegan?: true;
};

export type Instance = Episode & {
  readonly id: string;
  readonly policy: ModelPolicy;
  readonly createdAtMs: number;
  readonly createdInCommit: number;
  /** Id of the group that it could belong to; null without a rule that governs it, or when it was silenced. */
  readonly groupId: string | null;
  readonly log: Entry[];
};

export type Group = {
  readonly id: string;
  readonly rule: ConvergenceRule;
  readonly opener: Instance;
  readonly endAtMs: number;
  /** The earlier ones that made up the number, without a group of their own. */
  readonly remembered: readonly Instance[];
  readonly joined: Instance[];
};

/** An entry before the model has numbered and dated it. */
export type Happening = Omit<Entry, "order" | "commit" | "atMs" | "path">;
