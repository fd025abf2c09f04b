/**
 * Whether an instance's history lines and its stored checkpoint belong together. Pure: for the store's own trails and
 * for exported ones.
 */
import { sha256 } from "../model/digest.ts";
import { verifyChain } from "./audit.ts";
import { chainHash, splitLine } from "./history-lines.ts";

/** `line` is 1-based; 0: the trail as a whole. */
export type TrailFault = { readonly line: number; readonly what: string };

/** Lines of a broken trail up to which the order is worked out. */
const LINKED_COUNT_MAX = 10_000;

/** The first thing that is wrong with a trail, or null. `checkpoint`: the stored value, its head and its body. */
export function trailFault(
  lines: readonly string[],
  checkpoint: string,
  birthHash: string | null = null,
): TrailFault | null {
  if (lines.length === 0) return { line: 0, what: "the whole history is missing" };
  const separator = checkpoint.indexOf(" ");
  const head = checkpoint.slice(0, Math.max(separator, 0));
  const fault = verifyChain(lines, head, birthHash);
  if (fault !== null)
    return isReordered(lines, head)
      ? { line: fault.line, what: "is not where it was written: the order was changed" }
      : fault;
  return hasLedTo(lines.at(-1) as string, sha256(checkpointBody(checkpoint), "base64url"))
    ? null
    : { line: lines.length, what: "led to another checkpoint than the one that is stored" };
}

/** A commit raises an instance's version by one, and its entries say to what. */
export function versionFault(lines: readonly string[], version: number): TrailFault | null {
  const led = headOf(splitLine(lines.at(-1) ?? "").json).version;
  const what = `led to version ${led}, and the instance is stored as version ${version}`;
  return led === version ? null : { line: lines.length, what };
}

/** A stored checkpoint without the head of its trail: what a trail's last line holds the hash of. */
export function checkpointBody(checkpoint: string): string {
  return checkpoint.slice(checkpoint.indexOf(" ") + 1);
}

/**
 * The entries of a trail with the hashes that they have in it. `atMs` null: the time of its birth. `birthHash`: of a
 * birth line that was redacted.
 */
export function trailEntries(
  lines: readonly string[],
  birthHash: string | null = null,
): { readonly version: number; readonly atMs: number | null; readonly hash: string }[] {
  let hash = birthHash ?? chainHash("", lines[0] ?? "");
  return lines.slice(1).map((line) => {
    const { json } = splitLine(line);
    hash = chainHash(hash, json);
    return { ...headOf(json), hash };
  });
}

/** A line that cannot be read is reported as that elsewhere. */
function headOf(json: string): { version: number; atMs: number | null } {
  try {
    const { version = 1, atMs = null } = JSON.parse(json) as { version?: number; atMs?: number };
    return { version, atMs };
  } catch {
    return { version: 0, atMs: null };
  }
}

/** The checkpoint stands at a line's end, as a rule; a line that somebody wrote in another order is read. */
function hasLedTo(line: string, checkpoint: string): boolean {
  if (line.endsWith(`"checkpoint":"${checkpoint}"}`)) return true;
  try {
    return (JSON.parse(splitLine(line).json) as { checkpoint?: unknown }).checkpoint === checkpoint;
  } catch {
    return false;
  }
}

/**
 * All lines are there and unchanged, in another order: together they still make the one chain that ends in the head.
 * The birth and the first step do not say what stands before them, so both ways are tried.
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
