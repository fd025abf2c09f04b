/**
 * Which process decided a step. Each line of a history has a short id, since a name would be much of what a converged
 * alert costs; the store keeps what the processes were called. A command that is run again and again is one process
 * here: what tells its steps apart is who acted.
 */
import { sha256 } from "../model/digest.ts";
import { errorCode } from "../model/errors.ts";
import type { Processes } from "../stores/processes.ts";

/** `name`: for people. */
export type DecidingProcess = { readonly id: string; readonly name: string; readonly sinceMs: number };

const ID_LENGTH = 8;

/** The id of an engine or a worker follows from that which its claims and leases carry. */
export function processIdOf(owner: string): string {
  return owner.slice(0, ID_LENGTH);
}

/** The same command on the same host has the same id, so that commands leave few names behind. */
export function commandIdOf(name: string): string {
  return sha256(name, "hex").slice(0, ID_LENGTH);
}

/** Keeps what it is called. A full store goes without: its id tells it apart all the same. */
export async function enrol(processes: Processes, { id, name, sinceMs }: DecidingProcess): Promise<void> {
  try {
    await processes.enrol({ id, record: name, sinceMs });
  } catch (error) {
    if (errorCode(error) !== "BECALM_STORE_FULL") throw error;
  }
}

/** By id, what processes were called; those are missing whose names are no longer kept. */
export type ProcessNames = ReadonlyMap<string, string>;
