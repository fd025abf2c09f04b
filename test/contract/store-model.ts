import type { Commit, CommitOutcome, MemberSet, Tally, TallyWrite, TimerRow } from "../../src/stores/store.ts";

type Place = { partition: number; id: string };
type Group = { version: number; value: string; waiters: [string, number][]; held: [string, number][] };

/** The port in the most obvious way: plain lists, sorted anew at every look. Knows neither time nor leases. */
export class StoreModel {
  #commitIds: string[] = [];
  #instances: { id: string; version: number; value: string; createdAtMs: number; lines: string[] }[] = [];
  #groups: Record<string, Group> = {};
  #timers: TimerRow[] = [];
  #episodes: Record<string, string> = {};
  #tallies: Record<string, Tally> = {};
  #effects: Record<string, { id: string; partition: number; value: string }> = {};

  commit(commit: Commit): CommitOutcome {
    if (this.#commitIds.includes(commit.commitId)) return "duplicate";
    if (!this.#isExpected(commit)) return "conflict";
    const { partition, tallies = [] } = commit;
    this.#commitIds.push(commit.commitId);
    for (const write of tallies) this.#count(`${partition} ${write.key}`, write);
    for (const { key, value } of commit.episodes) this.#episodes[`${partition} ${key}`] = value;
    this.#writeInstances(commit);
    for (const effect of commit.effects) this.#effects[effect.id] = effect;
    for (const id of commit.settledEffectIds) delete this.#effects[id];
    for (const row of commit.timersArmed) this.#timers = [...this.#timers.filter((timer) => !isSame(timer, row)), row];
    for (const key of commit.timersCancelled)
      this.#timers = this.#timers.filter((timer) => !isSame(timer, key as TimerRow));
    this.#writeGroup(commit);
    return "applied";
  }

  #isExpected({ group, partition, instances, episodes, tallies = [] }: Commit): boolean {
    if (group !== null && (this.#groups[`${partition} ${group.id}`]?.version ?? 0) !== group.expectedVersion)
      return false;
    for (const { id, expectedVersion } of instances)
      if ((this.#find(id)?.version ?? 0) !== expectedVersion) return false;
    for (const { key, expected } of episodes)
      if ((this.#episodes[`${partition} ${key}`] ?? null) !== expected) return false;
    return tallies.every((write) => {
      const stored = this.#tallies[`${partition} ${write.key}`] ?? null;
      return write.kind === "count" || JSON.stringify(stored) === JSON.stringify(write.expected);
    });
  }

  tally(partition: number, key: string): Tally | null {
    return this.#tallies[`${partition} ${key}`] ?? null;
  }

  #count(key: string, write: TallyWrite): void {
    if (write.kind === "take") {
      delete this.#tallies[key];
      return;
    }
    let { count, sample } = this.#tallies[key] ?? { count: 0, sample: [] };
    for (const id of write.removed) {
      count -= 1;
      sample = sample.filter((other) => other !== id);
    }
    for (const id of write.added) {
      count += 1;
      if (sample.length < 20) sample = [...sample, id];
    }
    this.#tallies[key] = { count, sample };
  }

  episodes(partition: number, keys: readonly string[]): Record<string, string> {
    const own = keys.flatMap((key) => {
      const value = this.#episodes[`${partition} ${key}`];
      return value === undefined ? [] : [[key, value]];
    });
    return Object.fromEntries(own);
  }

  everything(places: readonly Place[]) {
    const instances = this.#instances.toSorted(
      (left, right) => right.createdAtMs - left.createdAtMs || (left.id < right.id ? 1 : -1),
    );
    const timers = this.#timers.toSorted(
      (left, right) =>
        left.dueAtMs - right.dueAtMs ||
        (left.owner < right.owner ? -1 : left.owner > right.owner ? 1 : left.arm - right.arm),
    );
    return {
      instances: instances.map(({ id, version, value }) => ({ id, version, value })),
      histories: instances.map(({ lines }) => lines),
      touched: [],
      groups: places.map((place) => this.#group(place)),
      work: timers.filter(({ lane }) => lane === "work"),
      approvals: timers.filter(({ lane }) => lane === "approval"),
      effects: Object.values(this.#effects).sort((left, right) => (left.id < right.id ? -1 : 1)),
      policies: [],
    };
  }

  #find(id: string) {
    return this.#instances.find((instance) => instance.id === id);
  }

  #writeInstances(commit: Commit): void {
    for (const { id, head, body, createdAtMs, historyLines } of commit.instances) {
      const value = `${head} ${body}`;
      const stored = this.#find(id) ?? { id, version: 0, value, createdAtMs, lines: [] };
      if (stored.version === 0) this.#instances.push(stored);
      stored.version += 1;
      stored.value = value;
      stored.lines = [...stored.lines, ...historyLines];
    }
  }

  #writeGroup({ group, partition, membersAdded, membersRemoved }: Commit): void {
    if (group?.kind !== "write") return;
    const stored = this.#groups[`${partition} ${group.id}`] ?? { version: 0, value: "", waiters: [], held: [] };
    this.#groups[`${partition} ${group.id}`] = stored;
    stored.version += 1;
    stored.value = group.value;
    for (const { set, instanceId, order } of membersAdded) {
      if (!stored[set].some(([id]) => id === instanceId)) stored[set].push([instanceId, order]);
    }
    for (const { set, instanceId } of membersRemoved) stored[set] = stored[set].filter(([id]) => id !== instanceId);
  }

  #group({ partition, id }: Place) {
    const stored = this.#groups[`${partition} ${id}`];
    const members = (set: MemberSet) =>
      (stored?.[set] ?? [])
        .toSorted((left, right) => left[1] - right[1] || (left[0] < right[0] ? -1 : 1))
        .map(([member]) => member);
    const group = stored === undefined ? null : { version: stored.version, value: stored.value };
    return { group, waiters: members("waiters"), held: members("held") };
  }
}

function isSame(left: TimerRow, right: TimerRow): boolean {
  return left.lane === right.lane && left.owner === right.owner && left.name === right.name && left.arm === right.arm;
}
