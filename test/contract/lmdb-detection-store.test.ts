import { onTestFinished } from "vitest";
import { lmdbDetectionStore } from "../../src/stores/lmdb/lmdb-detection-store.ts";
import { detectionStoreContract } from "./detection-store-contract.ts";
import { temporaryFolder } from "./lmdb-world.ts";

detectionStoreContract("lmdb", (keys) => {
  let nowMs = 1_700_000_000_000;
  const folder = temporaryFolder();
  const open = () => {
    const store = lmdbDetectionStore(folder, { now: () => nowMs, ...(keys === undefined ? {} : { keys }) });
    onTestFinished(() => store.close());
    return store;
  };
  return {
    store: open(),
    again: open,
    outlast: async (ms) => {
      nowMs += ms;
    },
  };
});
