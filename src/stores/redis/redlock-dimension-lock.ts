/**
 * The counting lock over redlock: slot i of n is a lock of its own. The only file that knows redlock.
 *
 * redlock 4.2 works with ioredis 6, but its published types do not accept that client; the few lines that are used are
 * declared here.
 */
import { createRequire } from "node:module";
import type { DimensionLock, DimensionLockRequest } from "../dimension-lock.ts";
import { CommandBatcher } from "./command-batcher.ts";
import type { RedisConnection } from "./connection.ts";

/** redlock's lock, as `unlock` reads it: it is given back on every server where it still has its value. */
type RedlockHold = { readonly resource: readonly string[]; readonly value: string; expiration: number };

type Redlock = {
  lock(resources: readonly string[], ttlMs: number): PromiseLike<RedlockHold>;
  unlock(hold: RedlockHold): PromiseLike<void>;
  on(event: "clientError", listener: (error: Error) => void): void;
};

type RedlockClass = {
  new (clients: readonly unknown[], options: { retryCount: number }): Redlock;
  LockError: new () => Error;
};

const RedlockClient = createRequire(import.meta.url)("redlock") as RedlockClass;

/** Locks of one redlock call. */
const LOCK_COUNT_MAX = 256;
const LOCK_COUNT_ENOUGH = 64;

/**
 * What comes at about the same time for one partition is one call of redlock, which takes all slots or none: groups
 * that form beside each other seldom meet anybody. When a slot of them is taken, each goes alone.
 */
export function redlockDimensionLock(connection: RedisConnection, slotKey: SlotKey): DimensionLock {
  const locks = new RedlockSlots(connection, slotKey);
  const write = (sendAll: () => void) => connection.writeTogether(sendAll);
  const batcher = new CommandBatcher<DimensionLockRequest, Slot | null>({
    sizeMax: LOCK_COUNT_MAX,
    sizeEnough: LOCK_COUNT_ENOUGH,
    sizeOf: () => 1,
    write,
    send: (_, requests) => locks.acquireAll(requests),
  });
  const releases = new CommandBatcher<Slot, null>({
    sizeMax: LOCK_COUNT_MAX,
    sizeEnough: LOCK_COUNT_ENOUGH,
    sizeOf: () => 1,
    write,
    send: (_, slots) => locks.releaseAll(slots),
  });
  return {
    acquire: async (request) => {
      const slot = await batcher.ask(request.partition, request);
      return slot === null ? null : { release: async () => void (await releases.ask(request.partition, slot)) };
    },
  };
}

/** A slot that is held, by its key and the value that redlock wrote there. */
type Slot = { readonly key: string; readonly value: string };

/** The Redis key of a slot; all slots of a partition lie on one server. */
type SlotKey = (partition: number, key: string, slot: number) => string;

class RedlockSlots {
  readonly #connection: RedisConnection;
  readonly #slotKey: SlotKey;
  readonly #redlock: Redlock;
  // redlock answers "not locked" for a broken connection too and tells the difference only here.
  #clientErrors = 0;
  #lastClientError: Error | null = null;
  // Rotating, so that holders of one process do not all try the same slot first.
  #turn = Math.floor(Math.random() * 1_000);

  constructor(connection: RedisConnection, slotKey: SlotKey) {
    this.#connection = connection;
    this.#slotKey = slotKey;
    this.#redlock = new RedlockClient([connection.client], { retryCount: 0 });
    this.#redlock.on("clientError", (error) => {
      this.#clientErrors += 1;
      this.#lastClientError = error;
    });
  }

  /** Requests of one partition. Those of equal leases may be taken together. */
  async acquireAll(requests: readonly DimensionLockRequest[]): Promise<(Slot | null)[]> {
    const first = requests.map(({ partition, key, slots }) => this.#slotKey(partition, key, this.#next() % slots));
    const leaseMs = requests[0]?.leaseMs ?? 0;
    const areAlike = requests.every((request) => request.leaseMs === leaseMs);
    if (requests.length > 1 && areAlike && new Set(first).size === first.length) {
      const slots = await this.#tryLock(first, leaseMs);
      if (slots !== null) return slots;
    }
    return Promise.all(requests.map((request) => this.#acquire(request)));
  }

  /** Slots that were taken together or apart. One that was lost meanwhile keeps no other from being given back. */
  async releaseAll(slots: readonly Slot[]): Promise<null[]> {
    const keysOf = new Map<string, string[]>();
    for (const { key, value } of slots) {
      const keys = keysOf.get(value);
      if (keys === undefined) keysOf.set(value, [key]);
      else keys.push(key);
    }
    const unlocks = [...keysOf].map(([value, resource]) => this.#redlock.unlock({ resource, value, expiration: 0 }));
    await this.#connection.runOnce(() => Promise.all(unlocks.map((unlock) => unlock.then(undefined, ignoreLockError))));
    return slots.map(() => null);
  }

  async #acquire({ key, partition, slots, leaseMs }: DimensionLockRequest): Promise<Slot | null> {
    const first = this.#next() % slots;
    const taken = await this.#tryLock([this.#slotKey(partition, key, first)], leaseMs);
    if (taken !== null || slots === 1) return taken?.[0] ?? null;
    const keys = Array.from({ length: slots }, (_, index) => this.#slotKey(partition, key, (first + index) % slots));
    for (const resource of await this.#freeOf(keys)) {
      const next = await this.#tryLock([resource], leaseMs);
      if (next !== null) return next[0] ?? null;
    }
    return null;
  }

  /** Slots that are free now, in the order to try them. */
  async #freeOf(keys: readonly string[]): Promise<string[]> {
    const holders = await this.#connection.run(() => this.#connection.client.mget(...keys));
    return keys.filter((_, index) => holders[index] === null);
  }

  async #tryLock(keys: readonly string[], leaseMs: number): Promise<Slot[] | null> {
    const errorsBefore = this.#clientErrors;
    const hold = await this.#connection.runOnce(() =>
      this.#redlock.lock(keys, leaseMs).then(undefined, ignoreLockError),
    );
    if (hold !== undefined) return keys.map((key) => ({ key, value: hold.value }));
    if (this.#clientErrors === errorsBefore || this.#lastClientError === null) return null;
    throw this.#connection.toBecalmError(this.#lastClientError);
  }

  #next(): number {
    this.#turn += 1;
    return this.#turn;
  }
}

/** "Not locked" and "not locked any more" are answers, no errors. */
function ignoreLockError(error: unknown): void {
  if (!(error instanceof RedlockClient.LockError)) throw error;
}
