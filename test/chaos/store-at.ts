import { lmdbStore } from "../../src/stores/lmdb/lmdb-store.ts";
import { redisStore } from "../../src/stores/redis/redis-store.ts";
import type { Store } from "../../src/stores/store.ts";

const LMDB = "lmdb:";

/** The store of a deployment's URL. */
export function storeAt(url: string, namespace: string): Store {
  return url.startsWith(LMDB) ? lmdbStore(url.slice(LMDB.length), { namespace }) : redisStore(url, { namespace });
}
