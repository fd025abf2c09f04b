/** Which mailbox and which id an alert has under a policy. The same alert always goes the same way. */

import { ruleGoverns } from "../../convergence/dimension-key.ts";
import type { Alert } from "../../model/alert.ts";
import { startOf } from "../../model/episode.ts";
import { instanceIdOf, instanceName, partitionOf, ungroupedName } from "../../model/ids.ts";
import type { SilenceNote } from "../../model/instance-types.ts";
import type { Receipt } from "../../model/receipt.ts";
import type { Policy } from "../../policy/policy.ts";
import type { CompiledPolicy } from "../../policy/policy-versions.ts";
import { RAISED_FORMAT } from "../../stores/store.ts";
import type { Address } from "../commit/batch.ts";
import type { CompiledSilence, Runtime } from "../runtime.ts";
import { groupAddress } from "./group-address.ts";

/** The way of a receipt under a policy. */
export type Route = {
  readonly policy: CompiledPolicy;
  readonly address: Address;
  /** Of the record of its episodes. */
  readonly key: string;
  /** Of the instance, if an episode begins where the receipt says. */
  readonly ownId: string;
};

/** `turn`: in virtual time, the line among those of the same time; null: live. */
export type RoutingOptions = { readonly atMs: number; readonly turn: number | null };

/** One route a matching policy, in policy order. */
export function routesOf(runtime: Runtime, receipt: Receipt, atMs: number): readonly Route[] {
  let routes = NO_ROUTES;
  for (const policy of runtime.inForce.policies) {
    if (!policy.matches(receipt.labels)) continue;
    const route = routeOf(runtime, policy, { receipt, atMs });
    // Most alerts have one, and an array that grows makes room for sixteen more.
    routes = routes === NO_ROUTES ? [route] : [...routes, route];
  }
  return routes;
}

const NO_ROUTES: readonly Route[] = [];

export function routeOf(
  { partitions, format }: Runtime,
  policy: CompiledPolicy,
  { receipt, atMs }: { receipt: Receipt; atMs: number },
): Route {
  const { fingerprint, startsAtMs } = receipt;
  if (format.acting < RAISED_FORMAT) return earlierRouteOf({ partitions }, policy, { receipt, atMs });
  const address = addressOf(policy.policy, receipt, partitions);
  const name = { policy: policy.policy.name, fingerprint, startMs: startOf({ startsAtMs, receivedAtMs: atMs }) };
  return { policy, address, key: episodeKeyOf(policy, fingerprint), ownId: instanceIdOf(name, address.partition) };
}

/** Where versions before there were episodes put it: an ungrouped alert lived where its start said. */
export function earlierRouteOf(
  { partitions }: Pick<Runtime, "partitions">,
  policy: CompiledPolicy,
  { receipt, atMs }: { receipt: Receipt; atMs: number },
): Route {
  const { fingerprint, startsAtMs, endsAtMs } = receipt;
  const name = { policy: policy.policy.name, fingerprint, startMs: startsAtMs ?? Math.min(atMs, endsAtMs ?? atMs) };
  const own = addressOf(policy.policy, receipt, partitions);
  const partition = own.groupId === null ? partitionOf(instanceName(name), partitions) : own.partition;
  const address = { partition, groupId: own.groupId };
  return { policy, address, key: episodeKeyOf(policy, fingerprint), ownId: instanceIdOf(name, partition) };
}

/** Of the record of an alert's episodes under a policy, in the partition where both live. */
export function episodeKeyOf({ episodeTag }: Pick<CompiledPolicy, "episodeTag">, fingerprint: string): string {
  return fingerprint + episodeTag;
}

/** The mailbox of an alert under a policy version. */
function addressOf(policy: Policy, { labels, fingerprint }: Receipt, partitions: number): Address {
  const rule = policy.converge;
  if (rule !== null && ruleGoverns(rule, labels)) return groupAddress(policy, rule, { labels, partitions });
  return { partition: partitionOf(ungroupedName({ policy: policy.name, fingerprint }), partitions), groupId: null };
}

/** The first silence that matches and holds at `atMs` (from <= t < to), in file order. */
export function silenceAt(
  silences: readonly CompiledSilence[],
  labels: Alert["labels"],
  atMs: number,
): SilenceNote | null {
  for (const { silence, matches } of silences) {
    if (silence.fromMs <= atMs && atMs < silence.toMs && matches(labels)) {
      const { author, comment, toMs, id } = silence;
      return { author, comment, toMs, ...(id === undefined ? {} : { id }) };
    }
  }
  return null;
}
