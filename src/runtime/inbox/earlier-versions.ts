/**
 * Episodes that were begun under an earlier version of a policy, or under one that is gone. Their receipts go on to
 * them, wherever they live: so editing a rule never runs a firing storm again, and what was begun is ended. Only
 * namespaces with such versions pay for this, with one or two reads a partition for a whole request.
 */
import { receive } from "../../model/episode.ts";
import { lastEpisode, receiveRecorded } from "../../model/episode-record.ts";
import { BecalmError } from "../../model/errors.ts";
import { instanceIdOf } from "../../model/ids.ts";
import type { Receipt, ReceiptTimes } from "../../model/receipt.ts";
import { type CompiledPolicy, policyKey } from "../../policy/policy-versions.ts";
import { type LoadResult, RAISED_FORMAT } from "../../stores/store.ts";
import { tryInstance } from "../commit/read-instance.ts";
import type { Runtime } from "../runtime.ts";
import { earlierRouteOf, type Route, type RoutingOptions, routeOf } from "./routing.ts";

/**
 * A receipt belongs to an episode, or an instance, that was made under another version than the one in force, or in
 * another group.
 */
export type Claim = { readonly policy: string; readonly route: Route };

type Options = RoutingOptions & { readonly routesOfAll: readonly (readonly Route[])[] };

/** A place where an episode of a receipt may live. */
type Candidate = { readonly index: number; readonly route: Route; readonly isInForce: boolean };

/** `startMs`: of the episode, to choose the last one. */
type Found = Candidate & { readonly instanceId: string; readonly startMs: number };

/** For each receipt its claims, one a policy, or why one of them cannot be read. */
export async function findClaims(
  runtime: Runtime,
  receipts: readonly (Receipt | null)[],
  options: Options,
): Promise<(readonly Claim[] | BecalmError)[]> {
  const old = versionsNotInForce(runtime);
  const candidates = receipts.flatMap((receipt, index) =>
    receipt === null ? [] : candidatesOf(runtime, old, { receipt, index, options }),
  );
  const loaded = await loadAll(
    runtime,
    candidates.map(({ route }) => ({ partition: route.address.partition, id: route.ownId, key: route.key })),
  );
  const found = candidates.flatMap((candidate) => {
    const place = loaded.get(candidate.route.address.partition);
    return place === undefined ? [] : foundAt(runtime, place, { candidate, receipts, options });
  });
  const instances = await loadAll(
    runtime,
    found.map(({ route, instanceId }) => ({ partition: route.address.partition, id: instanceId, key: null })),
  );
  const claims: (Claim[] | BecalmError)[] = receipts.map(() => []);
  for (const last of lastOfEach(found)) await addClaim(runtime, claims, { last, instances });
  return claims;
}

function versionsNotInForce({ versions, inForce: { policies } }: Runtime): CompiledPolicy[] {
  const keys = new Set(policies.map(({ policy }) => policyKey(policy)));
  return [...versions.values()].filter(({ policy }) => !keys.has(policyKey(policy)));
}

/**
 * Where earlier versions would have put it. Of a policy that has such, also where it belongs now: the last episode
 * counts.
 */
function candidatesOf(
  runtime: Runtime,
  old: readonly CompiledPolicy[],
  { receipt, index, options }: { receipt: Receipt; index: number; options: Options },
): Candidate[] {
  const inForce = options.routesOfAll[index] as readonly Route[];
  const candidates: Candidate[] = [];
  const seen = new Set<string>();
  const add = (route: Route, isInForce: boolean) => {
    const place = `${route.address.partition} ${route.key}`;
    if (seen.has(place)) return;
    seen.add(place);
    candidates.push({ index, route, isInForce });
  };
  const at = { receipt, atMs: options.atMs };
  for (const policy of old) {
    if (!policy.matches(receipt.labels)) continue;
    const own = inForce.find((route) => route.policy.policy.name === policy.policy.name);
    if (own !== undefined) add(own, true);
    add(routeOf(runtime, policy, at), false);
    if (runtime.format.acting === RAISED_FORMAT) add(earlierRouteOf(runtime, policy, at), false);
  }
  // Ungrouped instances that were made before there were episodes live elsewhere.
  if (runtime.format.acting === RAISED_FORMAT)
    for (const route of inForce)
      if (route.address.groupId === null) {
        add(route, true);
        add(earlierRouteOf(runtime, route.policy, at), false);
      }
  return candidates;
}

/**
 * The episode that the receipt belongs to there, if it does; or the instance that was made of it before there were
 * records.
 */
function foundAt(
  { leaseGrace: grace }: Runtime,
  place: LoadResult,
  { candidate, receipts, options }: { candidate: Candidate; receipts: readonly (Receipt | null)[]; options: Options },
): Found[] {
  const { route, index } = candidate;
  const record = place.episodes.get(route.key);
  if (record === undefined)
    return place.instances.has(route.ownId) ? [{ ...candidate, instanceId: route.ownId, startMs: 0 }] : [];
  const { form, status, startsAtMs, endsAtMs, fingerprint } = receipts[index] as Receipt;
  const times: ReceiptTimes = { form, status, startsAtMs, endsAtMs, receivedAtMs: options.atMs };
  const position = options.turn === null ? null : { atMs: options.atMs, turn: options.turn, index };
  const reception =
    position === null
      ? receive(lastEpisode(record), times, grace)
      : receiveRecorded(record, times, { position, grace }).reception;
  const isEnd = reception.kind === "begins" && reception.ended !== null;
  const episode = isEnd ? reception.ended : reception.kind === "nothing_open" ? null : reception.episode;
  if (episode === null || (reception.kind === "begins" && !isEnd)) return [];
  const { startMs } = episode;
  const name = { policy: route.policy.policy.name, fingerprint, startMs };
  return [{ ...candidate, instanceId: instanceIdOf(name, route.address.partition), startMs }];
}

function lastOfEach(found: readonly Found[]): readonly Found[] {
  const last = new Map<string, Found>();
  for (const one of found) {
    const key = `${one.index} ${one.route.policy.policy.name}`;
    const other = last.get(key);
    if (other === undefined || other.startMs < one.startMs) last.set(key, one);
  }
  return [...last.values()];
}

async function addClaim(
  runtime: Runtime,
  claims: (Claim[] | BecalmError)[],
  { last, instances }: { last: Found; instances: ReadonlyMap<number, LoadResult> },
): Promise<void> {
  const { index, route, instanceId } = last;
  const { partition } = route.address;
  const stored = instances.get(partition)?.instances.get(instanceId);
  const others = claims[index];
  if (stored === undefined || others === undefined || others instanceof BecalmError) return;
  const instance = await tryInstance(runtime, stored);
  if (instance instanceof BecalmError) claims[index] = instance;
  else if (!last.isInForce || instance.groupId !== route.address.groupId)
    others.push({ policy: instance.policy, route: { ...route, address: { partition, groupId: instance.groupId } } });
}

type Wanted = { readonly partition: number; readonly id: string; readonly key: string | null };

/** One read a partition. */
async function loadAll(runtime: Runtime, wanted: readonly Wanted[]): Promise<ReadonlyMap<number, LoadResult>> {
  const byPartition = new Map<number, { ids: Set<string>; keys: Set<string> }>();
  for (const { partition, id, key } of wanted) {
    const own = byPartition.get(partition) ?? { ids: new Set(), keys: new Set() };
    byPartition.set(partition, own);
    own.ids.add(id);
    if (key !== null) own.keys.add(key);
  }
  const loaded = await Promise.all(
    [...byPartition].map(async ([partition, { ids, keys }]) => {
      const request = { partition, groupId: null, instanceIds: [...ids], episodeKeys: [...keys] };
      return [partition, await runtime.store.load(request)] as const;
    }),
  );
  return new Map(loaded);
}
