/** Which mailbox and which id an alert has under a policy. The same alert always goes the same way. */

import { dimensionKeyOf, dimensionText, ruleGoverns } from "../../convergence/dimension-key.ts";
import type { Alert } from "../../model/alert.ts";
import { groupIdOf, instanceIdOf, loneName, partitionOf } from "../../model/ids.ts";
import type { SilenceNote } from "../../model/instance-types.ts";
import type { Policy } from "../../policy/policy.ts";
import type { CompiledPolicy } from "../../policy/policy-versions.ts";
import type { Address } from "../commit/batch.ts";
import type { CompiledSilence, Runtime } from "../runtime.ts";

export type Route = { readonly id: string; readonly address: Address; readonly policy: CompiledPolicy };

/** One route a matching policy, in policy order. */
export function routesOf(runtime: Runtime, alert: Alert): readonly Route[] {
  let routes = NO_ROUTES;
  for (const policy of runtime.inForce.policies) {
    if (!policy.matches(alert.labels)) continue;
    const { id, address } = placeOf(policy.policy, alert, runtime.partitions);
    const route = { id, address, policy };
    // Most alerts have one, and an array that grows makes room for sixteen more.
    routes = routes === NO_ROUTES ? [route] : [...routes, route];
  }
  return routes;
}

const NO_ROUTES: readonly Route[] = [];

/** Id and mailbox of an alert's instance under a policy version. */
export function placeOf(policy: Policy, alert: Alert, partitions: number): { id: string; address: Address } {
  const name = { policy: policy.name, fingerprint: alert.fingerprint, startsAtMs: alert.startsAtMs };
  const rule = policy.converge;
  const address =
    rule !== null && ruleGoverns(rule, alert.labels)
      ? groupAddress(policy, dimensionText(rule, alert.labels), partitions)
      : { partition: partitionOf(loneName(name), partitions), groupId: null };
  return { id: instanceIdOf(name, address.partition), address };
}

const ADDRESS_COUNT_MAX = 10_000;
const ADDRESSES = new WeakMap<Policy, { readonly partitions: number; readonly known: Map<string, Address> }>();

/** Where a group lives follows from its policy's name and its dimensions; alerts of a storm ask for the same few again and again. */
function groupAddress(policy: Policy, dimensions: string, partitions: number): Address {
  let addresses = ADDRESSES.get(policy);
  if (addresses?.partitions !== partitions) {
    addresses = { partitions, known: new Map() };
    ADDRESSES.set(policy, addresses);
  }
  const known = addresses.known.get(dimensions);
  if (known !== undefined) return known;
  const groupId = groupIdOf(policy.name, dimensionKeyOf(dimensions));
  const address = { partition: partitionOf(groupId, partitions), groupId };
  if (addresses.known.size >= ADDRESS_COUNT_MAX) addresses.known.clear();
  addresses.known.set(dimensions, address);
  return address;
}

/** Ids that earlier versions of the policy's rule would have given: an instance found there is the duplicate. */
export function earlierIds(runtime: Runtime, route: Route, alert: Alert): { id: string; partition: number }[] {
  const found = new Map<string, number>();
  for (const { policy } of runtime.versions.values()) {
    if (policy.name !== route.policy.policy.name || policy.version === route.policy.policy.version) continue;
    const place = placeOf(policy, alert, runtime.partitions);
    if (place.id !== route.id) found.set(place.id, place.address.partition);
  }
  return [...found].map(([id, partition]) => ({ id, partition }));
}

/** The first silence that matches and holds at `atMs` (from <= t < to), in file order. */
export function silenceAt(
  silences: readonly CompiledSilence[],
  labels: Alert["labels"],
  atMs: number,
): SilenceNote | null {
  for (const { silence, matches } of silences) {
    if (silence.fromMs <= atMs && atMs < silence.toMs && matches(labels)) {
      return { author: silence.author, comment: silence.comment, toMs: silence.toMs };
    }
  }
  return null;
}
