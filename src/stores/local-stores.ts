/** What stores on this machine tell of themselves: the process's own memory, and a file. */
import type { StoreDescription, StoredInstance, StorePulse } from "./store.ts";

/** Adds the first line of its history to an instance that was just read; undefined: it has none, or nobody asked. */
export function withBirth(stored: StoredInstance, line: string | undefined): StoredInstance {
  if (line !== undefined) stored.birth = line;
  return stored;
}

/** The second line of a text; undefined: it has one only. */
export function lineAfterFirst(text: string): string | undefined {
  const from = text.indexOf("\n") + 1;
  if (from === 0) return undefined;
  const to = text.indexOf("\n", from);
  return to < 0 ? text.slice(from) : text.slice(from, to);
}

/** They have no clock but this machine's, and nothing that they answered is lost without the process noticing. */
export const LOCAL_PULSE: StorePulse = { clocks: [], lost: [] };

export const MEMORY_DESCRIPTION: StoreDescription = {
  durability: "none",
  findings: [{ what: "durability", is: "none: everything is lost with the process" }],
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
