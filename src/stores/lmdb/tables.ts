/** The tables of an open namespace, and what a commit does to them. */

import type { GroupLeases } from "../memory/group-leases.ts";
import type { Commit, CommitOutcome, NamespaceInfo } from "../store.ts";
import { CommitIdRows } from "./commit-id-rows.ts";
import { EffectRows } from "./effect-rows.ts";
import { EpisodeRows } from "./episode-rows.ts";
import { GroupRows } from "./group-rows.ts";
import { InstanceRows } from "./instance-rows.ts";
import { type Namespace, PolicyRows } from "./namespace-rows.ts";
import { OpenRows } from "./open-rows.ts";
import type { ReadRows, WriteRows } from "./rows.ts";
import { TallyRows } from "./tally-rows.ts";
import { TimerRows } from "./timer-rows.ts";

export type Tables = {
  readonly info: NamespaceInfo;
  readonly instances: InstanceRows;
  readonly open: OpenRows;
  readonly groups: GroupRows;
  readonly episodes: EpisodeRows;
  readonly tallies: TallyRows;
  readonly timers: TimerRows;
  readonly effects: EffectRows;
  readonly commitIds: CommitIdRows;
  readonly policies: PolicyRows;
};

export function tablesOf({ info, prefix }: Namespace): Tables {
  return {
    info,
    instances: new InstanceRows(prefix),
    open: new OpenRows(prefix),
    groups: new GroupRows(prefix),
    episodes: new EpisodeRows(prefix),
    tallies: new TallyRows(prefix),
    timers: new TimerRows(prefix),
    effects: new EffectRows(prefix),
    commitIds: new CommitIdRows(prefix),
    policies: new PolicyRows(prefix),
  };
}

type Deciding = { readonly tables: Tables; readonly leases: GroupLeases; readonly nowMs: number };

/** Checks all, then writes all. */
export function commitTo(rows: WriteRows, commit: Commit, deciding: Deciding): CommitOutcome {
  const refusal = refusalOf(rows, commit, deciding);
  if (refusal !== null) return refusal;
  const { nowMs, tables } = deciding;
  const { commitIds, groups, instances, open, episodes, tallies, timers, effects } = tables;
  commitIds.forget(rows, nowMs);
  groups.forget(rows, nowMs);
  commitIds.add(rows, commit, nowMs);
  groups.write(rows, commit, nowMs);
  for (const instance of commit.instances) {
    instances.write(rows, instance, commit.partition);
    open.change(rows, instance);
  }
  episodes.write(rows, commit.partition, commit.episodes);
  tallies.write(rows, commit.partition, commit.tallies ?? []);
  timers.change(rows, commit.timersArmed, commit.timersCancelled);
  effects.put(rows, commit, nowMs);
  return "applied";
}

/** Why a commit is not applied; null: it is. Looks in the order that the outcomes promise. */
function refusalOf(rows: ReadRows, commit: Commit, { tables, leases, nowMs }: Deciding): CommitOutcome | null {
  const { group, partition, afterCommitId, owner } = commit;
  const { commitIds, groups, instances, episodes, tallies } = tables;
  if (commitIds.has(rows, partition, commit.commitId)) return "duplicate";
  if (group !== null) {
    if (leases.isFenced({ groupId: group.id, partition, owner }, nowMs)) return "fenced";
    const version = groups.get(rows, { partition, id: group.id }, nowMs)?.version ?? 0;
    if (version !== group.expectedVersion) return "conflict";
  }
  if (afterCommitId !== null && !commitIds.has(rows, partition, afterCommitId)) return "conflict";
  if (!episodes.areExpected(rows, partition, commit.episodes)) return "conflict";
  if (!tallies.areExpected(rows, partition, commit.tallies ?? [])) return "conflict";
  return commit.instances.every((write) => instances.isExpected(rows, write)) ? null : "conflict";
}
