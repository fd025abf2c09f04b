/** What stores on this machine tell of themselves: the process's own memory, and a file. */
import type { StoreDescription, StorePulse } from "./store.ts";

/** Nothing that they answered is lost without the process noticing. */
export function localPulse(where: string, nowMs: number): StorePulse {
  return { clocks: [{ where, nowMs }], lost: [] };
}

export const MEMORY_DESCRIPTION: StoreDescription = {
  durability: "none",
  findings: [{ what: "durability", is: "none: everything is gone with the process" }],
};

export function lmdbDescription(path: string): StoreDescription {
  return {
    durability: "always",
    findings: [
      { what: "store", is: `lmdb, ${path}` },
      { what: "durability", is: "always: what is answered is on the disk, and outlives a loss of power" },
    ],
  };
}
