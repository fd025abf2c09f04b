/**
 * The verbs on stored instances that are the same in live and in virtual time: look, list, send, approve, deny.
 * How work reaches the main path differs, so it is given: `submit`.
 */
import { acceptedText } from "../instance/accepted-events.ts";
import { birthOf, decodeHistory } from "../instance/audit.ts";
import type { Birth, History } from "../instance/audit-types.ts";
import type { Instance } from "../instance/checkpoint.ts";
import type { OutsideEvent } from "../instance/decide.ts";
import { type EventInput, readEvent } from "../instance/event-input.ts";
import { BecalmError } from "../model/errors.ts";
import { partitionOf, partitionOfId } from "../model/ids.ts";
import { LIST_PAGE_COUNT_DEFAULT, LIST_PAGE_COUNT_MAX } from "../model/limits.ts";
import type { Policy } from "../policy/policy.ts";
import { policyKey } from "../policy/policy-versions.ts";
import type { StoredInstance } from "../stores/store.ts";
import type { Work } from "./commit/batch-read.ts";
import type { Address } from "./commit/conflicts.ts";
import { learnVersions, readInstance, tryInstance } from "./commit/read-instance.ts";
import type { WorkResult } from "./commit/turn.ts";
import { silenceOf } from "./workers/timers.ts";
import type { World } from "./world.ts";

export type Submit = (works: readonly { address: Address; work: Work }[]) => Promise<WorkResult[]>;

export type Quarantined = { readonly id: string; readonly version: number; readonly error: BecalmError };

export type ListFilter = {
  readonly state?: string;
  readonly policy?: string;
  readonly group?: string;
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
};

const HELD_PAGE_COUNT = 150;
/** Rows that a search reads at once. */
const LIST_SEARCH_COUNT = 1_000;

export class Session {
  readonly world: World;
  private readonly submit: Submit;
  private readonly now: () => number;

  constructor(world: World, options: { submit: Submit; now: () => number }) {
    this.world = world;
    this.submit = options.submit;
    this.now = options.now;
  }

  /** The instance as it is stored. Throws BECALM_NOT_FOUND, or the checkpoint's error when it is quarantined. */
  async instance(id: string): Promise<Instance> {
    const stored = await this.stored(id);
    return readInstance(this.world, stored);
  }

  async birth(id: string): Promise<Birth> {
    return birthOf(id, await this.lines(id));
  }

  /** Birth and entries of an instance, oldest first. */
  async history(id: string): Promise<History> {
    const lines = await this.lines(id);
    const birth = birthOf(id, lines);
    const key = policyKey({ name: birth.policy, version: birth.policyVersion });
    if (!this.world.versions.has(key)) await learnVersions(this.world);
    const policy = this.world.versions.get(key);
    if (policy === undefined) {
      throw new BecalmError(
        "BECALM_HISTORY_BROKEN",
        `Instance ${id} was made under policy "${birth.policy}" version ${birth.policyVersion}, which the namespace does not know. Restore the policies of the namespace.`,
      );
    }
    return decodeHistory(id, lines, policy.policy);
  }

  /** One version of a policy, `name@version`; by its name alone the one in force. */
  async policy(reference: string): Promise<Policy | null> {
    const { current, versions } = this.world;
    const named = current.find(({ policy }) => policy.name === reference);
    if (named === undefined && !versions.has(reference)) await learnVersions(this.world);
    return (named ?? versions.get(reference))?.policy ?? null;
  }

  /** Raw history lines, oldest first. */
  async lines(id: string): Promise<string[]> {
    if (!this.isOwnId(id)) throw notFound(id);
    const lines = await this.world.store.history(id);
    if (lines === null) throw notFound(id);
    return lines;
  }

  async stored(id: string): Promise<StoredInstance> {
    const partition = partitionOfId(id);
    if (partition === null || !this.isOwnId(id)) throw notFound(id);
    const { instances } = await this.world.store.load({ partition, groupId: null, instanceIds: [id] });
    const stored = instances.get(id);
    if (stored === undefined) throw notFound(id);
    return stored;
  }

  private isOwnId(id: string): boolean {
    const partition = partitionOfId(id);
    return partition !== null && partition < this.world.partitions;
  }

  /** Sends an event. Throws BECALM_EVENT_REFUSED when the state has no edge for it, BECALM_ARGUMENT_INVALID when it is no event. */
  async send(id: string, input: EventInput): Promise<Instance> {
    const event = readEvent(input, this.now());
    const [result] = await this.sendAll([await this.instance(id)], event);
    return accepted(id, event, result as WorkResult);
  }

  /** Grants or denies one instance, or all that a group holds. Gives the instances that it decided. */
  async answer(
    target: { id: string } | { group: string },
    input: EventInput & { type: "approval.granted" | "approval.denied" },
  ): Promise<Instance[]> {
    if ("id" in target) return [await this.send(target.id, input)];
    const event = readEvent(input, this.now());
    const decided: Instance[] = [];
    // Who is held again meanwhile (its granted run has failed) asks anew: this answer is not for it.
    const asked = new Set<string>();
    let offset = 0;
    for (;;) {
      const ids = (await this.held(target.group, offset)).filter((id) => !asked.has(id));
      if (ids.length === 0) break;
      for (const id of ids) asked.add(id);
      const results = await this.sendAll(await this.readable(target.group, ids), event);
      const taken = results.filter((result) => result.outcome === "applied");
      decided.push(...taken.map((result) => result.instance as Instance));
      offset += ids.length - taken.length;
    }
    if (decided.length > 0) return decided;
    throw new BecalmError(
      "BECALM_NOT_FOUND",
      `Group ${target.group} holds no instance that could be decided. \`becalm ls --state Waiting\` shows who waits.`,
      {
        details: { group: target.group },
      },
    );
  }

  private held(group: string, offset: number): Promise<string[]> {
    const partition = partitionOf(group, this.world.partitions);
    return this.world.store.members({ groupId: group, partition, set: "held", limit: HELD_PAGE_COUNT, offset });
  }

  /** Those of a group's instances that can be read: one that is quarantined does not keep the others from being decided. */
  private async readable(group: string, ids: readonly string[]): Promise<Instance[]> {
    const partition = partitionOf(group, this.world.partitions);
    const { instances } = await this.world.store.load({ partition, groupId: null, instanceIds: ids });
    const stored = ids.flatMap((id) => instances.get(id) ?? []);
    const read = await Promise.all(stored.map((one) => tryInstance(this.world, one)));
    return read.flatMap((one) => (one instanceof BecalmError ? [] : [one]));
  }

  private async sendAll(instances: readonly Instance[], event: OutsideEvent): Promise<WorkResult[]> {
    const works = await Promise.all(
      instances.map(async (instance) => ({
        address: { partition: partitionOfId(instance.id) ?? 0, groupId: instance.groupId },
        work: {
          command: { type: "event" as const, id: instance.id, event: await this.withSilence(instance.id, event) },
        },
      })),
    );
    return this.submit(works);
  }

  /** A grant passes an active silence; the audit names both. */
  private async withSilence(id: string, event: OutsideEvent): Promise<OutsideEvent> {
    if (event.type !== "approval.granted" && event.type !== "start") return event;
    return { ...event, silence: await silenceOf(this.world, id, event.atMs) };
  }

  /**
   * Instances newest first. Filters are applied while pages are read: the first one has as many rows as are asked for, which is enough when all
   * match; those after it are large, so that a rare match among many instances costs few reads.
   */
  async list(filter: ListFilter = {}): Promise<Listed> {
    const limit = Math.min(Math.max(filter.limit ?? LIST_PAGE_COUNT_DEFAULT, 1), LIST_PAGE_COUNT_MAX);
    const instances: Instance[] = [];
    const quarantined: Quarantined[] = [];
    let cursor = filter.cursor;
    for (let isFirst = true; ; isFirst = false) {
      const missing = limit - instances.length - quarantined.length;
      const found = await this.search(filter, { cursor, missing, rows: isFirst ? missing : LIST_SEARCH_COUNT });
      instances.push(...found.instances);
      quarantined.push(...found.quarantined);
      if (found.next === null || instances.length + quarantined.length >= limit) {
        return { instances, quarantined, next: found.next };
      }
      cursor = found.next;
    }
  }

  /** At most `missing` matches among the next `rows` rows. `next` stands behind the last row that was looked at. */
  private async search(
    filter: ListFilter,
    { cursor, missing, rows }: { cursor: string | undefined; missing: number; rows: number },
  ): Promise<Listed> {
    const from = cursor === undefined ? {} : { cursor };
    for (;;) {
      const page = await this.world.store.list({ limit: rows, ...from });
      const into = { instances: [] as Instance[], quarantined: [] as Quarantined[] };
      let looked = 0;
      for (const stored of page.instances) {
        await this.sort(stored, filter, into);
        looked += 1;
        if (into.instances.length + into.quarantined.length >= missing) break;
      }
      if (looked === page.instances.length) return { ...into, next: page.next };
      // The cursor behind a row in the middle is that of a page that ends with it, unless the rows before it have changed meanwhile.
      const part = await this.world.store.list({ limit: looked, ...from });
      if (part.instances.at(-1)?.id === page.instances[looked - 1]?.id) return { ...into, next: part.next };
    }
  }

  private async sort(
    stored: StoredInstance,
    filter: ListFilter,
    into: { instances: Instance[]; quarantined: Quarantined[] },
  ): Promise<void> {
    const read = await tryInstance(this.world, stored);
    if (read instanceof BecalmError) {
      if (filter.quarantined === true) into.quarantined.push({ id: stored.id, version: stored.version, error: read });
    } else if (filter.quarantined !== true && matches(read, filter)) {
      into.instances.push(read);
    }
  }
}

function matches(instance: Instance, filter: ListFilter): boolean {
  if (filter.state !== undefined && instance.snapshot.state.split(".")[0] !== filter.state) return false;
  if (filter.policy !== undefined && instance.policy !== filter.policy) return false;
  return filter.group === undefined || instance.groupId === filter.group;
}

function accepted(id: string, event: OutsideEvent, result: WorkResult): Instance {
  if (result.outcome === "applied") return result.instance as Instance;
  if (result.outcome === "quarantined") throw result.error;
  if (result.outcome === "missing") throw notFound(id);
  const { snapshot } = result.instance as Instance;
  const { state, context } = snapshot;
  const due = context.timers.approval?.dueAtMs;
  const isLate = event.type === "approval.granted" && state === "Waiting" && due !== undefined;
  const why = isLate ? `its approval was due at ${new Date(due).toISOString()}` : `it is ${state.split(".")[0]}`;
  throw new BecalmError(
    "BECALM_EVENT_REFUSED",
    `Instance ${id} does not accept ${event.type}: ${why}. It accepts ${acceptedText(snapshot, event.atMs)}.`,
    {
      details: { id, state, event: event.type },
    },
  );
}

function notFound(id: string): BecalmError {
  return new BecalmError(
    "BECALM_NOT_FOUND",
    `There is no instance ${JSON.stringify(id)} in this namespace. \`becalm ls\` lists those that there are.`,
    {
      details: { id },
    },
  );
}
