import { memoryStore } from "../../src/stores/memory/memory-store.ts";
import { storeContract } from "./store-contract.ts";
import { storeProperties } from "./store-properties.ts";

async function memoryWorld() {
  let nowMs = 1_700_000_000_000;
  return {
    store: memoryStore({ now: () => nowMs }),
    outlast: async (ms: number) => {
      nowMs += ms;
    },
  };
}

storeContract("memory", memoryWorld);
storeProperties("memory", memoryWorld, { runs: 300 });
