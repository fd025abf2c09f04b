import type { Decision } from "../instance/decide.ts";
import type { LeaseGrace } from "../model/episode.ts";
import type { Limits, Silence } from "../policy/policy.ts";
import type { CompiledPolicy } from "../policy/policy-versions.ts";
import type { Commit, NamespaceMode, Store } from "../stores/store.ts";
import type { Clock } from "../system/clock.ts";
import type { Envelope, EnvelopeResult } from "./commit/batch.ts";
import type { GroupSource } from "./commit/group-source.ts";
import type { DecidingProcess } from "./deciding-process.ts";
import type { PartitionStops } from "./stops/partition-stops.ts";

/** A silence with its matcher compiled. */
export type CompiledSilence = {
  /** `id`: by which its end is known; absent in a namespace of an earlier format. */
  readonly silence: Silence & { readonly id?: string };
  readonly matches: CompiledPolicy["matches"];
};

/** What new alerts are matched against; a reload, and a silence that somebody makes, replace the lists. */
export type PoliciesInForce = {
  /** In order. */
  policies: readonly CompiledPolicy[];
  /** Those of the policy file, then those that are stored. */
  silences: readonly CompiledSilence[];
  fromFile: readonly CompiledSilence[];
  /** False: a command opened the namespace without its policy file, so which silences that has is not known here. */
  isFileKnown: boolean;
  stored: readonly CompiledSilence[];
  /** The record that `stored` was read from. */
  storedText: string | null;
  /** The brake of the whole namespace; undefined: none. */
  limits: Limits | undefined;
  /**
   * Brakes that engines of the namespace have put into force, as a process without their policy file has read them;
   * absent: it has the file.
   */
  foreignBrakes?: readonly { readonly scope: string | null; readonly limits: Limits }[];
};

/** The format of the namespace by which this process decides; it may rise while the process runs (owners/upgrade.ts). */
export type ActingFormat = { acting: number };

/** An open namespace, and what this process works on it with. Made by `compose`, and never changed. */
export type Runtime = {
  readonly store: Store;
  readonly clock: Clock;
  readonly mode: NamespaceMode;
  readonly partitions: number;
  readonly format: ActingFormat;
  /** Until when no lease runs out: nobody may have watched them before this process began. */
  readonly leaseGrace: LeaseGrace;
  /** In virtual time: how far it had come when the namespace was opened; null: nowhere yet. */
  readonly highestTimeMs: number | null;
  /** Unique to this process: claims and leases carry it. */
  readonly owner: string;
  /** As which histories name it; null: it decides nothing, or nobody else can. */
  readonly process: DecidingProcess | null;
  readonly inForce: PoliciesInForce;
  /** Where batches find the state of their groups. */
  readonly groups: GroupSource;
  /** The emergency stops, as this process knows them. */
  readonly stops: PartitionStops;
  /** Instances that are made now are only watched. */
  readonly isObserving: boolean;
  /** Every version that the namespace knows, by `name@version`; it grows when another engine brings one. */
  readonly versions: Map<string, CompiledPolicy>;
  /** A fresh id for each commit. */
  readonly commitId: () => string;
  /** Waits in real time: back-off after a conflict. */
  readonly pause: (ms: number) => Promise<void>;
  /**
   * Real time, which bounds what this process does: attempts (effects/deadline.ts), and how long it waits for them when
   * it stops.
   */
  readonly realTime: Clock;
  /** 0 <= x < 1: jitter. */
  readonly random: () => number;
};

/** Hears of each commit of this process, after it was applied and never before. */
export type CommitListener = (decision: Decision, commit: Commit) => void;

/** What a batch needs beside the runtime. Each driver adds it, and hears of its own commits first. */
export type BatchRuntime = Runtime & {
  readonly onCommit: readonly CommitListener[];
  /** How long this process claims the effects that it commits; null: it does not run them. */
  readonly effectClaimMs: () => number | null;
  /** Counts the failed attempts of a decision that was committed, and begins the pauses that brakes ask for. */
  readonly followBrakes: (decision: Decision) => Promise<void>;
};

/** What moves commands in live or in virtual time. */
export interface Driver {
  /** Commits commands; a result each, in their order. */
  submit(envelopes: readonly Envelope[]): Promise<readonly EnvelopeResult[]>;
  /** Begins what follows from a commit: its effects, and its timers. */
  committed(decision: Decision, commit: Commit): void;
}
