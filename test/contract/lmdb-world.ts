import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { lmdbStore } from "../../src/stores/lmdb/lmdb-store.ts";
import type { StoreWorld } from "./store-contract.ts";

/** A folder that is removed when the test is over. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "becalm-lmdb-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A store in a folder of its own, with a clock that only `outlast` moves. */
export function lmdbWorld(): StoreWorld {
  let nowMs = 1_700_000_000_000;
  const store = lmdbStore(temporaryFolder(), { now: () => nowMs });
  onTestFinished(() => store.close());
  return {
    store,
    outlast: async (ms) => {
      nowMs += ms;
    },
  };
}
