/**
 * Groups as rows: the numbers of a group are in its own record, so a row costs one read however many instances the
 * group has.
 */
import type { Group } from "../../convergence/group.ts";
import { tryGroup } from "../../convergence/group-codec.ts";
import type { Birth } from "../../instance/audit-types.ts";
import type { Instance } from "../../instance/checkpoint.ts";
import { OPEN_STATES } from "../../instance/open-index.ts";
import { topLevel } from "../../instance/step.ts";
import { BecalmError } from "../../model/errors.ts";
import { partitionOf } from "../../model/ids.ts";
import { LIST_PAGE_COUNT_MAX } from "../../model/limits.ts";
import { policyKey } from "../../policy/policy-versions.ts";
import { isoTime } from "../../present/time-text.ts";
import type { InstanceReader, ListFilter } from "../../runtime/instance-reader.ts";

/** Ids that a row names. */
const NAMED_COUNT_MAX = 100;

export type Members = { readonly id: string | null; readonly instances: readonly Instance[] };

/** Instances without a group each stand alone. Order of first appearance. */
export function byGroup(instances: Iterable<Instance>): Members[] {
  const groups = new Map<string, Instance[]>();
  for (const instance of instances) {
    const key = instance.groupId ?? ` ${instance.id}`;
    const members = groups.get(key);
    if (members === undefined) groups.set(key, [instance]);
    else members.push(instance);
  }
  return [...groups.values()].map((members) => ({ id: members[0]?.groupId ?? null, instances: members }));
}

export type GoingOn = {
  readonly instances: readonly Instance[];
  /** There was more than may be looked at: groups may be missing. */
  readonly isCut: boolean;
  /** Partitions that could not be asked; undefined: all were. */
  readonly unreached: readonly number[] | undefined;
};

/**
 * The instances that are not at rest, and those that were created since: what is going on, without reading all that is
 * there.
 */
export async function goingOn(reader: InstanceReader, filter: ListFilter, rowsMax: number): Promise<GoingOn> {
  const { since: _since, ...always } = filter;
  const found = new Map<string, Instance>();
  const unreached = new Set<number>();
  const add = async (asked: ListFilter): Promise<boolean> => {
    let cursor: string | null | undefined;
    for (let looked = 0; cursor !== null && looked < rowsMax; looked += LIST_PAGE_COUNT_MAX) {
      const from = cursor === undefined ? {} : { cursor };
      const page = await reader.list(
        { ...asked, ...from, limit: LIST_PAGE_COUNT_MAX },
        { rowsMax: LIST_PAGE_COUNT_MAX },
      );
      for (const one of page.instances) found.set(one.id, one);
      for (const partition of page.unreached ?? []) unreached.add(partition);
      cursor = page.next;
    }
    return cursor !== null;
  };
  const isCut = await add(filter);
  const areOpenCut = await Promise.all(OPEN_STATES.map((state) => add({ ...always, state })));
  const newestFirst = [...found.values()].sort((a, b) => b.createdAtMs - a.createdAtMs || (a.id < b.id ? 1 : -1));
  return {
    instances: newestFirst,
    isCut: isCut || areOpenCut.includes(true),
    unreached: unreached.size === 0 ? undefined : [...unreached],
  };
}

export type GroupRow = {
  readonly id: string | null;
  readonly policy: string;
  /** What its alerts have in common by the policy's rule. */
  readonly dimensions: Readonly<Record<string, string>>;
  /** The window that is open now; null: none. */
  readonly open: object | null;
  readonly held: number;
};

/** What the group's record and the birth of one of its instances say. */
export async function groupFacts(
  reader: InstanceReader,
  { groupId, instanceId, nowMs }: { groupId: string; instanceId: string; nowMs: number },
): Promise<Pick<GroupRow, "dimensions" | "open" | "held">> {
  const [group, births] = await Promise.all([groupRecord(reader, groupId), reader.births([instanceId])]);
  return { dimensions: await dimensionsOf(reader, births.get(instanceId)), ...numbersOf(group, nowMs) };
}

/** null: there is none, or it cannot be read. */
export async function groupRecord({ runtime }: InstanceReader, groupId: string): Promise<Group | null> {
  const partition = partitionOf(groupId, runtime.partitions);
  const { group } = await runtime.store.load({ partition, groupId, instanceIds: [] });
  const found = group === null ? null : tryGroup(groupId, group.value);
  return found instanceof BecalmError ? null : found;
}

function numbersOf(group: Group | null, nowMs: number): Pick<GroupRow, "open" | "held"> {
  const open = group?.open ?? null;
  if (open === null || open.endsAtMs < nowMs) return { open: null, held: group?.held ?? 0 };
  const { executed, succeeded, failed, inProgress, openedAtMs, endsAtMs } = open;
  const until = { since: isoTime(openedAtMs), until: isoTime(endsAtMs) };
  return { open: { ...until, executed, succeeded, failed, inProgress }, held: group?.held ?? 0 };
}

async function dimensionsOf(reader: InstanceReader, birth: Birth | undefined): Promise<Record<string, string>> {
  if (birth === undefined) return {};
  const policy = await reader.policy(policyKey({ name: birth.policy, version: birth.policyVersion }));
  const labels = birth.alert?.labels ?? {};
  const names = policy?.converge?.by ?? [];
  return Object.fromEntries(names.flatMap((name) => (labels[name] === undefined ? [] : [[name, labels[name]]])));
}

/** `states`: of those of its instances that were looked at. */
export async function groupRow(reader: InstanceReader, { id, instances }: Members, nowMs: number): Promise<object> {
  const states = new Map<string, number>();
  for (const { snapshot } of instances) {
    const state = topLevel(snapshot.state);
    states.set(state, (states.get(state) ?? 0) + 1);
  }
  const newest = instances[0] as Instance;
  const facts = id === null ? {} : await groupFacts(reader, { groupId: id, instanceId: newest.id, nowMs });
  return {
    id,
    policy: newest.policy,
    states: Object.fromEntries(states),
    newestAt: isoTime(newest.createdAtMs),
    instances: instances.slice(0, NAMED_COUNT_MAX).map((instance) => instance.id),
    ...facts,
  };
}
