/** Checks that an instance's audit trail and its checkpoint belong together. For `replay` and `audit verify`. */
import { verifyChain } from "../instance/audit.ts";
import { chainHash, splitLine } from "../instance/history-lines.ts";
import { sha256 } from "../model/digest.ts";
import type { Session } from "../runtime/session.ts";

/** `line` is 1-based; 0: the trail as a whole. */
export type TrailFault = { readonly line: number; readonly what: string };

export type TrailCheck = { readonly lines: readonly string[]; readonly fault: TrailFault | null };

/** Lines of a broken trail up to which the order is worked out. */
const LINKED_COUNT_MAX = 10_000;
const LOOKED_COUNT_MAX = 5;

/**
 * The trail of an instance and the first thing that is wrong with it. An engine may commit between the two reads, so
 * a fault counts only if the checkpoint stayed the same meanwhile.
 */
export async function checkTrail(session: Session, id: string): Promise<TrailCheck> {
  for (let looked = 1; ; looked += 1) {
    const { value, version } = await session.stored(id);
    const lines = (await session.world.store.history(id)) ?? [];
    const fault = faultOf(lines, value);
    if (fault === null || looked >= LOOKED_COUNT_MAX || (await session.stored(id)).version === version)
      return { lines, fault };
  }
}

function faultOf(lines: readonly string[], checkpoint: string): TrailFault | null {
  if (lines.length === 0) return { line: 0, what: "the whole history is missing" };
  const separator = checkpoint.indexOf(" ");
  const head = checkpoint.slice(0, Math.max(separator, 0));
  const fault = verifyChain(lines, head);
  if (fault !== null)
    return isReordered(lines, head)
      ? { line: fault.line, what: "stands in another place than it was written: the order was changed" }
      : fault;
  return ledTo(lines) === sha256(checkpoint.slice(separator + 1), "base64url")
    ? null
    : { line: lines.length, what: "led to another checkpoint than the one that is stored" };
}

function ledTo(lines: readonly string[]): unknown {
  try {
    return (JSON.parse(splitLine(lines.at(-1) as string).json) as { checkpoint?: unknown }).checkpoint;
  } catch {
    return undefined;
  }
}

/**
 * All lines are there and unchanged, in another order: together they still make the one chain that ends in the head. The birth and the
 * first step do not say what stands before them, so both ways are tried.
 */
function isReordered(lines: readonly string[], head: string): boolean {
  if (lines.length > LINKED_COUNT_MAX) return false;
  const split = lines.map(splitLine);
  const unbound = split.filter(({ previous }) => previous === null).map(({ json }) => json);
  const bound = new Map(split.flatMap(({ previous, json }) => (previous === null ? [] : [[previous, json]])));
  if (unbound.length > 2 || unbound.length + bound.size < lines.length) return false;
  return [unbound, unbound.toReversed()].some((first) => {
    let hash = first.reduce(chainHash, "");
    for (let count = bound.size; count > 0; count -= 1) hash = chainHash(hash, bound.get(hash) ?? "");
    return hash === head;
  });
}
