import type { KeyConfig } from "../../src/detection/core/checkpoint-keys.ts";
import { memoryDetectionStore } from "../../src/stores/memory/memory-detection-store.ts";
import { detectionStoreContract } from "./detection-store-contract.ts";

detectionStoreContract("memory", (keys?: KeyConfig) => {
  let nowMs = 1_700_000_000_000;
  const store = memoryDetectionStore({ now: () => nowMs, ...(keys === undefined ? {} : { keys }) });
  return {
    store,
    again: () => null,
    outlast: async (ms: number) => {
      nowMs += ms;
    },
  };
});
