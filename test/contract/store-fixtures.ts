/** Building commits and looking at everything that a store holds. */
import type {
  Commit,
  EpisodeWrite,
  GroupCheck,
  GroupWrite,
  InstanceWrite,
  Store,
  StoredEffect,
  TimerRow,
} from "../../src/stores/store.ts";

export const GROUP = "disk/!sha1#00ff";

let commitCount = 0;

/** A commit of partition 0 by `engine-a` that changes nothing but what is given. */
export function commitOf(parts: Partial<Commit> = {}): Commit {
  commitCount += 1;
  return {
    commitId: `commit-${commitCount}`,
    partition: 0,
    owner: "engine-a",
    afterCommitId: null,
    group: null,
    instances: [],
    episodes: [],
    effects: [],
    effectClaimMs: null,
    settledEffectIds: [],
    timersArmed: [],
    timersCancelled: [],
    membersAdded: [],
    membersRemoved: [],
    ...parts,
  };
}

export function groupOf(expectedVersion: number, parts: Partial<Omit<GroupWrite, "kind">> = {}): GroupWrite {
  return { kind: "write", id: GROUP, expectedVersion, value: `group at ${expectedVersion}`, ttlMs: null, ...parts };
}

/** Only checked, not written. */
export function checkedGroup(expectedVersion: number, id = GROUP): GroupCheck {
  return { kind: "check", id, expectedVersion };
}

export function newInstance(id: string, parts: Partial<InstanceWrite> = {}): InstanceWrite {
  return {
    id,
    expectedVersion: 0,
    expectedHead: null,
    head: "born",
    body: id,
    createdAtMs: 1_000,
    historyLines: [`birth of ${id}`],
    ...parts,
  };
}

export function changedInstance(
  id: string,
  expectedVersion: number,
  parts: Partial<InstanceWrite> = {},
): InstanceWrite {
  const line = `step ${expectedVersion} of ${id}`;
  return {
    id,
    expectedVersion,
    expectedHead: null,
    head: "changed",
    body: id,
    createdAtMs: 1_000,
    historyLines: [line],
    ...parts,
  };
}

export function timerOf(owner: string, dueAtMs: number, parts: Partial<TimerRow> = {}): TimerRow {
  return { lane: "work", owner, name: "retry", arm: 1, partition: Number(owner.slice(0, 2)), dueAtMs, ...parts };
}

export function effectOf(id: string, parts: Partial<StoredEffect> = {}): StoredEffect {
  return { id, partition: 0, value: `{"run":"${id}"}`, ...parts };
}

export function episodeOf(key: string, parts: Partial<EpisodeWrite> = {}): EpisodeWrite {
  return { key, value: `episode of ${key}`, expected: null, ...parts };
}

/** All that the port shows of a store, for comparing before and after. */
export async function everythingIn(
  store: Store,
  groups: readonly { partition: number; id: string }[] = [{ partition: 0, id: GROUP }],
) {
  const { instances } = await store.list({ limit: 1_000 });
  const ids = instances.map(({ id }) => id);
  return {
    instances,
    histories: await Promise.all(ids.map((id) => store.history(id))),
    touched: [...(await store.touched(ids))].sort(([a], [b]) => (a < b ? -1 : 1)),
    groups: await Promise.all(groups.map((group) => groupIn(store, group))),
    work: await store.timers({ lane: "work", untilMs: Infinity, limit: 1_000 }),
    approvals: await store.timers({ lane: "approval", untilMs: Infinity, limit: 1_000 }),
    effects: await store.listEffects({ limit: 1_000 }),
    policies: await store.policies(),
  };
}

async function groupIn(store: Store, { partition, id }: { partition: number; id: string }) {
  const { group } = await store.load({ partition, groupId: id, instanceIds: [] });
  const waiters = await store.members({ groupId: id, partition, set: "waiters", limit: 1_000 });
  const held = await store.members({ groupId: id, partition, set: "held", limit: 1_000 });
  return { group, waiters, held };
}
