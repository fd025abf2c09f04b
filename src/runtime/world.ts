import type { Decision } from "../instance/decide.ts";
import type { Silence } from "../policy/policy.ts";
import type { CompiledPolicy } from "../policy/policy-versions.ts";
import type { NamespaceMode, Store } from "../stores/store.ts";
import type { Clock } from "../system/clock.ts";
import type { KnownGroups } from "./commit/known-groups.ts";

/** A silence with its matcher compiled. */
export type CompiledSilence = { readonly silence: Silence; readonly matches: CompiledPolicy["matches"] };

/** What every part of the runtime works with. Built once, by the engine. */
export type World = {
  readonly store: Store;
  readonly clock: Clock;
  readonly mode: NamespaceMode;
  readonly partitions: number;
  /** Unique to this process: claims and leases carry it. */
  readonly owner: string;
  /** The policies that new alerts are matched against, in order. */
  current: readonly CompiledPolicy[];
  silences: readonly CompiledSilence[];
  readonly groups: KnownGroups;
  /** Every version that the namespace knows, by `name@version`. */
  readonly versions: Map<string, CompiledPolicy>;
  /** A fresh id for each commit. */
  readonly commitId: () => string;
  /** Waits in real time: back-off after a conflict. */
  readonly pause: (ms: number) => Promise<void>;
  /** 0 <= x < 1: jitter. */
  readonly random: () => number;
  /** How long this process claims the effects that it commits; null: it does not run them. */
  readonly effectClaimMs: () => number | null;
  /** Told after each commit, never before. */
  readonly committed: (decision: Decision) => void;
};
