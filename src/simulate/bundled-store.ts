/**
 * Bundles as a store, for looking: what `ls`, `show` and the others say of a store, they say of files. Nothing can be
 * written here, and nothing is known but what a bundle has: no groups, no timers, no effects. Time stands where the
 * bundle was exported: what was open then is open, and "6h ago" counts from there.
 */
import { birthOf } from "../instance/audit.ts";
import { BecalmError } from "../model/errors.ts";
import { partitionOfId } from "../model/ids.ts";
import { PARTITION_COUNT_MAX } from "../model/limits.ts";
import type { Processes } from "../stores/processes.ts";
import type { LoadRequest, NamespaceInfo, Store, StoredInstance } from "../stores/store.ts";
import type { Clock } from "../system/clock.ts";
import type { BundledInstance, BundledPolicy, BundleHeader } from "./bundle.ts";

/** What bundles hold together. */
export type Bundles = {
  readonly header: BundleHeader;
  readonly policies: readonly BundledPolicy[];
  /** Each id once. */
  readonly instances: readonly BundledInstance[];
  /** What the processes were called that decided, by id. */
  readonly processes: ReadonlyMap<string, string>;
};

type Held = { readonly stored: StoredInstance; readonly lines: readonly string[]; readonly createdAtMs: number };

/** The time at which a bundle was exported. */
export function bundledClock({ exportedAtMs }: BundleHeader): Clock {
  return { now: () => exportedAtMs, schedule: () => () => {} };
}

/** A store of which only the reading calls work. */
export function bundledStore({ header, policies, instances, processes }: Bundles): Store {
  const held = instances.map(heldOf).toSorted(newestFirst);
  const byId = new Map(held.map((one) => [one.stored.id, one]));
  const oldestFirst = held.toReversed();
  const records = policies
    .map(({ policy, value }) => ({ key: policy, value }))
    .toSorted((left, right) => (left.key < right.key ? -1 : 1));
  const reading: Partial<Store> = {
    processes: onlyNames(processes),
    open: () => Promise.resolve(namespaceOf(header)),
    load: async ({ instanceIds, births = false }: LoadRequest) => {
      const found = instanceIds.flatMap((id) => byId.get(id) ?? []);
      const shown = found.map(({ stored, lines: [birth] }) =>
        births && birth !== undefined ? { ...stored, birth } : stored,
      );
      return { group: null, instances: new Map(shown.map((one) => [one.id, one])), episodes: new Map() };
    },
    history: async (id) => [...(byId.get(id)?.lines ?? [])],
    list: async ({ limit, cursor = "0" }) => {
      const start = Number(cursor);
      if (!Number.isInteger(start) || start < 0) throw unknownCursor(cursor);
      const page = held.slice(start, start + limit).map(({ stored }) => stored);
      return { instances: page, next: start + limit < held.length ? String(start + limit) : null };
    },
    oldest: async ({ partition, createdUntilMs, limit, after }) => {
      const own = oldestFirst.filter(
        ({ stored: { id }, createdAtMs }) => partitionOfId(id) === partition && createdAtMs <= createdUntilMs,
      );
      const start = after === undefined ? 0 : own.findIndex(({ stored: { id } }) => id === after.id) + 1;
      return own.slice(start, start + limit).map(({ stored: { id }, createdAtMs }) => ({ id, createdAtMs }));
    },
    policies: () => Promise.resolve(records),
    touched: async () => new Map(),
    strayInstances: async () => [],
    unclaimedEffects: async () => [],
    close: async () => {},
  };
  // A promise that resolves with the store asks it for `then`.
  return new Proxy({} as Store, {
    get: (_, name) => (name === "then" || name in reading ? reading[name as keyof Store] : onlyReading),
  });
}

/** Nobody lives here. */
function onlyNames(names: ReadonlyMap<string, string>): Processes {
  const reading: Partial<Processes> = { living: async () => [], waiting: async () => 0, enrolled: async () => names };
  return reading as Processes;
}

/** Bundles of earlier versions do not tell how many partitions there were: ids have two digits for them. */
function namespaceOf({ virtualTimeMs, partitions = PARTITION_COUNT_MAX }: BundleHeader): NamespaceInfo {
  const time = {
    highestTimeMs: virtualTimeMs ?? null,
    mode: virtualTimeMs === undefined ? "live" : "virtual",
  } as const;
  return { ...time, partitions, format: 1 };
}

function heldOf(instance: BundledInstance): Held {
  const { id, version, checkpoint, lines, birthHash = null, ended = null } = instance;
  const stored = { id, version, value: checkpoint, birthHash, ended };
  return { stored, lines, createdAtMs: createdAtMs(id, lines) };
}

/** One that cannot be read is shown, behind all others. */
function createdAtMs(id: string, lines: readonly string[]): number {
  try {
    return birthOf(id, lines).createdAtMs;
  } catch (error) {
    if (error instanceof BecalmError) return 0;
    throw error;
  }
}

function newestFirst(left: Held, right: Held): number {
  if (left.createdAtMs !== right.createdAtMs) return right.createdAtMs - left.createdAtMs;
  return left.stored.id < right.stored.id ? 1 : -1;
}

function unknownCursor(cursor: string): BecalmError {
  const text = `The cursor ${JSON.stringify(cursor)} did not come from a page of a list. Start again without a cursor.`;
  return new BecalmError("BECALM_ARGUMENT_INVALID", text);
}

function onlyReading(): Promise<never> {
  const text = "A bundle can only be read. Name the store itself.";
  return Promise.reject(new BecalmError("BECALM_ARGUMENT_INVALID", text));
}
