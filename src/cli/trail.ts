/** Checks that an instance's audit trail and its checkpoint belong together. For `replay` and `audit verify`. */
import { type TrailFault, trailFault } from "../instance/trail.ts";
import type { InstanceReader } from "../runtime/instance-reader.ts";
import { missingTimer } from "./loose-ends.ts";

export type TrailCheck = { readonly lines: readonly string[]; readonly fault: TrailFault | null };

const LOOKED_COUNT_MAX = 5;

/**
 * The trail of an instance and the first thing that is wrong with it. An engine may commit between the two reads, so
 * a fault counts only if the checkpoint stayed the same meanwhile.
 */
export async function checkTrail(instances: InstanceReader, id: string): Promise<TrailCheck> {
  for (let looked = 1; ; looked += 1) {
    const stored = await instances.stored(id);
    const { value, version } = stored;
    const lines = (await instances.runtime.store.history(id)) ?? [];
    const fault = trailFault(lines, value) ?? looseEnd(await missingTimer(instances, stored));
    if (fault === null || looked >= LOOKED_COUNT_MAX || (await instances.stored(id)).version === version)
      return { lines, fault };
  }
}

function looseEnd(what: string | null): TrailFault | null {
  return what === null ? null : { line: 0, what };
}
