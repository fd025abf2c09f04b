/**
 * The counting lock over redlock: slot i of n is a lock of its own. The only file that knows redlock.
 *
 * redlock 4.2 works with ioredis 6, but its published types do not accept that client; the few lines that are used are declared here.
 */
import { createRequire } from "node:module";
import type { DimensionLock, DimensionLockHold } from "../../ports/dimension-lock.ts";
import type { RedisConnection } from "./connection.ts";

type RedlockHold = { unlock(): PromiseLike<void> };

type Redlock = {
  lock(resource: string, ttlMs: number): PromiseLike<RedlockHold>;
  on(event: "clientError", listener: (error: Error) => void): void;
};

type RedlockClass = {
  new (clients: readonly unknown[], options: { retryCount: number }): Redlock;
  LockError: new () => Error;
};

const RedlockClient = createRequire(import.meta.url)("redlock") as RedlockClass;

/** `slotKey(key, slot)`: the Redis key of a slot; all slots of a key lie on one server. */
export function redlockDimensionLock(
  connection: RedisConnection,
  slotKey: (key: string, slot: number) => string,
): DimensionLock {
  const redlock = new RedlockClient([connection.client], { retryCount: 0 });
  // redlock answers "not locked" for a broken connection too and tells the difference only here.
  let clientErrors = 0;
  let lastClientError: Error | null = null;
  redlock.on("clientError", (error) => {
    clientErrors += 1;
    lastClientError = error;
  });
  // Rotating, so that holders of one process do not all try the same slot first.
  let turn = Math.floor(Math.random() * 1_000);

  async function tryLock(resource: string, leaseMs: number): Promise<DimensionLockHold | null> {
    const errorsBefore = clientErrors;
    try {
      const hold = await redlock.lock(resource, leaseMs);
      return { release: async () => await hold.unlock().then(undefined, ignoreLockError) };
    } catch (error) {
      if (clientErrors > errorsBefore && lastClientError !== null) throw connection.toBecalmError(lastClientError);
      ignoreLockError(error);
      return null;
    }
  }

  /** Slots that are free now, in the order to try them. */
  async function freeSlots(key: string, slots: number, first: number): Promise<string[]> {
    const keys = Array.from({ length: slots }, (_, index) => slotKey(key, (first + index) % slots));
    const holders = await connection.run(() => connection.client.mget(...keys));
    return keys.filter((_, index) => holders[index] === null);
  }

  return {
    async acquire({ key, slots, leaseMs }): Promise<DimensionLockHold | null> {
      turn += 1;
      const first = turn % slots;
      const hold = await tryLock(slotKey(key, first), leaseMs);
      if (hold !== null || slots === 1) return hold;
      for (const resource of await freeSlots(key, slots, first)) {
        const next = await tryLock(resource, leaseMs);
        if (next !== null) return next;
      }
      return null;
    },
  };
}

/** "Not locked" and "not locked any more" are answers, no errors. */
function ignoreLockError(error: unknown): void {
  if (!(error instanceof RedlockClient.LockError)) throw error;
}
