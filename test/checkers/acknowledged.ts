/** Every acknowledged alert has its instance, committed before the answer; every refused one left nothing; each instance was created once. */
import { ungroupedName } from "../../src/model/ids.ts";
import type { Violation } from "./recording.ts";
import type { Evidence } from "./trails.ts";

const CHECKER = "acknowledged";

export function acknowledged(evidence: Evidence): Violation[] {
  return [...missing(evidence), ...leftByRefused(evidence), ...createdTwice(evidence), ...twiceInOneEpisode(evidence)];
}

function missing({ instances, requests, commitOrder }: Evidence): Violation[] {
  const stored = new Set(instances.map(({ id }) => id));
  const found: Violation[] = [];
  for (const { taken, answeredOrder } of requests) {
    for (const { id, outcome } of taken) {
      if (outcome === "late" || outcome === "ignored") continue;
      if (!stored.has(id))
        found.push({ checker: CHECKER, what: `${id} was acknowledged (${outcome}) and is not there` });
      const committed = commitOrder?.get(`${id} 1`);
      if (committed !== undefined && answeredOrder !== null && committed > answeredOrder)
        found.push({ checker: CHECKER, what: `${id} was acknowledged before its commit` });
    }
  }
  return found;
}

/** A fingerprint that nobody took and nobody may have taken has no instance. */
function leftByRefused({ trails, requests }: Evidence): Violation[] {
  const takenIds = new Set(requests.flatMap(({ taken }) => taken.map(({ id }) => id)));
  const known = new Set<string>();
  const refused = new Map<string, string>();
  for (const request of requests) {
    if (request.answeredAtMs === null || request.error !== null) return [];
    for (const { fingerprint, code, isUnknown } of request.refused) {
      if (isUnknown) known.add(fingerprint);
      else refused.set(fingerprint, code);
    }
  }
  return trails.flatMap(({ stored, birth }) => {
    const fingerprint = birth?.alert?.fingerprint;
    if (fingerprint === undefined || takenIds.has(stored.id) || known.has(fingerprint)) return [];
    const code = refused.get(fingerprint);
    return code === undefined ? [] : [{ checker: CHECKER, what: `${stored.id} is there, but was refused: ${code}` }];
  });
}

/** Of all answers about an instance at most one says that it was created. */
function createdTwice({ requests }: Evidence): Violation[] {
  const created = new Set<string>();
  const found: Violation[] = [];
  for (const { taken } of requests) {
    for (const { id, outcome } of taken) {
      if (outcome !== "created") continue;
      if (created.has(id)) found.push({ checker: CHECKER, what: `${id} was said to be created twice` });
      created.add(id);
    }
  }
  return found;
}

/** An alert that nobody said was resolved is one episode, and has one instance under a policy. */
function twiceInOneEpisode({ trails, requests }: Evidence): Violation[] {
  const resolved = new Set(requests.flatMap((request) => request.resolved));
  const first = new Map<string, string>();
  const found: Violation[] = [];
  for (const { stored, birth } of trails) {
    if (birth?.alert == null || resolved.has(birth.alert.fingerprint)) continue;
    const name = ungroupedName({ policy: birth.policy, fingerprint: birth.alert.fingerprint });
    const other = first.get(name);
    if (other !== undefined) found.push({ checker: CHECKER, what: `${stored.id} and ${other} are of one episode` });
    first.set(name, stored.id);
  }
  return found;
}
