/** 64 processes and 1,024 partitions in virtual time: they come, stop, die, sleep and come back, and nothing is without an owner for long. */
import { describe, expect, test } from "vitest";
import { ownersOf } from "../../src/model/rendezvous.ts";
import { BEAT_EVERY_MS, MEMBER_LEASE_MS, Membership } from "../../src/runtime/owners/membership.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { MemoryProcesses } from "../../src/stores/memory/memory-processes.ts";
import { SeededRandom } from "../simulation/seeded-random.ts";

const PROCESS_COUNT = 64;
const PARTITION_COUNT = 1_024;
const TICK_MS = 100;
const SETTLED_MS = 2 * MEMBER_LEASE_MS;
const LOGGER = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** A process whose beats happen when the test says that the time is there. */
class Process {
  readonly id: string;
  readonly membership: Membership;
  nextBeatMs: number;
  state: "up" | "asleep" | "dead" = "up";

  constructor(id: string, world: World) {
    this.id = id;
    this.nextBeatMs = world.nowMs;
    const clock = { now: () => world.nowMs, schedule: () => () => {} };
    const runtime = { owner: id, partitions: PARTITION_COUNT, format: { acting: 3 }, clock } as unknown as Runtime;
    this.membership = new Membership(runtime, {
      processes: world.processes,
      name: id,
      logger: LOGGER,
      isOff: () => false,
      isWorker: false,
      onTaking: () => void this.#receive(world.processes),
      onChange: () => {},
      whenAnswered: () => Promise.resolve(),
    });
  }

  async #receive(processes: MemoryProcesses): Promise<void> {
    while (this.state !== "dead") {
      const letters = await processes.receive(this.id);
      if (letters.length === 0) return;
      if (this.state === "up") this.nextBeatMs = 0;
    }
  }

  async beat(nowMs: number): Promise<void> {
    if (this.state === "up" && this.nextBeatMs <= nowMs) this.nextBeatMs = nowMs + (await this.membership.beat());
  }

  isOwner(partition: number): boolean {
    return this.state === "up" && this.membership.otherOwner(partition) === null;
  }
}

class World {
  nowMs = 1_000_000;
  readonly processes = new MemoryProcesses(() => this.nowMs);
  readonly all: Process[] = [];
  longestUnownedMs = 0;
  readonly #unownedSince = new Map<number, number>();

  get up(): Process[] {
    return this.all.filter(({ state }) => state === "up");
  }

  begin(): void {
    this.all.push(new Process(`process-${this.all.length}`, this));
  }

  async pass(ms: number): Promise<void> {
    for (const untilMs = this.nowMs + ms; this.nowMs < untilMs; this.nowMs += TICK_MS) {
      for (const one of this.all) await one.beat(this.nowMs);
      this.#look();
    }
  }

  #look(): void {
    const { up } = this;
    for (let partition = 0; partition < PARTITION_COUNT; partition += 1) {
      if (up.length === 0 || up.some((one) => one.isOwner(partition))) this.#unownedSince.delete(partition);
      else {
        const sinceMs = this.#unownedSince.get(partition) ?? this.nowMs;
        this.#unownedSince.set(partition, sinceMs);
        this.longestUnownedMs = Math.max(this.longestUnownedMs, this.nowMs - sinceMs + TICK_MS);
      }
    }
  }

  /** The one owner of each partition, as all that are up see it. */
  owners(): (string | null)[] {
    return Array.from({ length: PARTITION_COUNT }, (_, partition) => {
      const owners = this.up.filter((one) => one.isOwner(partition));
      return owners.length === 1 ? (owners[0] as Process).id : null;
    });
  }
}

describe("64 processes that share 1,024 partitions", () => {
  test("agree on one owner for each within two leases after all have started", async () => {
    const world = new World();
    for (let count = 0; count < PROCESS_COUNT; count += 1) world.begin();
    await world.pass(SETTLED_MS);
    const ids = world.up.map(({ id }) => id);
    expect(world.owners()).toEqual(ownersOf(ids, PARTITION_COUNT));
  });

  test.each([1, 2, 3])(
    "settle again after whatever happens, move only what came or went, and leave nothing unowned for longer than a lease and a second (seed %i)",
    async (seed) => {
      const random = new SeededRandom(seed);
      const world = new World();
      for (let count = 0; count < PROCESS_COUNT; count += 1) world.begin();
      await world.pass(SETTLED_MS);
      for (let change = 0; change < 4; change += 1) {
        const before = world.owners();
        const touched = await disturb(world, random);
        await world.pass(SETTLED_MS);
        const after = world.owners();
        expect(after).toEqual(
          ownersOf(
            world.up.map(({ id }) => id),
            PARTITION_COUNT,
          ),
        );
        for (const [partition, owner] of after.entries())
          if (owner !== before[partition])
            expect(touched).toContain(touched.has(owner ?? "") ? owner : before[partition]);
      }
      expect(world.longestUnownedMs).toBeLessThanOrEqual(MEMBER_LEASE_MS + 1_000);
    },
  );
});

/** Several processes come, go, die, sleep for less or more than a lease. Gives their ids. */
async function disturb(world: World, random: SeededRandom): Promise<Set<string>> {
  const touched = new Set<string>();
  const someone = () => random.pick(world.up);
  for (let left = random.between(1, 4); left > 0; left -= 1) {
    await world.pass(random.between(0, 5) * TICK_MS);
    const what = random.pick(["come", "stop", "die", "sleep"] as const);
    if (what === "come") {
      world.begin();
      touched.add((world.all.at(-1) as Process).id);
      continue;
    }
    const one = someone();
    touched.add(one.id);
    if (what === "stop") {
      await one.membership.leave();
      one.state = "dead";
    } else if (what === "die") one.state = "dead";
    else {
      one.state = "asleep";
      await world.pass(random.between(1, 4) * BEAT_EVERY_MS);
      one.state = "up";
    }
  }
  return touched;
}
