/** Versions 1 to n without a gap, each line chained to the one before, the last one to the checkpoint. */
import { chainHash, splitLine } from "../../src/instance/history-lines.ts";
import { sha256 } from "../../src/model/digest.ts";
import type { StoredTrail, Violation } from "./recording.ts";
import type { Evidence } from "./trails.ts";

const CHECKER = "whole chain";

export function wholeChain({ instances }: Evidence): Violation[] {
  return instances.flatMap((stored) => {
    const what = faultOf(stored);
    return what === null ? [] : [{ checker: CHECKER, what: `${stored.id}: ${what}` }];
  });
}

function faultOf({ lines, value, version }: StoredTrail): string | null {
  let hash = "";
  let entryVersion = 0;
  for (const [index, line] of lines.entries()) {
    const { previous, json } = splitLine(line);
    if (index >= 2 && previous !== hash) return `line ${index + 1} does not continue line ${index}`;
    hash = chainHash(hash, json);
    if (index === 0) continue;
    const next = (JSON.parse(json) as { version?: number }).version ?? 1;
    if (next !== entryVersion && next !== entryVersion + 1) return `version ${next} follows ${entryVersion}`;
    entryVersion = next;
  }
  if (entryVersion !== version) return `the last line is of version ${entryVersion}, the checkpoint of ${version}`;
  const separator = value.indexOf(" ");
  if (value.slice(0, separator) !== hash) return "the last line does not lead to the checkpoint's head";
  const { checkpoint } = JSON.parse(splitLine(lines.at(-1) ?? "{}").json) as { checkpoint?: string };
  const body = sha256(value.slice(separator + 1), "base64url");
  return checkpoint === body ? null : "the last line led to another checkpoint";
}
