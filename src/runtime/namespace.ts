import { BecalmError } from "../model/errors.ts";
import { PARTITION_COUNT_DEFAULT } from "../model/limits.ts";
import { compileMatchers } from "../policy/matcher.ts";
import type { Policy, PolicySet } from "../policy/policy.ts";
import { type CompiledPolicy, compilePolicy, policyKey } from "../policy/policy-versions.ts";
import { type NamespaceMode, type PolicyRecord, RAISED_FORMAT, type Store } from "../stores/store.ts";
import { learnVersions } from "./commit/read-instance.ts";
import { enrol } from "./deciding-process.ts";
import type { PoliciesInForce, Runtime } from "./runtime.ts";
import { learnSilences, requireRaised, silenceIdOf } from "./silences/stored-silences.ts";
import { recordLimits } from "./stops/limits-record.ts";
import { PartitionStops, readStops } from "./stops/partition-stops.ts";

export type OpenOptions = {
  readonly store: Store;
  /** Left out by a reading command: it takes the namespace as it is. */
  readonly mode?: NamespaceMode | undefined;
  readonly partitions?: number | undefined;
  /** Left out: no alerts are taken, only what is there is worked on. */
  readonly policies?: PolicySet | undefined;
  /** Decide and audit everything, act on nothing: of the instances that are made meanwhile. */
  readonly observe?: boolean | undefined;
};

export type Namespace = Pick<
  Runtime,
  "mode" | "format" | "partitions" | "highestTimeMs" | "inForce" | "versions" | "store" | "stops" | "isObserving"
>;

/**
 * Opens the namespace, records the versions of the given policies and learns all earlier ones.
 * @throws BECALM_NOT_FOUND when a reading command finds no namespace; what `Store.open` rejects with.
 */
export async function openNamespace(options: OpenOptions): Promise<Namespace> {
  const { store, mode } = options;
  const info = await store.open(
    mode === undefined ? {} : { mode, partitions: options.partitions ?? PARTITION_COUNT_DEFAULT },
  );
  if (info === null) {
    throw new BecalmError(
      "BECALM_NOT_FOUND",
      "The store has no such namespace. Check --store and --namespace; `becalm run` or an engine makes one.",
    );
  }
  if (options.observe === true) requireRaised(info.format, "Observing");
  const inForce = compiled(options.policies, info.format);
  if (mode === "live" && options.policies !== undefined) await recordLimits(store, inForce);
  await learnSilences({ store, inForce });
  const versions = await versionsOf(store, inForce.policies);
  const stops = await stopsOf(store, info.partitions, { isWriting: mode !== undefined });
  const format = { acting: info.format };
  return { ...info, format, store, inForce, versions, stops, isObserving: options.observe === true };
}

function compiled(set: PolicySet | undefined, format: number): PoliciesInForce {
  const policies = set?.policies ?? [];
  for (const policy of policies) requireUnderstood(policy, format);
  if (set?.limits !== undefined) requireRaised(format, "`limits`");
  const fromFile = (set?.silences ?? []).map((silence) => ({
    silence: format >= RAISED_FORMAT ? { ...silence, id: silenceIdOf(silence) } : silence,
    matches: compileMatchers(silence.match),
  }));
  const isFileKnown = set !== undefined;
  const silences = { fromFile, isFileKnown, stored: [], storedText: null, silences: fromFile };
  return { policies: policies.map(compilePolicy), ...silences, limits: set?.limits };
}

/** What a policy says that engines of the version before would not heed. */
function requireUnderstood(policy: Policy, format: number): void {
  const { verify, again, afterSilence, mode, limits, approval } = policy;
  const said = { verify, again, after_silence: afterSilence, mode, limits, "approval.quorum": approval.quorum };
  for (const [key, value] of Object.entries(said))
    if (value !== undefined) requireRaised(format, `\`${key}\` of policy "${policy.name}"`);
}

/** Other policies and silences from now on. Their versions are durable before the first instance is made under one. */
export async function putInForce({ store, versions, inForce, format }: Runtime, set: PolicySet): Promise<void> {
  const next = compiled(set, format.acting);
  await recordLimits(store, next);
  const fresh = next.policies.filter(({ policy }) => !versions.has(policyKey(policy)));
  if (fresh.length > 0) await store.savePolicies(fresh.map(recordOf));
  for (const one of fresh) versions.set(policyKey(one.policy), one);
  const { policies, fromFile, isFileKnown, limits } = next;
  Object.assign(inForce, { policies, fromFile, isFileKnown, limits, silences: [...fromFile, ...inForce.stored] });
}

/** Decides by a format that the namespace was raised to: silences of the policy file are told apart by their ids now. */
export function actBy({ format, inForce }: Pick<Runtime, "format" | "inForce">, acting: number): void {
  format.acting = acting;
  const fromFile = inForce.fromFile.map(({ silence, matches }) => ({
    silence: { ...silence, id: silenceIdOf(silence) },
    matches,
  }));
  Object.assign(inForce, { fromFile, silences: [...fromFile, ...inForce.stored] });
}

/**
 * A record in each partition from the beginning, so that the first commits do not find each other's. A full store goes
 * without.
 */
async function stopsOf(
  store: Store,
  partitions: number,
  { isWriting }: { isWriting: boolean },
): Promise<PartitionStops> {
  const stops = new PartitionStops();
  const open = async (partition: number) => {
    await readStops(store, stops, partition);
    const condition = stops.condition(partition);
    if (!isWriting || condition.expected !== null) return;
    const outcome = await store.renewEpisodes({ partition, writes: [condition] }).catch(() => "conflict" as const);
    if (outcome === "applied") stops.learn(partition, condition.value);
    else await readStops(store, stops, partition);
  };
  await Promise.all(Array.from({ length: partitions }, (_, partition) => open(partition)));
  return stops;
}

/**
 * Puts back what a namespace is known by, if its store has lost it: what this process goes on writing could not be read
 * by others. Its versions are those of all instances that it has met.
 */
export async function renewNamespace({ store, mode, partitions, versions, process }: Runtime): Promise<void> {
  await store.open({ mode, partitions });
  if (process !== null && store.processes !== null) await enrol(store.processes, process);
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
