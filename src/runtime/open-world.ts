import { BecalmError } from "../model/errors.ts";
import { PARTITION_COUNT_DEFAULT } from "../model/limits.ts";
import { compileMatchers } from "../policy/matcher.ts";
import type { PolicySet } from "../policy/policy.ts";
import { type CompiledPolicy, compilePolicy, policyKey } from "../policy/policy-versions.ts";
import type { NamespaceInfo, NamespaceMode, PolicyRecord, Store } from "../stores/store.ts";
import { KnownGroups } from "./commit/known-groups.ts";
import { learnVersions } from "./commit/read-instance.ts";
import type { World } from "./world.ts";

export type OpenOptions = Pick<
  World,
  "store" | "clock" | "owner" | "commitId" | "pause" | "random" | "effectClaimMs" | "committed"
> & {
  /** Left out by a reading command: it takes the namespace as it is. */
  readonly mode?: NamespaceMode;
  readonly partitions?: number;
  /** Left out: no alerts are taken, only what is there is worked on. */
  readonly policies?: PolicySet;
};

/**
 * Opens the namespace, records the versions of the given policies and learns all earlier ones.
 * @throws BECALM_NOT_FOUND when a reading command finds no namespace; what `Store.open` rejects with.
 */
export async function openWorld(options: OpenOptions): Promise<{ world: World; info: NamespaceInfo }> {
  const { store, mode, policies } = options;
  const info = await store.open(
    mode === undefined ? {} : { mode, partitions: options.partitions ?? PARTITION_COUNT_DEFAULT },
  );
  if (info === null) {
    throw new BecalmError(
      "BECALM_NOT_FOUND",
      "The store has no such namespace. Check --store and --namespace; `becalm run` or an engine makes one.",
    );
  }
  const { current, silences } = inForce(policies);
  const versions = await versionsOf(store, current);
  const world: World = {
    ...options,
    mode: info.mode,
    partitions: info.partitions,
    current,
    silences,
    groups: new KnownGroups(),
    versions,
  };
  return { world, info };
}

function inForce(policies: PolicySet | undefined): Pick<World, "current" | "silences"> {
  return {
    current: (policies?.policies ?? []).map(compilePolicy),
    silences: (policies?.silences ?? []).map((silence) => ({ silence, matches: compileMatchers(silence.match) })),
  };
}

/** Other policies and silences from now on. Their versions are durable before the first instance is made under one. */
export async function putInForce(world: World, policies: PolicySet): Promise<void> {
  const { current, silences } = inForce(policies);
  const fresh = current.filter(({ policy }) => !world.versions.has(policyKey(policy)));
  if (fresh.length > 0) await world.store.savePolicies(fresh.map(recordOf));
  for (const compiled of fresh) world.versions.set(policyKey(compiled.policy), compiled);
  world.current = current;
  world.silences = silences;
}

/**
 * Puts back what a namespace is known by, if its store has lost it: what this process goes on writing could not be read by others. Its versions
 * are those of all instances that it has met.
 */
export async function renewNamespace({ store, mode, partitions, versions }: World): Promise<void> {
  await store.open({ mode, partitions });
  const known = new Set((await store.policies()).map(({ key }) => key));
  const lost = [...versions.values()].filter(({ policy }) => !known.has(policyKey(policy)));
  if (lost.length > 0) await store.savePolicies(lost.map(recordOf));
}

function recordOf({ policy }: CompiledPolicy): PolicyRecord {
  return { key: policyKey(policy), value: JSON.stringify(policy) };
}

async function versionsOf(store: Store, current: readonly CompiledPolicy[]): Promise<Map<string, CompiledPolicy>> {
  const versions = new Map<string, CompiledPolicy>();
  await learnVersions({ store, versions });
  const fresh = current.filter(({ policy }) => !versions.has(policyKey(policy)));
  // Only what is new: a store that is full still lets an engine start, which frees room as its retention goes on.
  if (fresh.length > 0) {
    await store.savePolicies(fresh.map(recordOf));
  }
  for (const compiled of current) versions.set(policyKey(compiled.policy), compiled);
  return versions;
}
