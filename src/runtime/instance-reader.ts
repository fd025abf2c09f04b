/** Looking at stored instances: one, its history, lists. */
import { setImmediate } from "node:timers/promises";
import { birthOf, decodeHistory } from "../instance/audit.ts";
import type { Birth, History } from "../instance/audit-types.ts";
import type { Instance } from "../instance/checkpoint.ts";
import { isOpenState } from "../instance/open-index.ts";
import { BecalmError } from "../model/errors.ts";
import { grouped } from "../model/grouped.ts";
import { partitionOfId } from "../model/ids.ts";
import { LIST_PAGE_COUNT_DEFAULT, LIST_PAGE_COUNT_MAX } from "../model/limits.ts";
import { compileMatchers, parseMatchers } from "../policy/matcher.ts";
import type { Policy } from "../policy/policy.ts";
import { policyKey } from "../policy/policy-versions.ts";
import { RAISED_FORMAT, type StoredInstance } from "../stores/store.ts";
import { learnVersions, readInstance, tryInstance } from "./commit/read-instance.ts";
import type { ProcessNames } from "./deciding-process.ts";
import type { Runtime } from "./runtime.ts";

export type Quarantined = { readonly id: string; readonly version: number; readonly error: BecalmError };

export type ListFilter = {
  readonly state?: string;
  readonly policy?: string;
  readonly group?: string;
  readonly reason?: string;
  /**
   * Only instances of alerts with these labels: their values, or matchers in Alertmanager's syntax
   * (`cluster="core",host=~"web.*"`).
   */
  readonly labels?: Readonly<Record<string, string>> | string;
  /** Only instances of alerts with this text in a label's value, in capitals or not. */
  readonly text?: string;
  /** Only instances created at or after this time: epoch ms, or a text such as 2026-11-23T06:00:00Z. */
  readonly since?: number | string;
  /** Only instances whose checkpoints cannot be read. */
  readonly quarantined?: boolean;
  /** At most this many a page; default 100. */
  readonly limit?: number;
  readonly cursor?: string;
};

export type Listed = {
  readonly instances: readonly Instance[];
  readonly quarantined: readonly Quarantined[];
  readonly next: string | null;
  /** Partitions that could not be asked: their instances are missing. Absent: all were asked. */
  readonly unreached?: readonly number[];
};

/** Rows that a search reads at once. */
const LIST_SEARCH_COUNT = 1_000;

export type ListBounds = {
  /**
   * Rows that are looked at for one page, about: then the page ends with what was found, and `next` goes on. Default:
   * all.
   */
  readonly rowsMax?: number;
};

export class InstanceReader {
  readonly runtime: Runtime;
  /** Of processes that have been asked for: a name never changes. */
  readonly #names = new Map<string, string>();

  constructor(runtime: Runtime) {
    this.runtime = runtime;
  }

  /** The instance as it is stored. Throws BECALM_NOT_FOUND, or the checkpoint's error when it is quarantined. */
  async instance(id: string): Promise<Instance> {
    const stored = await this.stored(id);
    return readInstance(this.runtime, stored);
  }

  async birth(id: string): Promise<Birth> {
    return birthOf(id, await this.lines(id));
  }

  /** Birth and entries of an instance, oldest first. */
  async history(id: string): Promise<History> {
    const lines = await this.lines(id);
    const birth = birthOf(id, lines);
    const key = policyKey({ name: birth.policy, version: birth.policyVersion });
    if (!this.runtime.versions.has(key)) await learnVersions(this.runtime);
    const policy = this.runtime.versions.get(key);
    if (policy === undefined) {
      throw new BecalmError(
        "BECALM_HISTORY_BROKEN",
        `Instance ${id} was made under policy "${birth.policy}" version ${birth.policyVersion}, which the namespace does not know. Restore the policies of the namespace.`,
      );
    }
    return decodeHistory(id, lines, policy.policy);
  }

  /** What the processes were called that decided these steps. */
  async processNames(steps: Iterable<{ readonly process?: string | undefined }>): Promise<ProcessNames> {
    const ids = new Set([...steps].flatMap(({ process }) => process ?? []));
    const unknown = [...ids].filter((id) => !this.#names.has(id));
    const { processes } = this.runtime.store;
    if (processes !== null && unknown.length > 0)
      for (const [id, name] of await processes.enrolled(unknown)) this.#names.set(id, name);
    return this.#names;
  }

  /** One version of a policy, `name@version`; by its name alone the one in force. */
  async policy(reference: string): Promise<Policy | null> {
    const { inForce, versions } = this.runtime;
    const named = inForce.policies.find(({ policy }) => policy.name === reference);
    if (named === undefined && !versions.has(reference)) await learnVersions(this.runtime);
    return (named ?? versions.get(reference))?.policy ?? null;
  }

  /** Raw history lines, oldest first. */
  async lines(id: string): Promise<string[]> {
    if (!this.#isOwnId(id)) throw notFound(id);
    const lines = await this.runtime.store.history(id);
    if (lines === null) throw notFound(id);
    return lines;
  }

  async stored(id: string): Promise<StoredInstance> {
    const partition = partitionOfId(id);
    if (partition === null || !this.#isOwnId(id)) throw notFound(id);
    const { instances } = await this.runtime.store.load({ partition, groupId: null, instanceIds: [id] });
    const stored = instances.get(id);
    if (stored === undefined) throw notFound(id);
    return stored;
  }

  #isOwnId(id: string): boolean {
    const partition = partitionOfId(id);
    return partition !== null && partition < this.runtime.partitions;
  }

  /**
   * Instances newest first. Filters are applied while pages are read: the first one has as many rows as are asked for,
   * which is enough when all match; those after it are large, so that a rare match among many instances costs few
   * reads. No history is read, but the births of those that only their labels can rule out.
   */
  async list(filter: ListFilter = {}, { rowsMax = Number.POSITIVE_INFINITY }: ListBounds = {}): Promise<Listed> {
    const limit = Math.min(Math.max(filter.limit ?? LIST_PAGE_COUNT_DEFAULT, 1), LIST_PAGE_COUNT_MAX);
    const instances: Instance[] = [];
    const quarantined: Quarantined[] = [];
    const wanted = wantedBy(filter);
    const unreached = new Set<number>();
    let cursor = filter.cursor;
    let rowCount = 0;
    for (let rows = limit; ; rows = LIST_SEARCH_COUNT) {
      const missing = limit - instances.length - quarantined.length;
      const found = await this.#search(wanted, { cursor, missing, rows });
      rowCount += rows;
      instances.push(...found.instances);
      quarantined.push(...found.quarantined);
      for (const partition of found.unreached ?? []) unreached.add(partition);
      if (found.next === null || instances.length + quarantined.length >= limit || rowCount >= rowsMax) {
        return {
          instances,
          quarantined,
          next: found.next,
          ...(unreached.size === 0 ? {} : { unreached: [...unreached] }),
        };
      }
      cursor = found.next;
      // A long search lets what is decided live go first.
      await setImmediate();
    }
  }

  /** At most `missing` matches among the next `rows` rows. `next` stands behind the last row that was looked at. */
  async #search(
    wanted: Wanted,
    { cursor, missing, rows }: { cursor: string | undefined; missing: number; rows: number },
  ): Promise<Listed> {
    const from = { ...(cursor === undefined ? {} : { cursor }), ...this.#underOf(wanted.filter) };
    for (;;) {
      const page = await this.runtime.store.list({ limit: rows, ...from });
      const sorted = await Promise.all(page.instances.map((stored) => this.#sort(stored, wanted)));
      const found = await this.#withLabels(sorted, wanted.hasLabels);
      const missed = page.unreached === undefined ? {} : { unreached: page.unreached };
      const into = { instances: [] as Instance[], quarantined: [] as Quarantined[], ...missed };
      let looked = 0;
      for (const one of found) {
        // Those behind it are older still.
        if (one === "too old") return { ...into, next: null };
        looked += 1;
        if (one === null) continue;
        if ("error" in one) into.quarantined.push(one);
        else into.instances.push(one);
        if (into.instances.length + into.quarantined.length >= missing) break;
      }
      if (looked === page.instances.length) return { ...into, next: page.next };
      // The cursor behind a row in the middle is that of a page that ends with it, unless the rows before it have
      // changed meanwhile.
      const part = await this.runtime.store.list({ limit: looked, ...from });
      if (part.instances.at(-1)?.id === page.instances[looked - 1]?.id) return { ...into, next: part.next };
    }
  }

  /** Where all that the filter wants is found without reading what it does not want. */
  #underOf({ state, quarantined }: ListFilter): { under?: string } {
    const isIndexed = this.runtime.format.acting >= RAISED_FORMAT && quarantined !== true;
    return isIndexed && isOpenState(state) ? { under: state } : {};
  }

  /** null: it is not wanted. */
  async #sort(stored: StoredInstance, wanted: Wanted): Promise<Sorted> {
    const read = await tryInstance(this.runtime, stored);
    if (read instanceof BecalmError)
      return wanted.filter.quarantined === true ? { id: stored.id, version: stored.version, error: read } : null;
    if (wanted.sinceMs !== null && read.createdAtMs < wanted.sinceMs) return "too old";
    return wanted.filter.quarantined !== true && matches(read, wanted.filter) ? read : null;
  }

  /**
   * Without those whose alerts lack the labels. Only the first line of a history has the alert: a partition's are read
   * at once.
   */
  async #withLabels(sorted: readonly Sorted[], hasLabels: Wanted["hasLabels"]): Promise<readonly Sorted[]> {
    if (hasLabels === null) return sorted;
    const births = await this.births(sorted.flatMap((one) => (isInstance(one) ? one.id : [])));
    return sorted.map((one) => {
      if (!isInstance(one)) return one;
      const alert = births.get(one.id)?.alert ?? null;
      return alert !== null && hasLabels(alert.labels) ? one : null;
    });
  }

  /** By id, the births of those that are there and can be read. */
  async births(ids: readonly string[]): Promise<ReadonlyMap<string, Birth>> {
    const births = new Map<string, Birth>();
    const inPartitions = [...grouped(ids, (id) => partitionOfId(id) ?? 0)];
    const read = await Promise.all(
      inPartitions.map(([partition, instanceIds]) =>
        this.runtime.store.load({ partition, groupId: null, instanceIds, births: true }),
      ),
    );
    for (const { id, birth } of read.flatMap(({ instances }) => [...instances.values()])) {
      const told = birth === undefined ? null : tryBirth(id, birth);
      if (told !== null) births.set(id, told);
    }
    return births;
  }
}

type Sorted = Instance | Quarantined | "too old" | null;

function isInstance(one: Sorted): one is Instance {
  return one !== null && one !== "too old" && !("error" in one);
}

function tryBirth(id: string, line: string): Birth | null {
  try {
    return birthOf(id, [line]);
  } catch (error) {
    if (error instanceof BecalmError) return null;
    throw error;
  }
}

type Wanted = {
  readonly filter: ListFilter;
  readonly sinceMs: number | null;
  readonly hasLabels: LabelTest | null;
};

function wantedBy(filter: ListFilter): Wanted {
  const { since } = filter;
  const sinceMs = since === undefined ? null : typeof since === "number" ? since : Date.parse(since);
  if (Number.isNaN(sinceMs))
    throw new BecalmError("BECALM_ARGUMENT_INVALID", `${since} is not a time. Write it as 2026-11-23T06:00:00Z.`);
  return { filter, sinceMs, hasLabels: labelTest(filter) };
}

type LabelTest = (labels: Readonly<Record<string, string>>) => boolean;

/** null: labels do not matter. */
function labelTest({ labels, text }: ListFilter): LabelTest | null {
  const tests = [labels === undefined ? [] : withLabels(labels), text === undefined ? [] : withText(text)].flat();
  return tests.length === 0 ? null : (own) => tests.every((test) => test(own));
}

function withLabels(labels: NonNullable<ListFilter["labels"]>): LabelTest {
  if (typeof labels === "string") return compileMatchers(parseMatchers(labels));
  const values = Object.entries(labels);
  return (own) => values.every(([name, value]) => (own[name] ?? "") === value);
}

function withText(text: string): LabelTest {
  const sought = text.toLowerCase();
  return (own) => Object.values(own).some((value) => value.toLowerCase().includes(sought));
}

function matches(instance: Instance, filter: ListFilter): boolean {
  if (filter.state !== undefined && instance.snapshot.state.split(".")[0] !== filter.state) return false;
  if (filter.policy !== undefined && instance.policy !== filter.policy) return false;
  if (filter.reason !== undefined && instance.reason !== filter.reason) return false;
  return filter.group === undefined || instance.groupId === filter.group;
}

export function notFound(id: string): BecalmError {
  return new BecalmError(
    "BECALM_NOT_FOUND",
    `There is no instance ${JSON.stringify(id)} in this namespace. \`becalm ls\` lists all.`,
    {
      details: { id },
    },
  );
}
