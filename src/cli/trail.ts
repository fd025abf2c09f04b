/** Checks that an instance's audit trail and its checkpoint belong together. For `replay` and `audit verify`. */
import { birthOf } from "../instance/audit.ts";
import type { Instance } from "../instance/checkpoint.ts";
import { birthFault, identityFault } from "../instance/identity.ts";
import { type TrailFault, trailFault, versionFault } from "../instance/trail.ts";
import { BecalmError } from "../model/errors.ts";
import { type ReadInstance, tryInstance } from "../runtime/commit/read-instance.ts";
import type { InstanceReader } from "../runtime/instance-reader.ts";
import type { BundledInstance } from "../simulate/bundle.ts";
import { missingTimer } from "./loose-ends.ts";

/**
 * `birthHash`: of the first line, if that was redacted. `instance`: of the checkpoint; absent: it cannot be read, or is
 * a bundle's.
 */
export type TrailCheck = {
  readonly lines: readonly string[];
  readonly fault: TrailFault | null;
  readonly birthHash?: string | null;
  readonly instance?: Instance;
};

const LOOKED_COUNT_MAX = 5;

/**
 * The trail of an instance and the first thing that is wrong with it. An engine may commit between the two reads, so
 * a fault counts only if the checkpoint stayed the same meanwhile.
 */
export async function checkTrail(instances: InstanceReader, id: string): Promise<TrailCheck> {
  for (let looked = 1; ; looked += 1) {
    const stored = await instances.stored(id);
    const { value, version, birthHash } = stored;
    const lines = (await instances.runtime.store.history(id)) ?? [];
    if (birthHash !== undefined)
      return { lines, fault: bundledFault({ id, version, checkpoint: value, lines, birthHash }), birthHash };
    const instance = await tryInstance(instances.runtime, stored);
    const read = instance instanceof BecalmError ? {} : { instance };
    const fault =
      trailFault(lines, value) ??
      versionFault(lines, version) ??
      whole(bornAs(instances, id, { instance, lines })) ??
      whole(await missingTimer(instances, stored));
    if (fault === null || looked >= LOOKED_COUNT_MAX || (await instances.stored(id)).version === version)
      return { lines, fault, ...read };
  }
}

/**
 * What its birth says that its id or its checkpoint does not. What cannot be read is quarantined, and reported as that.
 */
function bornAs(
  instances: InstanceReader,
  id: string,
  { instance, lines }: { instance: ReadInstance; lines: readonly string[] },
): string | null {
  const birth = birthOf(id, lines);
  return (
    identityFault(id, birth, instances.runtime.partitions) ??
    (instance instanceof BecalmError ? null : birthFault(instance, birth))
  );
}

/** The first thing that is wrong with an instance of a bundle, as far as a bundle can tell. */
export function bundledFault({ id, version, checkpoint, lines, birthHash = null }: BundledTrail): TrailFault | null {
  const fault = trailFault(lines, checkpoint, birthHash) ?? versionFault(lines, version);
  // A redacted birth does not give the id that its alert had.
  if (fault !== null || birthHash !== null) return fault;
  return whole(identityFault(id, birthOf(id, lines), null));
}

type BundledTrail = Pick<BundledInstance, "id" | "version" | "checkpoint" | "lines"> & {
  readonly birthHash?: string | null;
};

/** Where it is, and what. */
export function faultText({ line, what }: TrailFault): string {
  if (line === 0) return what;
  return `line ${line} (${line === 1 ? "its birth" : `entry ${line - 1}`}) ${what}`;
}

export function whole(what: string | null): TrailFault | null {
  return what === null ? null : { line: 0, what };
}
