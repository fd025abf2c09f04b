/**
 * Where a group lives follows from its policy's name and its dimensions. The alerts of a storm ask for the same few
 * again and again, so what was answered is kept by the values that they differ in: neither the text of the dimensions
 * nor its hash is made for each alert.
 */
import { comparedNames, dimensionKey, ownValue } from "../../convergence/dimension-key.ts";
import type { ConvergenceRule } from "../../model/convergence-rule.ts";
import { groupIdOf, partitionOf } from "../../model/ids.ts";
import type { Policy } from "../../policy/policy.ts";
import type { Address } from "../commit/batch.ts";

const ADDRESS_COUNT_MAX = 10_000;

/** One level a name that alerts are compared by; an address at the last one. */
type Level = { readonly next: Map<string, Level>; address: Address | null };

type Known = { readonly partitions: number; readonly first: Level; count: number };

const KNOWN = new WeakMap<Policy, Known>();

type Alike = { readonly labels: Readonly<Record<string, string>>; readonly partitions: number };

/** The address of the group of an alert that the rule governs. */
export function groupAddress(policy: Policy, rule: ConvergenceRule, { labels, partitions }: Alike): Address {
  let known = KNOWN.get(policy);
  if (known === undefined || known.partitions !== partitions) {
    known = { partitions, first: newLevel(), count: 0 };
    KNOWN.set(policy, known);
  }
  let level = known.first;
  for (const name of comparedNames(rule)) {
    const value = ownValue(labels, name) as string;
    let next = level.next.get(value);
    if (next === undefined) {
      next = newLevel();
      level.next.set(value, next);
    }
    level = next;
  }
  if (level.address !== null) return level.address;
  const groupId = groupIdOf(policy.name, dimensionKey(rule, labels));
  known.count += 1;
  if (known.count > ADDRESS_COUNT_MAX) KNOWN.delete(policy);
  level.address = { partition: partitionOf(groupId, partitions), groupId };
  return level.address;
}

function newLevel(): Level {
  return { next: new Map(), address: null };
}
